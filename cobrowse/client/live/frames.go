package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fasthttp/websocket"
)

// take does what a frame says and returns what has happened; the lock is held.
func (s *stream) take(kind string, text []byte) ([]Event, error) {
	switch kind {
	case "welcome":
		return s.takeWelcome(text)
	case "state":
		var f struct{ State, Why string }
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, badFrame(kind, err)
		}
		s.state = f.State
		return []Event{{Kind: EventState, State: f.State, Why: f.Why}}, nil
	case "peers":
		return s.takePeers(text)
	case "grants":
		return s.takeGrants(text)
	case "ptr", "draw":
		var f struct{ From string }
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, badFrame(kind, err)
		}
		return []Event{{Kind: EventPointer, Participant: f.From, What: kind}}, nil
	default:
		return nil, s.side.frame(kind, text)
	}
}

func (s *stream) takeWelcome(text []byte) ([]Event, error) {
	var w welcome
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, badFrame("welcome", err)
	}
	s.participant, s.role, s.state, s.may, s.in = w.Participant, w.Role, w.State, w.May, true
	s.session = w.Session
	s.graceSeconds = w.Limits.GraceSeconds
	if w.Resume.Token != "" {
		s.secret = w.Resume.Token
	}
	if err := s.side.welcomed(w); err != nil {
		return nil, err
	}
	return []Event{{Kind: EventJoined, Participant: w.Participant, Role: w.Role, State: w.State}}, nil
}

// mostPeers is far beyond what a session takes.
const mostPeers = 1000

func (s *stream) takePeers(text []byte) ([]Event, error) {
	var f struct{ List []peer }
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, badFrame("peers", err)
	}
	if len(f.List) > mostPeers {
		return nil, &Error{Code: "tooLarge", Reason: "the list of participants is", Status: websocket.CloseMessageTooBig}
	}
	var events []Event
	was := func(list []peer, id string) bool {
		return slices.ContainsFunc(list, func(p peer) bool { return p.ID == id && p.Connected })
	}
	for _, p := range f.List {
		if p.ID != s.participant && p.Connected != was(s.peers, p.ID) {
			events = append(events, Event{Kind: EventPeer, Participant: p.ID, Role: p.Role, OK: p.Connected})
		}
	}
	for _, p := range s.peers {
		if p.Connected && !was(f.List, p.ID) {
			s.side.gone(p.ID)
		}
	}
	s.peers = f.List
	return events, nil
}

func (s *stream) takeGrants(text []byte) ([]Event, error) {
	var f struct{ List []grant }
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, badFrame("grants", err)
	}
	s.grants = f.List
	var kinds []string
	for _, g := range f.List {
		kinds = append(kinds, g.Kind+" "+g.Participant)
	}
	return []Event{{Kind: EventGrants, What: strings.Join(kinds, ", "), OK: len(kinds) > 0}}, nil
}

// granted tells whether a participant may do something now; the lock is held.
func (s *stream) granted(kind, participant string) bool {
	return slices.ContainsFunc(s.grants, func(g grant) bool {
		return g.Kind == kind && g.Participant == participant && (g.ExpiresAt.IsZero() || g.ExpiresAt.After(s.opts.Clock()))
	})
}

func badFrame(kind string, err error) error {
	return fmt.Errorf("a frame %s that cannot be read: %w", kind, err)
}

// closeNames are the close codes of docs/protocol.md.
func closeName(number int) string {
	switch number {
	case 1001:
		return "goingAway"
	case 1009:
		return "tooLarge"
	case 1011:
		return "internal"
	case 4400:
		return "badFrame"
	case 4401:
		return "notAuthenticated"
	case 4403:
		return "forbidden"
	case 4404:
		return "notFound"
	case 4408:
		return "tooSlow"
	case 4409:
		return "replaced"
	case 4410:
		return "sessionOver"
	case 4423:
		return "busy"
	case 4428:
		return "consentMissing"
	case 4429:
		return "rate"
	case 4503:
		return "overloaded"
	default:
		return "lost"
	}
}

// closeError is the end of a connection as its reader has met it.
func closeError(err error) error {
	closed, ok := errors.AsType[*websocket.CloseError](err)
	switch {
	case !ok || closed.Code == websocket.CloseAbnormalClosure:
		if mine, ok := errors.AsType[*Error](err); ok {
			return mine
		}
		return &Error{Code: "cut", Reason: err.Error()}
	case closed.Code == websocket.CloseNormalClosure:
		return &EndedError{Why: closed.Text}
	case closed.Code == 4410:
		return &EndedError{Why: "sessionOver"}
	default:
		return &Error{Code: closeName(closed.Code), Reason: closed.Text, Status: closed.Code}
	}
}

// mayComeBack tells whether the same means open another connection.
func (e *Error) mayComeBack() bool {
	switch e.Status {
	case 1001, 1011, 1005, 1006, 4408, 4423, 4429, 4503, 429, 502, 503, 504:
		return true
	default:
		return false
	}
}

// pause is how long the server wants to be left alone at least.
func (e *Error) pause() time.Duration {
	switch e.Status {
	case 1001:
		var wanted struct {
			RetryMs int `json:"retryMs"`
		}
		if json.Unmarshal([]byte(e.Reason), &wanted) == nil {
			return min(time.Duration(wanted.RetryMs)*time.Millisecond, time.Minute)
		}
		return 0
	case 4423, 4429, 4503, 429, 503:
		return laterPause
	default:
		return 0
	}
}
