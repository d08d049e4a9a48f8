package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
)

// hold keeps the writer busy until the returned function is called, so that what
// comes meanwhile is one batch.
func hold(t *testing.T, store *bolt.Store) (release func()) {
	t.Helper()
	busy, free := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := store.Do(context.WithoutCancel(t.Context()), func(func(key, value []byte)) error {
			close(busy)
			<-free
			return nil
		}); err != nil {
			t.Errorf("holding write: %v", err)
		}
	})
	<-busy
	release = sync.OnceFunc(func() {
		close(free)
		wg.Wait()
	})
	t.Cleanup(release)
	return release
}

func read(t *testing.T, store *bolt.Store) map[string]string {
	t.Helper()
	dump, err := store.Dump()
	if err != nil {
		t.Fatal(err)
	}
	return dump["secret"]
}

func TestWritesShareCommits(t *testing.T) {
	t.Parallel()
	var commits []bolt.Commit
	now := t0
	store, err := bolt.Open(t.Context(), bolt.Config{
		Path: filepath.Join(t.TempDir(), "store.db"), OnCommit: func(c bolt.Commit) { commits = append(commits, c) },
		Clock: func() time.Time { now = now.Add(time.Second); return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 64, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: newSession(fmt.Sprintf("s-%d-%d", w, i), "c")}); err != nil {
					t.Errorf("Apply = %v", err)
				}
			}
		})
	}
	wg.Wait()
	stats := store.Stats()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if stats.Changes != writers*each || stats.LiveSessions != writers*each || stats.FileBytes == 0 {
		t.Errorf("Stats = %+v, want %d changes and as many live sessions", stats, writers*each)
	}
	if stats.Commits > writers*each/2 || stats.LargestBatch < 2 || stats.LargestBatch > 512 {
		t.Errorf("%d writes took %d commits of at most %d, want them to share commits", stats.Changes, stats.Commits, stats.LargestBatch)
	}
	total := 0
	for _, c := range commits {
		total += c.Changes
		if c.Took != time.Second { // the clock is read twice
			t.Errorf("a commit took %v by the clock given, want 1s", c.Took)
		}
	}
	if total != writers*each || uint64(len(commits)) != stats.Commits {
		t.Errorf("OnCommit was told of %d writes in %d commits, want %d in %d", total, len(commits), writers*each, stats.Commits)
	}
}

func TestRefusalLeavesBatchAlone(t *testing.T) {
	t.Parallel()
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	refusal := errors.New("refused")
	commits := store.Stats().Commits
	if err := store.Do(t.Context(), func(func(key, value []byte)) error { return refusal }); !errors.Is(err, refusal) {
		t.Errorf("a refused write = %v, want %v", err, refusal)
	}
	if got := store.Stats().Commits; got != commits {
		t.Errorf("a refusal took %d commits, want none", got-commits)
	}
}

// A write that fails after it has begun takes nobody along, and leaves nothing.
func TestFailedWriteIsUndoneAlone(t *testing.T) {
	t.Parallel()
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	release := hold(t, store)
	const writers = 20
	failure := errors.New("failed half way")
	var wg sync.WaitGroup
	for w := range writers {
		key := []byte(fmt.Sprintf("k-%02d", w))
		wg.Go(func() {
			err := store.Do(t.Context(), func(put func(key, value []byte)) error {
				put(key, []byte("v"))
				switch w % 5 {
				case 1:
					return failure
				case 2:
					put(nil, nil) // bbolt refuses an empty key
				}
				return nil
			})
			switch w % 5 {
			case 1:
				if !errors.Is(err, failure) {
					t.Errorf("the failed write %d = %v, want %v", w, err, failure)
				}
			case 2:
				if err == nil || cobridge.CodeOf(err) != cobridge.CodeInternal {
					t.Errorf("the impossible write %d = %v, want an internal error", w, err)
				}
			default:
				if err != nil {
					t.Errorf("write %d = %v", w, err)
				}
			}
		})
	}
	release()
	wg.Wait()
	stored := read(t, store)
	for w := range writers {
		_, there := stored[fmt.Sprintf("k-%02d", w)]
		if want := w%5 != 1 && w%5 != 2; there != want {
			t.Errorf("write %d is stored: %t, want %t", w, there, want)
		}
	}
}

