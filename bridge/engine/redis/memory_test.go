package redis_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge/bridge/engine/redis"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// typical is a session as the service makes it, with an agent and a customer; and, when
// it has ended, with five pages.
func typical(i int) cobrowse.Session {
	id := uuid.NewString
	s := cobrowse.Session{
		ID: cobrowse.SessionID(uuid.Must(uuid.NewV7()).String()), OrgID: org, ConversationID: conversations.ID(id()), DeploymentID: cobrowse.DeploymentID(id()),
		Token: cobrowse.SessionToken(fmt.Sprintf("%09d", i)), Settings: cobrowse.Settings{Timeout: 15 * time.Minute},
		CreatedAt: t0.Add(time.Duration(i) * time.Second), CreatedBy: id(), TokenIssuedAt: t0, Deadline: t0.Add(20 * time.Minute), DeadlineReason: cobrowse.EndNeverJoined, Version: 1,
	}
	agent := id()
	s.Participants = []cobrowse.Participant{
		{ID: cobrowse.ParticipantID(agent), UserID: conversations.UserID(agent), Role: cobrowse.RoleAgent, Name: "Ada Agent", State: cobrowse.ParticipantInvited},
		{ID: cobrowse.ParticipantID(id()), Role: cobrowse.RoleCustomer, Name: "Kim Customer", State: cobrowse.ParticipantInvited},
	}
	return s
}

func (m measured) change(s cobrowse.Session) cobrowse.Change {
	return cobrowse.Change{At: t0, Session: s, Events: []cobrowse.Event{event(s, cobrowse.EventCreated)}}
}

// measured is a store with a server of its own.
type measured struct {
	t      *testing.T
	server *testenv.RedisServer
	store  *redis.Store
}

// used is how much memory the server's data take.
func (m measured) used() int {
	m.t.Helper()
	for line := range strings.Lines(m.server.Do(m.t, "INFO", "memory")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory_dataset:"); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				m.t.Fatalf("INFO memory: %v", err)
			}
			return n
		}
	}
	m.t.Fatal("INFO memory does not tell used_memory_dataset")
	return 0
}

// How much memory a session takes stands in docs/operations.md; this prints it (-v) and
// fails when it is far more than that.
func TestMemory(t *testing.T) {
	t.Parallel()
	const n = 2000
	m := measured{t: t, server: testenv.StartRedis(t, "--appendonly", "no")}
	m.store = mustOpen(t, m.server.URL)
	mustApply(t, m.store, m.change(typical(n))) // scripts and buffers are there
	before := m.used()
	sessions := make([]cobrowse.Session, n)
	for i := range sessions {
		s := typical(i)
		c := m.change(s)
		c.Take = []cobrowse.Claim{{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(s.ConversationID)}, {Kind: cobrowse.ClaimSessionToken, Key: string(s.Token)}}
		mustApply(t, m.store, c)
		sessions[i] = s
	}
	live := m.used()
	keys := m.store.SessionKeys(string(sessions[0].ID))
	record, err := m.store.Raw().Do(t.Context(), m.store.Raw().B().MemoryUsage().Key(keys[0]).Build()).AsInt64()
	if err != nil {
		t.Fatalf("MEMORY USAGE: %v", err)
	}
	for i, s := range sessions {
		s.Version, s.ActivatedAt, s.EndedAt, s.EndReason = 2, t0.Add(time.Minute), t0.Add(time.Duration(i)*time.Second), cobrowse.EndParticipantLeft
		for p := range 5 {
			s.Pages = append(s.Pages, cobrowse.PageVisit{URL: fmt.Sprintf("https://shop.example/departments/%d/articles/%d", p, i), Title: "An article of the shop", EnteredAt: t0, LeftAt: t0.Add(time.Minute)})
		}
		c := m.change(s)
		c.Release = []cobrowse.Release{
			{Claim: cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(s.ConversationID)}},
			{Claim: cobrowse.Claim{Kind: cobrowse.ClaimSessionToken, Key: string(s.Token)}, Until: t0.Add(24 * time.Hour)},
		}
		mustApply(t, m.store, c)
	}
	over := m.used()
	if _, err := m.store.Purge(t.Context(), cobrowse.Purge{At: t0.Add(48 * time.Hour), Events: t0.Add(time.Hour)}, 10*n); err != nil {
		t.Fatalf("Purge: %v", err)
	}
	later := m.used()
	t.Logf("a live session: %d bytes, of them %d its record; a history record of the same day: %d bytes; of a day before: %d bytes",
		(live-before)/n, record, (over-before)/n, (later-before)/n)
	if got := (live - before) / n; got > 6000 {
		t.Errorf("a live session takes %d bytes, want at most 6000", got)
	}
	if got := (later - before) / n; got > 6000 {
		t.Errorf("a history record takes %d bytes, want at most 6000", got)
	}
}

func BenchmarkApply(b *testing.B) {
	for name, args := range map[string][]string{"always": nil, "everysec": {"--appendfsync", "everysec"}, "no AOF": {"--appendonly", "no"}} {
		server := testenv.StartRedis(b, args...)
		store := mustOpen(b, fresh(server.URL))
		var m measured
		b.Run("create/fsync="+name+"/parallel=1", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := store.Apply(b.Context(), m.claiming(typical(i))); err != nil {
					b.Fatalf("Apply: %v", err)
				}
			}
		})
		b.Run("create/fsync="+name+"/parallel=64", func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if err := store.Apply(b.Context(), m.claiming(typical(i))); err != nil {
						b.Errorf("Apply: %v", err)
						return
					}
				}
			})
		})
	}
}

// claiming is what creating a session changes.
func (m measured) claiming(s cobrowse.Session) cobrowse.Change {
	c := m.change(s)
	c.Take = []cobrowse.Claim{{Kind: cobrowse.ClaimConversation, OrgID: org, Key: string(s.ConversationID)}, {Kind: cobrowse.ClaimSessionToken, Key: uuid.NewString()}}
	return c
}

func BenchmarkSession(b *testing.B) {
	server := testenv.StartRedis(b)
	store := mustOpen(b, fresh(server.URL))
	var m measured
	s := typical(0)
	if err := store.Apply(b.Context(), m.claiming(s)); err != nil {
		b.Fatalf("Apply: %v", err)
	}
	for _, parallel := range []int{1, 32} {
		b.Run(fmt.Sprintf("parallel=%d", 2*parallel), func(b *testing.B) {
			b.SetParallelism(parallel)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := store.Session(b.Context(), s.ID); err != nil {
						b.Errorf("Session: %v", err)
						return
					}
				}
			})
		})
	}
}
