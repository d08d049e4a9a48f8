package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const historyPath = "/api/v2/cobrowse/history"

// HistoryRecord is a session as it was when it ended.
type HistoryRecord struct {
	Session

	Pages   []PageVisit `json:"pages"`   // what the sharer looked at, oldest first
	Stays   []Stay      `json:"stays"`   // who was there when, by participant
	Grants  []Grant     `json:"grants"`  // what the sharer agreed to, oldest first
	Actions []Action    `json:"actions"` // what viewers did with it, oldest first
	// ActionsLeftOut counts the actions for which the record had no room.
	ActionsLeftOut int        `json:"actionsLeftOut,omitempty"`
	Violation      *Violation `json:"violation,omitempty"` // with EndReason maskingViolation
}

// Stay is a time for which a participant was there. Reloads and repaired
// connections are part of one.
type Stay struct {
	ParticipantID string    `json:"participantId"`
	DateJoined    time.Time `json:"dateJoined"`
	DateLeft      time.Time `json:"dateLeft"`
}

// Grant is a consent of the sharer.
type Grant struct {
	Kind          string    `json:"kind"`                    // sharing, control, draw or navigate
	ParticipantID string    `json:"participantId,omitempty"` // who got it; empty for sharing: everybody
	GivenBy       string    `json:"givenBy"`
	TextVersion   string    `json:"textVersion,omitempty"` // of the text that was agreed to
	DateGiven     time.Time `json:"dateGiven"`
	DateExpires   time.Time `json:"dateExpires,omitzero"` // zero = with the session
	DateRevoked   time.Time `json:"dateRevoked,omitzero"` // zero if nobody took it back
	RevokedBy     string    `json:"revokedBy,omitempty"`  // empty if no participant did
}

// Action is what a viewer did, or tried, on the shared page; never what was typed.
type Action struct {
	Date          time.Time `json:"date"`
	DateLast      time.Time `json:"dateLast"` // of Count alike in a row
	ParticipantID string    `json:"participantId"`
	Kind          string    `json:"kind"`   // click, text, key and so on
	Path          string    `json:"path"`   // CSS path of the element
	Result        string    `json:"result"` // ok, or why it was refused
	Count         int       `json:"count"`
}

// Violation is where something was seen that must be hidden.
type Violation struct {
	Date time.Time `json:"date"`
	Path string    `json:"path"`
}

// PageVisit is one page of the sharer.
type PageVisit struct {
	URL             string    `json:"url"` // without user info, query and fragment
	Title           string    `json:"title,omitempty"`
	DateEntered     time.Time `json:"dateEntered"`
	DurationSeconds int       `json:"durationSeconds"`
}

// HistoryQuery selects records.
type HistoryQuery struct {
	ConversationID string    // "" = all
	From, To       time.Time // when sessions ended: from the first on, before the second; zero = no bound
	PageSize       int       // how many are asked for at a time, 1..100; 0 = 25
}

// maxBarren is how many pages without a record may follow each other.
const maxBarren = 100

// History goes through the records, latest end first, reading on as needed. A
// failure is the last thing that it yields; pages that lead nowhere are one. Scope
// cobrowse:session:read.
func (c *Client) History(ctx context.Context, q HistoryQuery) iter.Seq2[HistoryRecord, error] {
	return func(yield func(HistoryRecord, error) bool) {
		query := values("conversationId", q.ConversationID, "from", stamp(q.From), "to", stamp(q.To))
		if q.PageSize != 0 {
			query.Set("pageSize", strconv.Itoa(q.PageSize))
		}
		read := map[string]bool{} // cursors: pages that lead in a circle would never end
		for barren := 0; ; barren++ {
			page, err := list[HistoryRecord](ctx, c, historyPath, query)
			if err != nil {
				yield(HistoryRecord{}, err)
				return
			}
			for _, record := range page.Entities {
				if !yield(record, nil) {
					return
				}
			}
			if page.NextURI == "" {
				return
			}
			if len(page.Entities) > 0 {
				barren = 0
			}
			next, err := url.Parse(page.NextURI)
			after := ""
			if err == nil {
				after = next.Query().Get("after")
			}
			if after == "" || read[after] || barren >= maxBarren {
				yield(HistoryRecord{}, fmt.Errorf("read history: the next page %.200q does not go on", page.NextURI))
				return
			}
			read[after] = true
			query.Set("after", after)
		}
	}
}

// HistoryRecord returns one record; 404 if the session is unknown or still lives.
// Scope cobrowse:session:read.
func (c *Client) HistoryRecord(ctx context.Context, sessionID string) (HistoryRecord, error) {
	var record HistoryRecord
	_, err := c.do(ctx, call{method: http.MethodGet, path: historyPath + "/" + segment(sessionID), into: &record})
	return record, err
}

// NewHistoryRecord is the record of a session that another server held.
type NewHistoryRecord struct {
	SessionToken  string      `json:"sessionToken"` // nine digits
	DateCreated   time.Time   `json:"dateCreated"`
	DateActivated time.Time   `json:"dateActivated,omitzero"` // zero if it never became active
	DateEnded     time.Time   `json:"dateEnded"`
	EndReason     string      `json:"endReason,omitempty"` // empty = not known
	Pages         []PageVisit `json:"pages,omitzero"`      // oldest first; the service keeps at most 500
}

// ImportHistoryRecord stores a record. If the service has one with this id it stays
// as it is, and created is false; a call that was repeated on the way may find what
// it stored itself. It is refused with 409 while a session with this id is live, and
// with 400 if the retention of such a record is over. Scope cobrowse:session:write.
func (c *Client) ImportHistoryRecord(ctx context.Context, sessionID string, in NewHistoryRecord) (record HistoryRecord, created bool, err error) {
	header, err := c.do(ctx, call{method: http.MethodPut, path: historyPath + "/" + segment(sessionID), body: in, into: &record})
	return record, err == nil && header.Get("Location") != "", err
}

// HistoryLink shows the history page of one session to whoever has it, as often
// as wanted until it expires.
type HistoryLink struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// CreateHistoryLink makes a link to the history page of a session, which may still
// live; 404 if there is none. Scope cobrowse:session:read.
func (c *Client) CreateHistoryLink(ctx context.Context, sessionID string) (HistoryLink, error) {
	var link HistoryLink
	_, err := c.do(ctx, call{method: http.MethodPost, path: historyPath + "/" + segment(sessionID) + "/links", into: &link, again: true})
	return link, err
}

// stamp writes a time as the service does.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
