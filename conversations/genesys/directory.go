package genesys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-resty/resty/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// maxPage is the largest page that the service gives.
const maxPage = 100

// Directory is the directory of one organisation. Close it when no call is made any
// more.
type Directory struct {
	cfg    Config
	base   string // without a slash at the end
	http   *resty.Client
	bearer *bearer
	slots  chan struct{}
	own    *http.Transport // nil if it is the caller's

	changed chan struct{} // who is in the watched conversations has changed; room for one

	conversations *cache[conversations.Conversation]
	users         *cache[conversations.User]

	mu          sync.Mutex
	pausedUntil time.Time
	lastFailure Reason
	watched     map[conversations.ID]*watch // whose end Run looks for
	onEnd       []func(context.Context, conversations.OrgID, conversations.ID)
	onChange    []func(context.Context, conversations.OrgID, conversations.ID)
}

var _ conversations.Directory = (*Directory)(nil)

// New returns a Directory. It sends nothing yet: see [Directory.Probe].
func New(cfg Config) (*Directory, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	api, login, err := addresses(cfg)
	if err != nil {
		return nil, err
	}
	d := &Directory{base: api.String(), slots: make(chan struct{}, cfg.Parallel), watched: map[conversations.ID]*watch{}, changed: make(chan struct{}, 1)}
	if cfg.Transport == nil {
		d.own = newTransport(cfg)
		cfg.Transport = d.own
	}
	d.cfg = cfg
	atAPI := newGuarded(cfg, api.Host)
	atLogin := atAPI
	if login.Host != api.Host {
		atLogin = newGuarded(cfg, login.Host)
	}
	d.bearer = newBearer(cfg, login.String(), atAPI, atLogin)
	d.http = newResty(cfg, d.bearer)
	d.conversations = &cache[conversations.Conversation]{
		clock: cfg.Clock, timeout: cfg.Timeout, keep: keepConversation, missing: missingConversation, room: cacheRoom,
		absent: func(err error) bool { return cobridge.CodeOf(err) == cobridge.CodeConversationNotFound },
		inAir:  map[string]*flight[conversations.Conversation]{}, known: map[string]entry[conversations.Conversation]{},
	}
	d.users = &cache[conversations.User]{
		clock: cfg.Clock, timeout: 2 * cfg.Timeout, keep: keepUser, missing: missingUser, room: cacheRoom, // twice: it may take two calls
		absent: func(err error) bool { return cobridge.CodeOf(err) == cobridge.CodeUserNotFound },
		inAir:  map[string]*flight[conversations.User]{}, known: map[string]entry[conversations.User]{},
	}
	return d, nil
}

// Close waits for reads that nobody waits for any more, and closes connections.
func (d *Directory) Close() {
	d.conversations.wg.Wait()
	d.users.wg.Wait()
	d.bearer.wg.Wait()
	if d.own != nil {
		d.own.CloseIdleConnections()
	}
}

// OnEnd registers fn to be called after a conversation has ended: in the goroutine
// of [Directory.Disconnect], before it returns, and in those of [Directory.Run]. It
// may be called more than once for one conversation.
func (d *Directory) OnEnd(fn func(context.Context, conversations.OrgID, conversations.ID)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onEnd = append(d.onEnd, fn)
}

// OnChange registers fn to be called after a conversation was changed from here, has
// ended, or was seen to have changed by [Directory.Run], which looks only at those that
// Config.Live names; of an end, after the functions of [Directory.OnEnd]. It must not
// wait for anything. It is told that something changed, not what, and perhaps twice.
func (d *Directory) OnChange(fn func(context.Context, conversations.OrgID, conversations.ID)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onChange = append(d.onChange, fn)
}

func (d *Directory) ended(ctx context.Context, id conversations.ID) {
	d.mu.Lock()
	subscribers := slices.Concat(d.onEnd, d.onChange)
	d.mu.Unlock()
	for _, fn := range subscribers {
		fn(ctx, d.cfg.Organisation, id)
	}
}

func (d *Directory) changedAt(ctx context.Context, id conversations.ID) {
	d.mu.Lock()
	subscribers := slices.Clone(d.onChange)
	d.mu.Unlock()
	for _, fn := range subscribers {
		fn(ctx, d.cfg.Organisation, id)
	}
}

// mine reports whether the service may be asked for this at all.
func (d *Directory) mine(org conversations.OrgID, id string) bool {
	return org == d.cfg.Organisation && uuidPattern.MatchString(id)
}

// Conversation implements [conversations.Directory]. The answer may be some seconds
// old; if [Directory.Run] looks for the conversation's end, as old as its last look.
func (d *Directory) Conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error) {
	if !d.mine(org, string(id)) {
		return conversations.Conversation{}, conversations.NotFound(id)
	}
	c, err := d.conversations.get(ctx, string(id), d.maxAge(id), d.readConversation(id))
	return c.Clone(), err
}

