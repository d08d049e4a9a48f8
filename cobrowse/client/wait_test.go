package client_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/mocks"
)

// People come one after the other while a caller waits; then it waits for the end.
func TestWait(t *testing.T) {
	t.Parallel()
	m, c := newMockBetween(t, http.MethodGet, "", func(m *mocks.Mock, n int) {
		switch n {
		case 2:
			m.Join(m.SessionID, "customer")
		case 4:
			m.Join(m.SessionID, "agent")
		case 6:
			m.Leave(m.SessionID, "customer")
		}
	}, mocks.Given(mocks.SessionThere))
	session, err := c.WaitActive(t.Context(), m.SessionID)
	if err != nil || session.State != "active" || session.Participants[1].State != "joined" {
		t.Fatalf("WaitActive = %+v, %v, want an active session with its agent", session, err)
	}
	if n := len(m.CallsTo(routeSession)); n != 4 {
		t.Errorf("%d looks, want 4", n)
	}
	session, err = c.WaitEnded(t.Context(), m.SessionID)
	if err != nil || session.State != "ended" || session.EndReason != "participantLeft" {
		t.Errorf("WaitEnded = %+v, %v, want an ended one: participantLeft", session, err)
	}
	again, err := c.WaitEnded(t.Context(), m.SessionID)
	if err != nil || again.EndReason != "participantLeft" {
		t.Errorf("WaitEnded of an ended one = %+v, %v, want it at once", again, err)
	}
}

// What does not become active any more is not waited for.
func TestWaitActiveEnded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		scenario mocks.Scenario
		end      func(m *mocks.Mock)
		says     string
		active   bool
	}{
		{"nobody came", mocks.SessionThere, func(m *mocks.Mock) { m.Turn(20 * time.Minute) }, "before it became active: neverJoined", false},
		{"its conversation ended", mocks.SessionThere, func(m *mocks.Mock) { m.EndConversation(m.ConversationID) }, "before it became active: conversationEnded", false},
		{"over already", mocks.SessionActive, func(m *mocks.Mock) { m.Leave(m.SessionID, "agent") }, "has ended: participantLeft", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, c := newMockBetween(t, http.MethodGet, "", func(m *mocks.Mock, n int) {
				if n == 2 || tt.active && n == 1 {
					tt.end(m)
				}
			}, mocks.Given(tt.scenario))
			session, err := c.WaitActive(t.Context(), m.SessionID)
			ended, ok := errors.AsType[*client.EndedError](err)
			if !ok || ended.Session.ID != m.SessionID || session.State != "ended" || ended.Session.DateActivated.IsZero() == tt.active {
				t.Fatalf("WaitActive = %+v, %v, want an *EndedError", session, err)
			}
			if !strings.Contains(err.Error(), m.SessionID) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %q, want the session's id and %q", err, tt.says)
			}
		})
	}
}

// A service that is away for a while is waited for; what it refuses is final.
func TestWaitThroughFailures(t *testing.T) {
	t.Parallel()
	m, c := newMock(t, func(o *client.Options) { o.Retries = -1 }, mocks.Given(mocks.SessionActive))
	faults := []mocks.Fault{mocks.ConnectionRefused(), mocks.GatewayError(http.StatusBadGateway), mocks.CutBody(), mocks.TokenExpired()}
	for _, fault := range faults {
		m.Fail(routeSession, fault)
	}
	if session, err := c.WaitActive(t.Context(), m.SessionID); err != nil || session.State != "active" {
		t.Errorf("WaitActive = %+v, %v, want an active session", session, err)
	}
	if n := len(m.CallsTo(routeSession)); n != len(faults)+1 { // the dead token is replaced within a look
		t.Errorf("%d looks, want %d: %v", n, len(faults)+1, m.Calls())
	}
	if _, err := c.WaitEnded(t.Context(), "nobody"); client.StatusOf(err) != http.StatusNotFound {
		t.Errorf("WaitEnded of no session = %v, want 404", err)
	}
	m.Fail(routeSession, mocks.MalformedJSON())
	if _, err := c.WaitActive(t.Context(), m.SessionID); err == nil {
		t.Error("WaitActive takes half of an answer")
	}
}

// How often it looks, and when it gives up. Time is synctest's.
func TestWaitPauses(t *testing.T) {
	t.Parallel()
	idle, ended := jsonAnswer(200, `{"id":"s1","state":"idle"}`), jsonAnswer(200, `{"id":"s1","state":"ended"}`)
	away := jsonAnswer(503, `{"status":503}`)
	var many []httpmock.Responder
	for range 30 {
		many = append(many, idle)
	}
	long := slices.Repeat([]httpmock.Responder{away}, 220) // some eight minutes
	twice := slices.Concat(long, []httpmock.Responder{idle}, long, []httpmock.Responder{ended})
	for _, tt := range []struct {
		name     string
		answers  []httpmock.Responder
		deadline time.Duration // of the context; 0 = none
		looks    [2]int        // at least, at most
		took     [2]time.Duration
		says     string // "" = no error
	}{
		{"slower and slower, but not too slow", append(many, ended), 0, [2]int{31, 31}, [2]time.Duration{50 * time.Second, 62 * time.Second}, ""},
		{"when the service says so", []httpmock.Responder{idle, jsonAnswer(429, `{"status":429}`, "Retry-After", "60"), ended}, 0, [2]int{3, 3}, [2]time.Duration{60 * time.Second, 70 * time.Second}, ""},
		{"never that late", []httpmock.Responder{jsonAnswer(429, `{"status":429}`, "Retry-After", "3600")}, 0, [2]int{1, 1}, [2]time.Duration{0, time.Second}, "429"},
		{"not for ever without an answer", []httpmock.Responder{away}, 0, [2]int{250, 400}, [2]time.Duration{9 * time.Minute, 12 * time.Minute}, "wait until session s1 is ended: 503"},
		{"for as long again after an answer", twice, 0, [2]int{442, 442}, [2]time.Duration{14 * time.Minute, 17 * time.Minute}, ""},
		{"until the context ends", []httpmock.Responder{away, idle}, time.Minute, [2]int{20, 60}, [2]time.Duration{time.Minute, time.Minute}, "wait until session s1 is ended: context deadline exceeded"},
		{"and then says what was last", []httpmock.Responder{idle, away}, time.Minute, [2]int{20, 60}, [2]time.Duration{time.Minute, time.Minute}, "deadline exceeded; the service's latest answer: 503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, c := newService(t)
				s.withTokens().on("GET", "/api/v2/cobrowse/sessions/s1", tt.answers...)
				ctx := t.Context()
				if tt.deadline != 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				start := time.Now()
				_, err := c.WaitEnded(ctx, "s1")
				if took := time.Since(start); took < tt.took[0] || took > tt.took[1] {
					t.Errorf("took %s, want %s to %s", took, tt.took[0], tt.took[1])
				}
				if looks := len(s.seen) - s.tokens; looks < tt.looks[0] || looks > tt.looks[1] {
					t.Errorf("%d looks, want %d to %d", looks, tt.looks[0], tt.looks[1])
				}
				if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error = %v, want %q", err, tt.says)
				}
				if err != nil && strings.Contains(err.Error(), "latest answer") != strings.Contains(tt.says, "latest answer") {
					t.Errorf("error = %v, which speaks of another answer than the latest", err)
				}
				if tt.deadline != 0 && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error = %v, want the context's", err)
				}
			})
		})
	}
}
