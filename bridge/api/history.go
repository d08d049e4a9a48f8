package api

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

const historyPath = "/api/v2/cobrowse/history"

// recordBody is a history record on the wire: the session and what is known only of the past.
type recordBody struct {
	sessionBody
	Pages          []pageBody     `json:"pages"`
	Stays          []stayBody     `json:"stays"`
	Grants         []grantBody    `json:"grants"`
	Actions        []actionBody   `json:"actions"`
	ActionsLeftOut int            `json:"actionsLeftOut,omitempty"`
	Violation      *violationBody `json:"violation,omitempty"`
}

type pageBody struct {
	URL             string   `json:"url"`
	Title           string   `json:"title,omitempty"`
	DateEntered     web.Time `json:"dateEntered"`
	DurationSeconds int64    `json:"durationSeconds"`
}

// stayBody is a time for which a participant was there.
type stayBody struct {
	ParticipantID cobrowse.ParticipantID `json:"participantId"`
	DateJoined    web.Time               `json:"dateJoined"`
	DateLeft      web.Time               `json:"dateLeft"`
}

// grantBody is what the sharer agreed to, and under which words.
type grantBody struct {
	Kind          cobrowse.GrantKind     `json:"kind"`
	ParticipantID cobrowse.ParticipantID `json:"participantId,omitempty"`
	GivenBy       cobrowse.ParticipantID `json:"givenBy"`
	TextVersion   string                 `json:"textVersion,omitempty"`
	DateGiven     web.Time               `json:"dateGiven"`
	DateExpires   web.Time               `json:"dateExpires,omitzero"`
	DateRevoked   web.Time               `json:"dateRevoked,omitzero"`
	RevokedBy     cobrowse.ParticipantID `json:"revokedBy,omitempty"`
}

// actionBody is what a viewer did, or tried; never what was typed.
type actionBody struct {
	Date          web.Time               `json:"date"`
	DateLast      web.Time               `json:"dateLast"`
	ParticipantID cobrowse.ParticipantID `json:"participantId"`
	Kind          string                 `json:"kind"`
	Path          string                 `json:"path"`
	Result        string                 `json:"result"`
	Count         int                    `json:"count"`
}

// violationBody is where something was seen that must be hidden; never what.
type violationBody struct {
	Date web.Time `json:"date"`
	Path string   `json:"path"`
}

func newRecordBody(s cobrowse.Session) recordBody {
	body := recordBody{
		sessionBody: newSessionBody(s), ActionsLeftOut: s.ActionsLeftOut,
		Pages: make([]pageBody, len(s.Pages)), Grants: make([]grantBody, len(s.Grants)), Actions: make([]actionBody, len(s.Actions)), Stays: []stayBody{},
	}
	for _, p := range s.Participants {
		for _, stay := range p.Stays {
			body.Stays = append(body.Stays, stayBody{ParticipantID: p.ID, DateJoined: web.Time(stay.From), DateLeft: web.Time(stay.To)})
		}
	}
	for i, g := range s.Grants {
		body.Grants[i] = grantBody{
			Kind: g.Kind, ParticipantID: g.To, GivenBy: g.By, TextVersion: g.TextVersion,
			DateGiven: web.Time(g.GivenAt), DateExpires: web.Time(g.ExpiresAt), DateRevoked: web.Time(g.RevokedAt), RevokedBy: g.RevokedBy,
		}
	}
	for i, a := range s.Actions {
		body.Actions[i] = actionBody{
			Date: web.Time(a.At), DateLast: web.Time(a.LastAt), ParticipantID: a.ParticipantID, Kind: a.Kind, Path: a.Path, Result: a.Result, Count: a.Count,
		}
	}
	if v := s.Violation; !v.At.IsZero() {
		body.Violation = &violationBody{Date: web.Time(v.At), Path: v.Path}
	}
	body.SelfURI = historyPath + "/" + string(s.ID)
	for i, p := range s.Pages {
		left := p.LeftAt
		if left.IsZero() {
			left = s.EndedAt
		}
		body.Pages[i] = pageBody{
			URL: p.URL, Title: p.Title, DateEntered: web.Time(p.EnteredAt), DurationSeconds: max(int64(left.Sub(p.EnteredAt)/time.Second), 0),
		}
	}
	return body
}

