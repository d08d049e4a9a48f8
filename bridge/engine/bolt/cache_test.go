package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// followOne makes a named follower store its place after one event.
func followOne(t *testing.T, store *bolt.Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := store.Follow(ctx, "follower", nil, func(context.Context, cobrowse.Event) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("Follow = %v", err)
	}
}

// A cache of four sessions under sixteen that change all the time: whoever reads
// sees at least the version that was acknowledged before.
func TestSmallCacheIsNeverBehind(t *testing.T) {
	t.Parallel()
	const sessions, versions, limit = 16, 40, 4
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	store.CacheSessions(limit)
	var mu sync.Mutex
	acknowledged := map[cobrowse.SessionID]uint64{}
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range sessions {
		writers.Go(func() {
			s := newSession(fmt.Sprintf("s-%d", i), "c")
			for range versions {
				if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s}); err != nil {
					t.Errorf("Apply = %v", err)
					return
				}
				mu.Lock()
				acknowledged[s.ID] = s.Version
				mu.Unlock()
				s.Version++
			}
			s.EndedAt = t0
			if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s}); err != nil {
				t.Errorf("Apply of the end = %v", err)
			}
			if got, err := store.Session(t.Context(), s.ID); err != nil || got.Live() {
				t.Errorf("Session after the end = live %t, %v", got.Live(), err)
			}
		})
	}
	for r := range 4 {
		readers.Go(func() {
			for i := r; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := cobrowse.SessionID(fmt.Sprintf("s-%d", i%sessions))
				mu.Lock()
				least := acknowledged[id]
				mu.Unlock()
				if got, err := store.Session(t.Context(), id); least > 0 && (err != nil || got.Version < least) {
					t.Errorf("Session(%s) = version %d, %v, after version %d was acknowledged", id, got.Version, err, least)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if cached, lookups := store.CachedSessions(); cached != 0 || lookups != 0 {
		t.Errorf("%d sessions and %d lookups are left in the cache, want none after all have ended", cached, lookups)
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	const limit = 4
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	store.CacheSessions(limit)
	for round := range 3 {
		for i := range 3 * limit {
			s := newSession(fmt.Sprintf("s-%d", i), "c")
			if round == 0 {
				if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := store.Session(t.Context(), s.ID); err != nil {
				t.Errorf("Session = %v", err)
			}
			if cached, lookups := store.CachedSessions(); cached > limit || lookups != 0 {
				t.Fatalf("%d sessions and %d lookups in a cache for %d", cached, lookups, limit)
			}
		}
	}
}

// What was read once, and is kept decoded, follows every change of it.
func TestKeptConversationsAndUsersFollowTheirChanges(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	if err := store.CreateConversation(ctx, conversations.Conversation{
		ID: "c", OrgID: "o", StartedAt: t0, Participants: []conversations.Participant{{ID: "p", Purpose: conversations.PurposeAgent}},
	}); err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		for range 2 { // from the file, then from memory
			c, err := store.Conversation(ctx, "o", "c")
			if got := c.ExternalTag; err != nil || got != strings.Repeat("x", round) {
				t.Errorf("after %d changes the tag is %q, %v", round, got, err)
			}
			c.Participants[0].Name = "changed by the caller"
			if _, err := store.Conversation(ctx, "other", "c"); cobridge.CodeOf(err) != cobridge.CodeConversationNotFound {
				t.Errorf("another organisation reads it: %v", err)
			}
		}
		if c, err := store.UpdateConversation(ctx, "o", "c", func(c *conversations.Conversation) error {
			c.ExternalTag += "x"
			c.EndedAt = t0
			return nil
		}); err != nil || c.Participants[0].Name != "" {
			t.Errorf("update = %+v, %v", c, err)
		}
		name := strings.Repeat("y", round)
		if err := store.PutUser(ctx, conversations.User{ID: "u", OrgID: "o", Name: name}); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if u, err := store.User(ctx, "o", "u"); err != nil || u.Name != name {
				t.Errorf("user = %q, %v, want %q", u.Name, err, name)
			}
		}
	}
	if _, err := store.Conversation(ctx, "o", "c"); err != nil {
		t.Fatal(err)
	}
	if n, err := store.PurgeConversations(ctx, t0.Add(time.Hour), 10); n != 1 || err != nil {
		t.Fatalf("purge = %d, %v", n, err)
	}
	if _, err := store.Conversation(ctx, "o", "c"); cobridge.CodeOf(err) != cobridge.CodeConversationNotFound {
		t.Errorf("a purged conversation is read: %v", err)
	}
}
