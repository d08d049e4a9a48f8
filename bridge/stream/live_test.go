package stream_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/cobrowse"
)

func TestSessionGoesLiveAndEnds(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent := h.join(t, s, annPID)
	agent.state(t, "waiting")
	supervisor := h.join(t, s, benPID)
	for name, c := range map[string]*client{"agent": agent, "supervisor": supervisor} {
		peers := c.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return connected })
		if connected, _ := peer(peers, annPID); !connected {
			t.Errorf("%s: peers = %v, want both connected", name, peers)
		}
		if state := c.state(t, "live"); state["deadline"] == nil {
			t.Errorf("%s: state = %v, want a deadline", name, state)
		}
	}
	agent.send(t, map[string]any{"t": "end"})
	for name, c := range map[string]*client{"agent": agent, "supervisor": supervisor} {
		before := c.closed(t, 1000, "participantLeft")
		last := before[len(before)-1]
		if last["t"] != "state" || last["state"] != "ended" || last["why"] != "participantLeft" || last["deadline"] != nil {
			t.Errorf("%s: last frame = %v, want state ended", name, last)
		}
	}
	if now, err := h.Look(t.Context(), s.ID); err != nil || now.EndReason != cobrowse.EndParticipantLeft {
		t.Errorf("session = %+v, %v, want it ended", now, err)
	}
}

func TestSessionEndedElsewhere(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent := h.join(t, s, annPID)
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	agent.closed(t, 1000, "ended")
}

func TestSupervisorLeaves(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent, supervisor := h.join(t, s, annPID), h.join(t, s, benPID)
	agent.state(t, "live")
	supervisor.send(t, map[string]any{"t": "end"})
	supervisor.closed(t, 1000, "left")
	peers := agent.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return !connected })
	if _, listed := peer(peers, benPID); !listed {
		t.Errorf("peers = %v, want Ben listed as gone", peers)
	}
	// And comes back with a new link.
	h.join(t, s, benPID)
	agent.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return connected })
}

func TestRemovedParticipant(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent, supervisor := h.join(t, s, annPID), h.join(t, s, benPID)
	if _, err := h.RemoveParticipant(t.Context(), org, s.ID, benPID); err != nil {
		t.Fatalf("RemoveParticipant: %v", err)
	}
	supervisor.closed(t, 4403, "removed")
	agent.until(t, "peers", func(f map[string]any) bool { _, listed := peer(f, benPID); return !listed })
}

func TestAddedParticipantIsListed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent := h.join(t, s, annPID)
	if _, _, _, err := h.AddParticipant(t.Context(), org, s.ID, cobrowse.Invite{UserID: cyn, Role: cobrowse.RoleSupervisor}); err != nil {
		t.Fatalf("AddParticipant: %v", err)
	}
	agent.until(t, "peers", func(f map[string]any) bool { _, listed := peer(f, cynPID); return listed })
}

// A token redeemed by POST replaces the link as well, before the new one is open.
func TestReplacedByRedeemedToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	one := h.join(t, s, annPID)
	h.redeem(t, s, annPID)
	one.closed(t, 4409, "")
}

// Two processes over one store: what one does reaches the clients of the other.
func TestReplacedOnAnotherNode(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	here, supervisor := h.join(t, s, annPID), h.join(t, s, benPID)
	supervisor.state(t, "live")
	elsewhere := h.newNode(t, slog.New(slog.DiscardHandler))
	there := elsewhere.dial(t, dialing{session: s.ID, token: h.token(t, s, annPID)})
	there.expect(t, "welcome")
	here.closed(t, 4409, "")
	there.send(t, map[string]any{"t": "page", "url": "https://shop.example/cart?secret=1#x", "title": "Cart"})
	page := supervisor.until(t, "page", func(f map[string]any) bool { return f["url"] != "" })
	if page["url"] != "https://shop.example/cart" || page["title"] != "Cart" {
		t.Errorf("page = %v, want the sanitised address", page)
	}
	there.send(t, map[string]any{"t": "end"})
	supervisor.closed(t, 1000, "participantLeft")
}

func TestPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	sharer, viewer := h.join(t, s, annPID), h.join(t, s, benPID)
	fits := func(url string) func(map[string]any) bool {
		return func(f map[string]any) bool { return f["url"] == url }
	}
	viewer.until(t, "page", fits(""))
	sharer.send(t, map[string]any{"t": "page", "url": "https://shop.example/a", "title": "A"})
	viewer.until(t, "page", fits("https://shop.example/a"))
	late := h.join(t, s, benPID)
	late.until(t, "page", fits("https://shop.example/a"))
	// A change of the title alone is no event of the session.
	sharer.send(t, map[string]any{"t": "page", "url": "https://shop.example/a", "title": "B"})
	late.until(t, "page", func(f map[string]any) bool { return f["title"] == "B" })
	sharer.send(t, map[string]any{"t": "page", "url": ""})
	late.until(t, "page", fits(""))

	for name, tt := range map[string]struct {
		who  *client
		url  string
		code string
	}{
		"a viewer shows no page": {late, "https://shop.example/b", "not.authorized"},
		"an address of no web":   {sharer, "javascript:alert(1)", "constraint.validation"},
	} {
		tt.who.send(t, map[string]any{"t": "page", "url": tt.url})
		if f := tt.who.expect(t, "err"); f["code"] != tt.code || f["fatal"] != false || f["message"] == "" {
			t.Errorf("%s: err = %v, want %s, not fatal", name, f, tt.code)
		}
	}
	// Neither was let go for it.
	sharer.send(t, map[string]any{"t": "page", "url": "https://shop.example/c"})
	late.until(t, "page", fits("https://shop.example/c"))
}