// recordsBody is one page of records. Whoever follows NextURI sees each record
// once, also while new ones come in.
type recordsBody struct {
	Entities []recordBody `json:"entities"`
	PageSize int          `json:"pageSize"`
	SelfURI  string       `json:"selfUri"`
	NextURI  string       `json:"nextUri,omitempty"`
}

// listHistory answers GET /api/v2/cobrowse/history.
func (a *api) listHistory(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{})
	if err != nil {
		return err
	}
	from, err := queryTime(c, "from")
	if err != nil {
		return err
	}
	to, err := queryTime(c, "to")
	if err != nil {
		return err
	}
	after, err := parseCursor(c.Query("after"))
	if err != nil {
		return err
	}
	req := cobrowse.RecordRequest{
		OrgID: orgOf(c), ConversationID: conversations.ID(c.Query("conversationId")), From: from, To: to, After: after, Limit: page.Size,
	}
	records, more, err := a.Sessions.Records(c.UserContext(), req)
	if err != nil {
		return err
	}
	body := recordsBody{Entities: make([]recordBody, len(records)), PageSize: page.Size, SelfURI: historyURI(req, c.Query("after"))}
	for i, s := range records {
		body.Entities[i] = newRecordBody(s)
	}
	if more && len(records) > 0 {
		last := records[len(records)-1]
		body.NextURI = historyURI(req, formatCursor(cobrowse.RecordCursor{EndedAt: last.EndedAt, ID: last.ID}))
	}
	return c.JSON(body)
}

// getRecord answers GET /api/v2/cobrowse/history/{sessionId}.
func (a *api) getRecord(c *fiber.Ctx) error {
	s, err := a.Sessions.Record(c.UserContext(), orgOf(c), sessionParam(c))
	if err != nil {
		return err
	}
	return c.JSON(newRecordBody(s))
}

// maxRecordBody is the limit of a record's body, in bytes. A record keeps 64 KiB of
// addresses; with the rest of 500 pages, and escapes, that is twice as much.
const maxRecordBody = 192 << 10

// recordRequest is a record to import: what is known of sessions of other servers. It
// has the members of recordBody, of which those that it leaves out are ignored, or
// have to be empty.
type recordRequest struct {
	ID            cobrowse.SessionID    `json:"id"`
	SessionID     cobrowse.SessionID    `json:"sessionId"`
	SessionToken  cobrowse.SessionToken `json:"sessionToken"`
	DateCreated   web.Time              `json:"dateCreated"`
	DateActivated web.Time              `json:"dateActivated"`
	DateEnded     web.Time              `json:"dateEnded"`
	EndReason     cobrowse.EndReason    `json:"endReason"`
	Pages         []pageBody            `json:"pages"`
}

func (r recordRequest) session(id cobrowse.SessionID) cobrowse.Session {
	s := cobrowse.Session{
		ID: id, Token: r.SessionToken, Legacy: true, EndReason: r.EndReason,
		CreatedAt: time.Time(r.DateCreated), ActivatedAt: time.Time(r.DateActivated), EndedAt: time.Time(r.DateEnded),
	}
	for i, p := range r.Pages {
		end := s.EndedAt
		if i+1 < len(r.Pages) {
			end = time.Time(r.Pages[i+1].DateEntered)
		}
		entered := time.Time(p.DateEntered)
		s.Pages = append(s.Pages, cobrowse.PageVisit{URL: p.URL, Title: p.Title, EnteredAt: entered, LeftAt: cobrowse.PageLeft(entered, end, p.DurationSeconds)})
	}
	return s
}

