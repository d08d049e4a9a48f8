package enginetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

const racers = 64

func raceTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"one winner when 64 race for one conversation":      testCreateRace,
		"no change is lost when many change one session":    testChangeStorm,
		"a join token is redeemed once in a race":           testRedeemRace,
		"an idempotency key creates one session in a race":  testRepeatRace,
		"all callers see the same secret":                   testSecretRace,
		"no update of a conversation is lost":               testConversationStorm,
		"no update of a client is lost":                     testClientStorm,
		"one winner when 64 create one client":              testClientRace,
		"a writer reads at once what it has written":        testReadYourWrites,
		"an end and a change of the same session: one wins": testEndRace,
	}
}

// race calls fn at the same moment from many goroutines and waits for all.
func race(n int, fn func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	wg.Wait()
}

func testCreateRace(t *testing.T, e Engine) {
	for round := range 20 {
		conversation := conversations.ID(fmt.Sprintf("c-%d", round))
		claim := conversationClaim(conversation)
		var winners, losers sync.Map
		race(racers, func(i int) {
			c := change(session(fmt.Sprintf("s-%d-%d", round, i), conversation))
			c.Take = []cobrowse.Claim{claim}
			c.Events = []cobrowse.Event{event(c.Session, cobrowse.EventCreated)}
			err := e.Apply(t.Context(), c)
			claimed, lost := errors.AsType[*cobrowse.ClaimedError](err)
			switch {
			case err == nil:
				winners.Store(c.Session.ID, true)
			case lost:
				losers.Store(claimed.Holder, true)
			default:
				t.Errorf("Apply = %v, want nil or a ClaimedError", err)
			}
		})
		won := keys(&winners)
		if len(won) != 1 {
			t.Fatalf("round %d: %d winners, want 1", round, len(won))
		}
		wantSame(t, "who the losers were told", keys(&losers), won)
		wantHolder(t, e, claim, won[0])
		live, total, err := e.Sessions(t.Context(), cobrowse.Query{OrgID: org, ConversationID: conversation, Limit: 10})
		mustStore(t, err)
		if total != 1 || len(live) != 1 || live[0].ID != won[0] {
			t.Errorf("round %d: Sessions = %v of %d, want the winner %s alone", round, ids(live), total, won[0])
		}
		over := change(ended(live[0], t0))
		over.Release = []cobrowse.Release{{Claim: claim}}
		mustApply(t, e, over)
	}
}

func keys(m *sync.Map) []cobrowse.SessionID {
	var out []cobrowse.SessionID
	m.Range(func(key, _ any) bool {
		out = append(out, key.(cobrowse.SessionID))
		return true
	})
	return out
}

func testChangeStorm(t *testing.T, e Engine) {
	const writers, each = 16, 8
	mustApply(t, e, change(session("s-1", "c-1")))
	race(writers, func(int) {
		for done := 0; done < each; {
			s, err := e.Session(t.Context(), "s-1")
			if err != nil {
				t.Errorf("Session = %v", err)
				return
			}
			s.Version++
			s.Participants[0].Connection.Number++
			switch err := e.Apply(t.Context(), change(s)); {
			case err == nil:
				done++
			case !errors.Is(err, cobrowse.ErrStale):
				t.Errorf("Apply = %v, want nil or %v", err, cobrowse.ErrStale)
				return
			}
		}
	})
	s, err := e.Session(t.Context(), "s-1")
	mustStore(t, err)
	if got, want := s.Participants[0].Connection.Number, uint64(writers*each); got != want || s.Version != want+1 {
		t.Errorf("after %d changes the counter is %d and the version %d, want %d and %d", want, got, s.Version, want, want+1)
	}
}

func testRedeemRace(t *testing.T, e Engine) {
	var winners atomic.Int32
	race(racers, func(i int) {
		c := change(session(fmt.Sprintf("s-%d", i), ""))
		c.Redeem = &cobrowse.RedeemedToken{ID: "jti", ExpiresAt: t0.Add(time.Hour)}
		switch err := e.Apply(t.Context(), c); {
		case err == nil:
			winners.Add(1)
		case !errors.Is(err, cobrowse.ErrTokenUsed):
			t.Errorf("Apply = %v, want nil or %v", err, cobrowse.ErrTokenUsed)
		}
	})
	if got := winners.Load(); got != 1 {
		t.Errorf("the token was redeemed %d times, want 1", got)
	}
	if _, total, err := e.Sessions(t.Context(), cobrowse.Query{OrgID: org, Limit: 1}); err != nil || total != 1 {
		t.Errorf("Sessions counts %d, %v, want 1", total, err)
	}
}

func testRepeatRace(t *testing.T, e Engine) {
	var winners atomic.Int32
	key := cobrowse.RepeatKey{OrgID: org, Key: "k"}
	race(racers, func(i int) {
		c := change(session(fmt.Sprintf("s-%d", i), ""))
		c.Repeatable = &cobrowse.Repeatable{RepeatKey: key, SessionID: c.Session.ID, ExpiresAt: t0.Add(time.Hour)}
		switch err := e.Apply(t.Context(), c); {
		case err == nil:
			winners.Add(1)
		case !errors.Is(err, cobrowse.ErrRepeated):
			t.Errorf("Apply = %v, want nil or %v", err, cobrowse.ErrRepeated)
		}
	})
	if got := winners.Load(); got != 1 {
		t.Errorf("the key created %d sessions, want 1", got)
	}
	r, err := e.Repeatable(t.Context(), key, t0)
	mustStore(t, err)
	if _, err := e.Session(t.Context(), r.SessionID); err != nil {
		t.Errorf("Session of the remembered id = %v", err)
	}
}