func TestActivityMovesDeadline(t *testing.T) {
	t.Parallel()
	// The service hears of input at most every 15 seconds, so it is asked instead of waited for.
	acted := make(chan cobrowse.SessionID, 1)
	h := newHouse(t, func(c *cobrowseConfig) { c.Service = serviceWith{Service: c.Service, activity: acted} })
	s := h.start(t, agentAndSupervisor)
	agent := h.join(t, s, annPID)
	agent.send(t, map[string]any{"t": "act"})
	select {
	case got := <-acted:
		if got != s.ID {
			t.Errorf("activity of %s, want %s", got, s.ID)
		}
	case <-time.After(patience):
		t.Fatal("the service heard of no activity")
	}
}

func TestCloseIsReported(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent, supervisor := h.join(t, s, annPID), h.join(t, s, benPID)
	agent.state(t, "live")
	// Without a goodbye, as when a laptop is shut.
	_ = supervisor.NetConn().Close()
	agent.until(t, "peers", func(f map[string]any) bool { connected, _ := peer(f, benPID); return !connected })
	h.counts.wait(t, "closed lost", 1)
	now, err := h.Look(t.Context(), s.ID)
	if err != nil {
		t.Fatalf("Look: %v", err)
	}
	if p, _ := now.Participant(benPID); p.Connection.Open || p.Connection.ClosedAt.IsZero() {
		t.Errorf("connection = %+v, want it closed", p.Connection)
	}
}

// An event may be missed, and user input moves the deadline without one: now and
// then the hub looks by itself.
func TestLooksByItself(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *cobrowseConfig) {
		c.Events = deafEvents{}
		c.Limits.Refresh = 10 * time.Millisecond
	})
	s := h.start(t, agentAndSupervisor)
	agent := h.join(t, s, annPID)
	if _, err := h.End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	agent.closed(t, 1000, "ended")
}

// What happens to a session between the upgrade, or the hello, and the moment at
// which the connection is in the room, has no link to reach yet. The connection
// has to look for itself; here the next look of the hub is far away.
func TestChangesWhileComingIn(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		do            func(h *house, s cobrowse.Session) error
		code          int
		reason        string
		inSubprotocol bool
	}{
		"removed, hello": {func(h *house, s cobrowse.Session) error {
			_, err := h.RemoveParticipant(context.Background(), org, s.ID, benPID)
			return err
		}, 4403, "removed", false},
		"removed, subprotocol": {func(h *house, s cobrowse.Session) error {
			_, err := h.RemoveParticipant(context.Background(), org, s.ID, benPID)
			return err
		}, 4403, "removed", true},
		"ended": {func(h *house, s cobrowse.Session) error {
			_, err := h.End(context.Background(), org, s.ID, cobrowse.EndRequested)
			return err
		}, 1000, "ended", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow := &slowConnect{}
			h := newHouse(t, func(c *stream.Config) {
				slow.Service, c.Service = c.Service, slow
				c.Events = deafEvents{} // the event came and went before the link was in the room
				c.Limits.Refresh = time.Hour
			})
			s := h.start(t, agentAndSupervisor)
			slow.then = func() error { return change.do(h, s) }
			d, hello := dialing{session: s.ID}, h.token(t, s, benPID)
			if change.inSubprotocol {
				d.token, hello = hello, ""
			}
			c := h.dial(t, d)
			if hello != "" {
				c.send(t, map[string]any{"t": "hello", "v": 1, "token": hello})
			}
			c.closed(t, change.code, change.reason)
		})
	}
}

// slowConnect does something between Connect and its answer.
type slowConnect struct {
	stream.Service
	then func() error
}

func (s *slowConnect) Connect(ctx context.Context, r cobrowse.ConnectRequest) (cobrowse.Joined, error) {
	joined, err := s.Service.Connect(ctx, r)
	if err == nil {
		err = s.then()
	}
	return joined, err
}

// Whatever becomes of a connection, it is counted once when it begins and once
// when it ends: the difference is how many are open.
func TestOpenedAndClosedAreCountedInPairs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	bad := h.dial(t, dialing{session: s.ID})
	bad.send(t, map[string]any{"t": "hello", "v": 1, "token": "nonsense"})
	bad.closed(t, 4401, "join.token.invalid")
	good := h.join(t, s, benPID)
	good.send(t, map[string]any{"t": "end"})
	good.closed(t, 1000, "left")
	h.counts.wait(t, "closed notAuthenticated", 1)
	h.counts.wait(t, "closed ended", 1)
	if opened := h.counts.get("opened"); opened != 2 {
		t.Errorf("opened = %d, want 2", opened)
	}
}

// What a client does wrong is no failure of the service.
func TestFaultsOfClientsAreNotLoggedAsOurs(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	sharer := h.join(t, s, annPID)
	sharer.send(t, map[string]any{"t": "page", "url": "javascript:alert(1)"})
	if got := sharer.until(t, "err", func(map[string]any) bool { return true })["code"]; got != "constraint.validation" {
		t.Errorf("code = %v, want constraint.validation", got)
	}
	h.stop()
	if strings.Contains(h.log.String(), "stream call failed") {
		t.Error("a wrong address of a page is logged as a failure of the service")
	}
}