// readConversation returns a read of one conversation for the cache.
func (d *Directory) readConversation(id conversations.ID) func(context.Context) (conversations.Conversation, error) {
	return func(ctx context.Context) (conversations.Conversation, error) {
		c, err := read(ctx, d, "/conversations/"+string(id), nil, func(body []byte) (conversations.Conversation, error) {
			return parseConversation(body, d.cfg.Organisation, id)
		})
		if _, none := absent(err); none {
			return conversations.Conversation{}, conversations.NotFound(id)
		} else if err != nil {
			return conversations.Conversation{}, failed("read conversation", err)
		}
		return c, nil
	}
}

// Conversations implements [conversations.Directory]. It fails with CodeNotAUser
// where the service lists conversations for users alone, as Genesys Cloud does;
// cobridge itself lists them for applications.
func (d *Directory) Conversations(ctx context.Context, org conversations.OrgID, q conversations.Query) ([]conversations.Conversation, int, error) {
	if org != d.cfg.Organisation {
		return nil, 0, nil
	}
	query := url.Values{"state": {"any"}}
	if q.Active != nil {
		query.Set("state", "disconnected")
		if *q.Active {
			query.Set("state", "active")
		}
	}
	if q.Medium != "" {
		query.Set("communicationType", string(q.Medium))
	}
	list, total, err := list(ctx, d, "/conversations", query, q.Offset, q.Limit, func(body []byte) (conversations.Conversation, string, error) {
		c, err := parseConversation(body, org, "")
		if err == nil && q.Active != nil && c.Active() != *q.Active {
			err = errOther // the official list knows no state
		}
		return c, string(c.ID), err
	})
	if e, ok := errors.AsType[*Error](err); ok && e.Code == string(cobridge.CodeNotAUser) {
		return nil, 0, &cobridge.Error{
			Code: cobridge.CodeNotAUser, Err: err,
			Message: "The directory of this organisation lists conversations for users only; ask for a conversation by its id.",
		}
	}
	if err != nil {
		return nil, 0, failed("list conversations", err)
	}
	slices.SortStableFunc(list, func(a, b conversations.Conversation) int {
		if order := b.StartedAt.Compare(a.StartedAt); order != 0 {
			return order
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return list, total, nil
}

// User implements [conversations.Directory]. The answer may be half a minute old.
func (d *Directory) User(ctx context.Context, org conversations.OrgID, id conversations.UserID) (conversations.User, error) {
	if !d.mine(org, string(id)) {
		return conversations.User{}, conversations.UserNotFound(id)
	}
	return d.users.get(ctx, string(id), 0, func(ctx context.Context) (conversations.User, error) {
		ask := func(query url.Values) (conversations.User, error) {
			return read(ctx, d, "/users/"+string(id), query, func(body []byte) (conversations.User, error) { return parseUser(body, org, id) })
		}
		u, err := ask(url.Values{"expand": {"authorization"}})
		if _, none := absent(err); none { // deleted ones are not shown unless they are asked for
			u, err = ask(url.Values{"expand": {"authorization"}, "state": {"deleted"}})
		}
		if _, none := absent(err); none {
			return conversations.User{}, conversations.UserNotFound(id)
		} else if err != nil {
			return conversations.User{}, failed("read user", err)
		}
		return u, nil
	})
}

// Users implements [conversations.Directory], without capabilities: with all their
// permissions the users of a page would be megabytes. The order within a page is by
// name, that of pages is the service's.
func (d *Directory) Users(ctx context.Context, org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error) {
	if org != d.cfg.Organisation {
		return nil, 0, nil
	}
	query := url.Values{"state": {"any"}}
	if len(q.States) == 1 {
		query.Set("state", string(q.States[0]))
	}
	for _, id := range q.IDs {
		if uuidPattern.MatchString(string(id)) {
			query.Add("id", string(id))
		}
	}
	if len(q.IDs) > 0 && len(query["id"]) == 0 {
		return nil, 0, nil // all of them, if none were named
	}
	list, total, err := list(ctx, d, "/users", query, q.Offset, q.Limit, func(body []byte) (conversations.User, string, error) {
		u, err := parseUser(body, org, "")
		if err == nil && (len(q.States) > 0 && !slices.Contains(q.States, u.State) || len(q.IDs) > 0 && !slices.Contains(q.IDs, u.ID)) {
			err = errOther
		}
		return u, string(u.ID), err
	})
	if err != nil {
		return nil, 0, failed("list users", err)
	}
	slices.SortStableFunc(list, func(a, b conversations.User) int {
		if order := strings.Compare(a.Name, b.Name); order != 0 {
			return order
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	return list, total, nil
}

// errOther marks an entry of a listing that was not asked for.
var errOther = errors.New("not asked for")

// list reads the entries from offset on, at most limit and 100 of them, and how many
// there are in all. Entries that cannot be read, that were not asked for or that stand
// there twice are left out.
func list[V any](ctx context.Context, d *Directory, path string, query url.Values, offset, limit int, translate func([]byte) (V, string, error)) ([]V, int, error) {
	limit = max(1, min(limit, maxPage))
	offset = max(0, offset)
	query.Set("pageSize", strconv.Itoa(limit))
	var raws []json.RawMessage
	total := -1
	for number := offset / limit; number <= (offset+limit-1)/limit; number++ {
		query.Set("pageNumber", strconv.Itoa(number+1))
		page, err := read(ctx, d, path, query, parsePage)
		if err != nil {
			return nil, 0, err
		}
		if page.Total != nil {
			total = max(0, *page.Total)
		}
		raws = append(raws, (*page.Entities)[:min(limit, len(*page.Entities))]...)
		if len(*page.Entities) < limit {
			break
		}
	}
	raws = raws[min(offset%limit, len(raws)):]
	raws = raws[:min(limit, len(raws))]
	if total < 0 {
		total = offset + len(raws)
	}
	out := make([]V, 0, len(raws))
	seen := map[string]bool{}
	for _, raw := range raws {
		v, id, err := translate(raw)
		if err != nil || seen[id] {
			total = max(0, total-1)
			continue
		}
		seen[id] = true
		out = append(out, v)
	}
	return out, max(total, len(out)), nil
}

// SetAttributes implements [conversations.Directory]. What the service does not take
// fails with CodeConstraintValidation, a nil map with CodeAttributeNull.
func (d *Directory) SetAttributes(ctx context.Context, org conversations.OrgID, id conversations.ID, p conversations.ParticipantID, attributes map[string]string) error {
	if attributes == nil {
		return &cobridge.Error{
			Code: cobridge.CodeAttributeNull, Message: "The attributes must be an object of strings.",
			Details: []cobridge.Detail{{FieldName: "attributes", ErrorCode: "required"}},
		}
	}
	if !d.mine(org, string(id)) {
		return conversations.NotFound(id)
	}
	if !uuidPattern.MatchString(string(p)) {
		return participantNotFound(p)
	}
	_, err := d.call(ctx, http.MethodPatch, "/conversations/"+string(id)+"/participants/"+string(p)+"/attributes", nil,
		map[string]any{"attributes": attributes})
	d.conversations.forget(string(id)) // also after a failure, which may have come too late
	e, known := errors.AsType[*Error](err)
	switch code, none := absent(err); {
	case err == nil:
		d.changedAt(ctx, id)
		return nil
	case none && strings.Contains(code, "participant"):
		return participantNotFound(p)
	case none:
		return conversations.NotFound(id)
	case known && (e.is(http.StatusBadRequest) || e.is(http.StatusConflict) || e.is(http.StatusRequestEntityTooLarge) || e.is(http.StatusUnprocessableEntity)):
		return fmt.Errorf("set attributes: %w", &cobridge.Error{
			Code: cobridge.CodeConstraintValidation, Message: "The directory does not take these attributes.", Err: err,
			Details: []cobridge.Detail{{FieldName: "attributes", ErrorCode: "refused"}},
		})
	}
	return failed("set attributes", err)
}

func participantNotFound(p conversations.ParticipantID) error {
	return &cobridge.Error{
		Code: cobridge.CodeParticipantNotFound, Message: "No participant of this conversation has this id.",
		Params: map[string]string{"participantId": string(p)}, EntityID: string(p), EntityName: "participant",
	}
}

// Disconnect implements [conversations.Directory]. The functions given to
// [Directory.OnEnd] are called even if the conversation had ended before.
func (d *Directory) Disconnect(ctx context.Context, org conversations.OrgID, id conversations.ID) error {
	if !d.mine(org, string(id)) {
		return conversations.NotFound(id)
	}
	_, err := d.call(ctx, http.MethodPost, "/conversations/"+string(id)+"/disconnect", nil, nil)
	d.conversations.forget(string(id))
	if e, ok := errors.AsType[*Error](err); ok && e.Reason == ReasonStatus {
		// Refused, perhaps because nothing is left to be disconnected.
		switch c, readErr := d.conversations.fresh(ctx, string(id), d.readConversation(id)); {
		case readErr != nil:
			return readErr
		case c.Active():
			return failed("disconnect conversation", err)
		}
	} else if err != nil {
		return failed("disconnect conversation", err)
	}
	d.ended(ctx, id)
	return nil
}