func testSecretRace(t *testing.T, e Engine) {
	var seen sync.Map
	race(racers, func(i int) {
		secret, err := e.Secret(t.Context(), "join", []byte{byte(i), 0, 255})
		if err != nil {
			t.Errorf("Secret = %v", err)
		}
		seen.Store(cobrowse.SessionID(secret), true)
		clear(secret) // must not be the store's own
	})
	first := keys(&seen)
	if len(first) != 1 {
		t.Fatalf("callers saw %d secrets, want 1", len(first))
	}
	e = e.Reopen(t)
	for name, want := range map[string]string{"join": string(first[0]), "Join": "other"} {
		proposed := []byte("other")
		got, err := e.Secret(t.Context(), name, proposed)
		clear(proposed)
		if err != nil || string(got) != want {
			t.Errorf("Secret(%q) after a restart = %q, %v, want %q", name, got, err, want)
		}
		if again, err := e.Secret(t.Context(), name, []byte("third")); err != nil || string(again) != want {
			t.Errorf("Secret(%q) again = %q, %v, want %q", name, again, err, want)
		}
	}
}

func testConversationStorm(t *testing.T, e Engine) {
	mustStore(t, e.CreateConversation(t.Context(), conversation("c-1")))
	race(16, func(i int) {
		for j := range 4 {
			_, err := e.UpdateConversation(t.Context(), org, "c-1", func(c *conversations.Conversation) error {
				c.Participants[0].Attributes[fmt.Sprintf("k-%d-%d", i, j)] = "v"
				return nil
			})
			if err != nil {
				t.Errorf("UpdateConversation = %v", err)
			}
		}
	})
	c, err := e.Conversation(t.Context(), org, "c-1")
	mustStore(t, err)
	if got, want := len(c.Participants[0].Attributes), 16*4+len(conversation("c-1").Participants[0].Attributes); got != want {
		t.Errorf("%d attributes after the storm, want %d", got, want)
	}
}

func testClientStorm(t *testing.T, e Engine) {
	mustStore(t, e.CreateClient(t.Context(), client("a", string(org))))
	race(16, func(int) {
		for range 4 {
			if err := e.UpdateClient(t.Context(), "a", func(c *oauth.Client) error { c.Generation++; return nil }); err != nil {
				t.Errorf("UpdateClient = %v", err)
			}
		}
	})
	c, err := e.Client(t.Context(), "a")
	mustStore(t, err)
	if got, want := c.Generation, client("a", "").Generation+16*4; got != want {
		t.Errorf("the generation is %d after the storm, want %d", got, want)
	}
}

func testClientRace(t *testing.T, e Engine) {
	var winners atomic.Int32
	race(racers, func(i int) {
		if err := e.CreateClient(t.Context(), client("a", fmt.Sprintf("org-%d", i))); err != nil {
			wantCode(t, "CreateClient", err, cobridge.CodeConflict)
			return
		}
		winners.Add(1)
	})
	if got := winners.Load(); got != 1 {
		t.Errorf("%d winners, want 1", got)
	}
}

func testReadYourWrites(t *testing.T, e Engine) {
	race(16, func(i int) {
		s := session(fmt.Sprintf("s-%d", i), "")
		for range 10 {
			if err := e.Apply(t.Context(), change(s)); err != nil {
				t.Errorf("Apply = %v", err)
				return
			}
			wantSession(t, e, s)
			s = next(s)
		}
		if err := e.Apply(t.Context(), change(ended(s, t0))); !errors.Is(err, cobrowse.ErrStale) {
			t.Errorf("Apply of a skipped version = %v, want %v", err, cobrowse.ErrStale)
		}
		jti := fmt.Sprintf("jti-%d", i)
		if err := e.Revoke(t.Context(), jti, t0); err != nil {
			t.Errorf("Revoke = %v", err)
		}
		if revoked, err := e.Revoked(t.Context(), jti, t0.Add(-time.Second)); err != nil || !revoked {
			t.Errorf("Revoked = %t, %v after Revoke", revoked, err)
		}
	})
}

func testEndRace(t *testing.T, e Engine) {
	for round := range 20 {
		s := session(fmt.Sprintf("s-%d", round), "")
		mustApply(t, e, change(s))
		var winners atomic.Int32
		race(8, func(i int) {
			c := change(next(s))
			if i%2 == 0 {
				c = change(ended(s, t0))
			}
			switch err := e.Apply(t.Context(), c); {
			case err == nil:
				winners.Add(1)
			case !errors.Is(err, cobrowse.ErrStale):
				t.Errorf("Apply = %v, want nil or %v", err, cobrowse.ErrStale)
			}
		})
		if got := winners.Load(); got != 1 {
			t.Errorf("round %d: %d changes of one version were stored, want 1", round, got)
		}
	}
}