// putRecord answers PUT /api/v2/cobrowse/history/{sessionId}: 201 for a record that
// was imported, 200 for one that is there already.
func (a *api) putRecord(c *fiber.Ctx) error {
	id := sessionParam(c)
	var in recordRequest
	if err := a.decodeLimit(c, schemaRecord, &in, maxRecordBody); err != nil {
		return err
	}
	for field, named := range map[string]cobrowse.SessionID{"id": in.ID, "sessionId": in.SessionID} {
		if named != "" && named != id {
			return &cobridge.Error{
				Code: cobridge.CodeConstraintValidation, Message: "The body is about another session than the address.",
				Details: []cobridge.Detail{{FieldName: field, ErrorCode: "not.allowed"}},
			}
		}
	}
	ctx, org := c.UserContext(), orgOf(c)
	created, err := a.Sessions.Import(ctx, org, in.session(id))
	if err != nil {
		return err
	}
	record, err := a.Sessions.Record(ctx, org, id)
	if err != nil {
		return err
	}
	body := newRecordBody(record)
	if created {
		c.Set(fiber.HeaderLocation, body.SelfURI)
		c.Status(fiber.StatusCreated)
	}
	return c.JSON(body)
}

type historyLinkBody struct {
	URL       string   `json:"url"`
	ExpiresAt web.Time `json:"expiresAt"`
}

// createHistoryLink answers POST /api/v2/cobrowse/history/{sessionId}/links, also
// for a session that lives. It has no body.
func (a *api) createHistoryLink(c *fiber.Ctx) error {
	id := sessionParam(c)
	link, err := a.Sessions.HistoryLink(c.UserContext(), orgOf(c), id)
	if err != nil {
		return err
	}
	base := cmp.Or(a.ViewerBaseURL, a.BaseURL)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(fiber.StatusCreated).JSON(historyLinkBody{
		URL: base + "/cobrowse/history/" + url.PathEscape(string(id)) + "?token=" + link.Raw, ExpiresAt: web.Time(link.ExpiresAt),
	})
}

// historyURI is the address of the page of a request that begins after a cursor.
func historyURI(r cobrowse.RecordRequest, after string) string {
	q := url.Values{"pageSize": {strconv.Itoa(r.Limit)}}
	if r.ConversationID != "" {
		q.Set("conversationId", string(r.ConversationID))
	}
	if !r.From.IsZero() {
		q.Set("from", r.From.Format(time.RFC3339Nano))
	}
	if !r.To.IsZero() {
		q.Set("to", r.To.Format(time.RFC3339Nano))
	}
	if after != "" {
		q.Set("after", after)
	}
	return historyPath + "?" + q.Encode()
}

// formatCursor writes a position as callers pass it back: opaque, URL-safe.
func formatCursor(at cobrowse.RecordCursor) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(at.EndedAt.UnixMilli(), 10) + "." + string(at.ID)))
}

// maxCursor bounds what a caller makes us decode, in bytes; ours have about 70.
const maxCursor = 200

// parseCursor reads what formatCursor wrote; the zero cursor for "".
func parseCursor(text string) (cobrowse.RecordCursor, error) {
	if text == "" {
		return cobrowse.RecordCursor{}, nil
	}
	invalid := badQuery("after", "must be taken from nextUri")
	if len(text) > maxCursor {
		return cobrowse.RecordCursor{}, invalid
	}
	plain, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return cobrowse.RecordCursor{}, invalid
	}
	milli, id, _ := strings.Cut(string(plain), ".")
	at, err := strconv.ParseInt(milli, 10, 64)
	if err != nil || id == "" || at < 0 || at > time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC).UnixMilli() {
		return cobrowse.RecordCursor{}, invalid
	}
	return cobrowse.RecordCursor{EndedAt: time.UnixMilli(at).UTC(), ID: cobrowse.SessionID(id)}, nil
}