func TestCallerWhoGoesWhileWaiting(t *testing.T) {
	t.Parallel()
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	release := hold(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- store.Apply(ctx, cobrowse.Change{At: t0, Session: newSession("s-1", "c")}) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Apply = %v, want %v although the writer is busy", err, context.Canceled)
	}
	release()
	if _, err := store.Session(t.Context(), "s-1"); cobridge.CodeOf(err) != cobridge.CodeNotFound {
		t.Errorf("Session = %v, want what nobody waited for not to be written", err)
	}
}

func TestCallerWhoGoesDuringTheWrite(t *testing.T) {
	t.Parallel()
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	err := store.Do(ctx, func(put func(key, value []byte)) error {
		put([]byte("k"), []byte("v"))
		cancel()
		<-gone // the write ends after its caller has gone
		return nil
	})
	close(gone)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("write = %v, want %v", err, context.Canceled)
	}
	if err := store.Do(t.Context(), func(func(key, value []byte)) error { return nil }); err != nil { // it is over
		t.Fatal(err)
	}
	if got := read(t, store)["k"]; got != "v" {
		t.Errorf("what was under way is %q, want it stored", got)
	}
}

func TestCloseFinishesWhatItHasTaken(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	store := mustOpen(t, path)
	acknowledged := make(chan cobrowse.SessionID, 10_000)
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := 0; ; i++ {
				s := newSession(fmt.Sprintf("s-%d-%d", w, i), "c")
				err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s})
				if err != nil {
					if cobridge.CodeOf(err) != cobridge.CodeUnavailable {
						t.Errorf("Apply = %v, want code %s", err, cobridge.CodeUnavailable)
					}
					return
				}
				acknowledged <- s.ID
			}
		})
	}
	first := <-acknowledged
	if err := store.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	wg.Wait()
	close(acknowledged)
	store = mustOpen(t, path)
	for id := first; id != ""; id = <-acknowledged {
		if _, err := store.Session(t.Context(), id); err != nil {
			t.Errorf("acknowledged session %s: %v", id, err)
		}
	}
}

// A full disk fails writes, and only writes; there is room again after a purge.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	store, err := bolt.OpenLimited(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db")}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	stored := 0
	for ; stored < 10_000; stored++ {
		s := newSession(fmt.Sprintf("s-%d", stored), "c")
		s.EndedAt = t0
		if err = store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s}); err != nil {
			break
		}
	}
	if got := cobridge.CodeOf(err); got != cobridge.CodeUnavailable {
		t.Fatalf("after %d sessions Apply = %v, want code %s", stored, err, cobridge.CodeUnavailable)
	}
	if _, err := store.Session(t.Context(), cobrowse.SessionID(fmt.Sprintf("s-%d", stored))); cobridge.CodeOf(err) != cobridge.CodeNotFound {
		t.Errorf("Session of the failed write = %v, want it not found", err)
	}
	for i := range stored {
		if _, err := store.Session(t.Context(), cobrowse.SessionID(fmt.Sprintf("s-%d", i))); err != nil {
			t.Errorf("Session %d = %v", i, err)
		}
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("Ping = %v, want a store that failed cleanly to be usable", err)
	}
	if _, total, err := store.Sessions(t.Context(), cobrowse.Query{OrgID: "org", Limit: 1}); err != nil || total != stored {
		t.Errorf("Sessions counts %d, %v, want %d", total, err, stored)
	}
}

func TestPanicInAWriteEndsTheStoreNotTheProcess(t *testing.T) {
	t.Parallel()
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	err := store.Do(t.Context(), func(func(key, value []byte)) error { panic("page 7 is no page") })
	for call, err := range map[string]error{
		"the write": err, "a later write": store.Do(t.Context(), func(func(key, value []byte)) error { return nil }), "Ping": store.Ping(t.Context()),
	} {
		if got := cobridge.CodeOf(err); got != cobridge.CodeUnavailable {
			t.Errorf("%s = %v, want code %s", call, err, cobridge.CodeUnavailable)
		}
	}
	if _, err := store.Session(t.Context(), "s-1"); cobridge.CodeOf(err) != cobridge.CodeNotFound {
		t.Errorf("Session = %v, want reads to go on", err)
	}
}
