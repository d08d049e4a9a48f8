package bolt_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
)

// openVolatile opens a volatile store that is closed after the test, or before by close.
func openVolatile(t *testing.T, path string) (store *bolt.Store) {
	t.Helper()
	store, err := bolt.Open(t.Context(), bolt.Config{Path: path, Volatile: true})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return store
}

// What was acknowledged before and after a change that fails stays, and nothing of it.
func TestVolatileChangeIsTakenBackAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	store := openVolatile(t, path)
	write := func(fail error, pairs ...string) error {
		return store.Do(t.Context(), func(put func(key, value []byte)) error {
			for i := 0; i < len(pairs); i += 2 {
				put([]byte(pairs[i]), []byte(pairs[i+1]))
			}
			return fail
		})
	}
	failure := errors.New("failed half way")
	for _, step := range []struct {
		fail  error
		pairs []string
		want  cobridge.Code
	}{
		{pairs: []string{"a", "1", "b", ""}},
		{fail: failure, pairs: []string{"a", "2", "c", "2", "b", "2", "a", "3"}, want: cobridge.CodeInternal},
		{pairs: []string{"a", "4", "d", "4", "", "4"}, want: cobridge.CodeInternal}, // bbolt refuses an empty key
		{pairs: []string{"e", "5"}},
	} {
		err := write(step.fail, step.pairs...)
		if step.want == "" && err != nil || step.want != "" && (err == nil || cobridge.CodeOf(err) != step.want) || step.fail != nil && !errors.Is(err, step.fail) {
			t.Errorf("write %q = %v, want code %q and %v in it", step.pairs, err, step.want, step.fail)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "", "e": "5"}, read(t, mustOpen(t, path))); diff != "" {
		t.Errorf("what is stored differs (-want +got):\n%s", diff)
	}
}

func TestPanicEndsAVolatileStore(t *testing.T) {
	t.Parallel()
	store := openVolatile(t, filepath.Join(t.TempDir(), "store.db"))
	err := store.Do(t.Context(), func(put func(key, value []byte)) error {
		put([]byte("k"), []byte("v"))
		panic("page 7 is no page")
	})
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

// Lists go backwards through an index; those who left it leave no gap behind which
// nothing is found.
func TestVolatileListsAfterManyEnds(t *testing.T) {
	t.Parallel()
	store := openVolatile(t, filepath.Join(t.TempDir(), "store.db"))
	const all, from, to = 600, 100, 500
	apply := func(s cobrowse.Session) {
		t.Helper()
		if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s}); err != nil {
			t.Fatalf("Apply = %v", err)
		}
	}
	sessions := make([]cobrowse.Session, all)
	for i := range sessions {
		sessions[i] = newSession(fmt.Sprintf("s-%03d", i), "c")
		sessions[i].CreatedAt = t0.Add(time.Duration(i) * time.Second)
		apply(sessions[i])
	}
	var want []cobrowse.SessionID
	for i, s := range sessions {
		if i < from || i >= to {
			want = append([]cobrowse.SessionID{s.ID}, want...)
			continue
		}
		s.Version, s.EndedAt = 2, t0.Add(time.Hour)
		apply(s)
	}
	found, total, err := store.Sessions(t.Context(), cobrowse.Query{OrgID: "org", States: []cobrowse.State{cobrowse.StateIdle, cobrowse.StateActive}, Limit: all})
	if err != nil || total != len(want) {
		t.Fatalf("Sessions finds %d, %v, want %d", total, err, len(want))
	}
	got := make([]cobrowse.SessionID, len(found))
	for i, s := range found {
		got[i] = s.ID
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the list differs (-want +got):\n%s", diff)
	}
}
