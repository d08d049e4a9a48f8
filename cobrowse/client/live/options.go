package live

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Options say how to get into a session. JoinURL, or BaseURL and Token, are required.
type Options struct {
	JoinURL string // as the service has given it to this participant; good for one connect

	BaseURL   string // public address of the service, in place of JoinURL
	Token     string // join token, in place of JoinURL
	SessionID string // of the session, if known: then the token is shown on the stream itself and not redeemed before

	Transport http.RoundTripper // of calls, not of the stream; nil = one of its own
	TLS       *tls.Config       // of the stream and, if Transport is nil, of calls; nil = the system's

	// Clock stamps frames; nil = time.Now.
	Clock func() time.Time

	// OnEvent is told what happens, one event after the other; it must return soon
	// and call no method that waits. Nil = nobody.
	OnEvent func(Event)

	// Decide answers a viewer who asks the sharer for something; it must return
	// soon and call no method of the sharer. Nil = no to everything.
	Decide func(Request) bool

	// Site is where the sharer's page leads: it returns the page with this absolute
	// address, or false, and calls no method of the sharer. Nil = links lead nowhere.
	Site func(url string) (Page, bool)
}

// Event is something that has happened.
type Event struct {
	Kind        string `json:"event"`                 // one of the names below
	Participant string `json:"participant,omitempty"` // who
	Role        string `json:"role,omitempty"`
	State       string `json:"state,omitempty"` // of the session
	What        string `json:"what,omitempty"`  // kind of a request, grant or action
	OK          bool   `json:"ok,omitempty"`
	Why         string `json:"why,omitempty"`  // not, or the reason of an end
	Path        string `json:"path,omitempty"` // CSS path of an element
	URL         string `json:"url,omitempty"`  // of the page
	Title       string `json:"title,omitempty"`
}

// Kinds of events.
const (
	EventJoined  = "joined"  // this participant is in: Participant, Role, State
	EventLost    = "lost"    // the connection is, and will be tried again
	EventState   = "state"   // State of the session, Why
	EventPeer    = "peer"    // somebody is there, OK, or is not any more: Participant, Role
	EventPage    = "page"    // the shared page is another: URL, Title
	EventPicture = "picture" // the picture has changed; to viewers
	EventAsked   = "asked"   // a viewer asks for What; OK is the answer; to the sharer
	EventGrants  = "grants"  // What this participant, or for the sharer all, may do now
	EventAction  = "action"  // a viewer did What at Path, OK or Why not; to the sharer
	EventPointer = "pointer" // somebody points or draws: Participant, What
	EventEnded   = "ended"   // the session is over for this participant: Why
)

// Request is what a viewer asks the sharer for.
type Request struct {
	Kind        string // control, draw or navigate
	Participant string // who asks
	Name, Role  string
}

// Kinds of requests.
const (
	Control  = "control"
	Draw     = "draw"
	Navigate = "navigate"
)

// Error is why a connection did not come about or has ended. An end that somebody
// wanted is none, see [EndedError].
type Error struct {
	Code   string // of the API, such as join.token.used, or the name of a close code in docs/protocol.md, such as replaced
	Reason string // of the service, or of the network; for people
	Status int    // HTTP status, or the number of the close code; 0 = none came
}

// Error returns what is known.
func (e *Error) Error() string {
	text := e.Code
	if e.Reason != "" && e.Reason != e.Code {
		text += ": " + e.Reason
	}
	if e.Status != 0 {
		text += fmt.Sprintf(" (%d)", e.Status)
	}
	return text
}

// EndedError is how a session ends that was not broken off.
type EndedError struct {
	Why string // end reason, such as ended, participantLeft or inactive; left: this participant alone
}

// Error returns the reason.
func (e *EndedError) Error() string { return "the session is over: " + e.Why }

// RefusedError is an action or a request that was not done.
type RefusedError struct {
	Why string // as docs/protocol.md lists it for done and answer
}

// Error returns the reason.
func (e *RefusedError) Error() string { return "refused: " + e.Why }

// split takes a join URL apart.
func split(joinURL string) (base, token string, ok bool) {
	address, rest, ok := strings.Cut(joinURL, "token=")
	if !ok {
		return "", "", false
	}
	token, _, _ = strings.Cut(rest, "&")
	base, ok = strings.CutSuffix(strings.TrimRight(address, "?#&"), "/cobrowse/join")
	return base, token, ok && token != "" && strings.HasPrefix(base, "http")
}
