package legacy

import (
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// HistoryConfig is what [MountHistory] is told.
type HistoryConfig struct {
	Sessions    historySessions // a *cobrowse.Service
	Access      Access
	BasePath    string // of the legacy server, such as /cobrowse
	BareHistory bool   // also at /history/sessions, without it
}

// historySessions is the part of *cobrowse.Service that is called here. Get returns
// live sessions and history records, and fails with CodeNotFound.
type historySessions interface {
	Get(ctx context.Context, org conversations.OrgID, id cobrowse.SessionID) (cobrowse.Session, error)
}

// bareHistory is the address of history without the base path.
const bareHistory = "/history/sessions"

// historyAPI answers the Co-browse History REST API of Genesys Co-browse
// (https://docs.genesys.com/Documentation/GCB, API/HistoryREST).
type historyAPI struct {
	HistoryConfig
}

// MountHistory adds the one operation of co-browse history. The app must have been
// made by web.NewApp with [HistoryDialects] among its dialects.
func MountHistory(r fiber.Router, cfg HistoryConfig) {
	h := &historyAPI{cfg}
	for _, prefix := range cfg.prefixes() {
		path := prefix + "/:sessionHistoryId"
		r.Get(path, h.get) // and HEAD
		if len(cfg.Access.Origins) > 0 {
			r.Options(path, cfg.Access.preflight(fiber.MethodGet+", "+fiber.MethodHead, fiber.HeaderAuthorization+", "+web.HeaderCorrelationID))
		}
	}
}

// prefixes are what the paths begin with.
func (cfg HistoryConfig) prefixes() []string {
	below := cfg.BasePath + "/rest" + bareHistory
	if cfg.BareHistory {
		return []string{below, bareHistory}
	}
	return []string{below}
}

// HistoryDialects are how the paths of this surface speak of failures.
func HistoryDialects(cfg HistoryConfig) []web.Dialect {
	write := writeCobrowseFailure(cfg.Access)
	dialects := []web.Dialect{{Prefix: cfg.BasePath + "/rest/history", Write: write}}
	if cfg.BareHistory {
		dialects = append(dialects, web.Dialect{Prefix: bareHistory, Write: write})
	}
	return dialects
}

// get answers GET …/history/sessions/{sessionHistoryId}.
func (h *historyAPI) get(c *fiber.Ctx) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	who, err := h.Access.admit(c)
	if err != nil {
		return err
	}
	if err := h.mayRead(who); err != nil {
		return err
	}
	id, err := historyID(web.PathParam(c, "sessionHistoryId"))
	if err != nil {
		return err
	}
	session, err := h.Sessions.Get(c.UserContext(), h.Access.Org, id)
	if err != nil {
		return err
	}
	return sendJSON(c, newHistoryRecord(session))
}

// mayRead refuses a caller who has shown who it is and may not read sessions in the
// cloud style either: records say where customers have been. Of callers that come in
// by their origin, or by nothing, no scope is known.
func (h *historyAPI) mayRead(who caller) error {
	if h.Access.Rule == RuleOrigin || h.Access.Rule == RuleOpen {
		return nil
	}
	return oauth.Require(who.scopes, oauth.ScopeCobrowseRead)
}

// historyID reads the id of the path. Ids are given out in lower case; capitals are
// the same id (RFC 9562, section 4). The other notations that parsers of UUIDs take,
// such as braces, are none.
func historyID(text string) (cobrowse.SessionID, error) {
	id, err := uuid.Parse(text)
	if err != nil || len(text) != len(id.String()) {
		return "", &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "The session history id must be a UUID."}
	}
	return cobrowse.SessionID(strings.ToLower(text)), nil
}

// historyRecord is a session as the old server tells it, in its order. Times are
// milliseconds since 1970. What is not known yet is absent.
type historyRecord struct {
	ID               cobrowse.SessionID    `json:"id"`
	SessionToken     cobrowse.SessionToken `json:"sessionToken"`
	CreationTime     int64                 `json:"creationTime"`
	ActivationTime   *int64                `json:"activationTime,omitempty"`   // absent if it was never active
	DeactivationTime *int64                `json:"deactivationTime,omitempty"` // absent while it lives
	Pages            []historyPage         `json:"pages"`                      // never null
}

type historyPage struct {
	URL              string `json:"url"`
	EnteredTimestamp int64  `json:"enteredTimestamp"`   // milliseconds since 1970
	Duration         *int64 `json:"duration,omitempty"` // whole seconds; absent while it lasts
}

func newHistoryRecord(s cobrowse.Session) historyRecord {
	record := historyRecord{
		ID: s.ID, SessionToken: s.Token, CreationTime: s.CreatedAt.UnixMilli(),
		ActivationTime: moment(s.ActivatedAt), DeactivationTime: moment(s.EndedAt), Pages: []historyPage{},
	}
	pages := historyPages(s)
	for i, p := range pages {
		page := historyPage{URL: p.URL, EnteredTimestamp: pageEntered(s, p).UnixMilli()}
		if from, to := pageBegin(s, p, i == 0), pageEnd(s, p, i == len(pages)-1); !to.IsZero() {
			page.Duration = new(wholeSeconds(to.Sub(from)))
		}
		record.Pages = append(record.Pages, page)
	}
	return record
}

// moment is a time in milliseconds since 1970, nil if it has not come.
func moment(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(t.UnixMilli())
}

// historyPages are the pages that belong to the history: those that somebody could
// have seen. A page that was left before the session became active is not among
// them, so a session that never did has none.
func historyPages(s cobrowse.Session) []cobrowse.PageVisit {
	if s.ActivatedAt.IsZero() {
		return nil
	}
	pages := make([]cobrowse.PageVisit, 0, len(s.Pages))
	for _, p := range s.Pages {
		if p.LeftAt.IsZero() || p.LeftAt.After(s.ActivatedAt) {
			pages = append(pages, p)
		}
	}
	return pages
}

// pageEntered is the enteredTimestamp of a page. The one that stood there when the
// session became active is entered with it: in the published sample no page comes
// before the activation, though the customer must have had one.
func pageEntered(s cobrowse.Session, p cobrowse.PageVisit) time.Time {
	if p.EnteredAt.Before(s.ActivatedAt) {
		return s.ActivatedAt
	}
	return p.EnteredAt
}

// pageBegin is from when the duration of a page counts: of the first one "from the
// start of the co-browse session", which is its activation.
func pageBegin(s cobrowse.Session, p cobrowse.PageVisit, first bool) time.Time {
	if first {
		return s.ActivatedAt
	}
	return pageEntered(s, p)
}

// pageEnd is until when the duration of a page counts: of the last one to the end of
// the session, also where the customer's browser was gone before; zero while the
// session lives. The others count as long as they were shown.
func pageEnd(s cobrowse.Session, p cobrowse.PageVisit, last bool) time.Time {
	if last {
		return s.EndedAt
	}
	return p.LeftAt
}

// wholeSeconds rounds down. A clock that was set back makes no time negative.
func wholeSeconds(d time.Duration) int64 { return int64(max(d, 0) / time.Second) }
