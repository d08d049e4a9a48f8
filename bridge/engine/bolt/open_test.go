package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

var t0 = time.Date(2026, time.January, 2, 3, 4, 5, 678_000_000, time.UTC)

func newSession(id string, conversation conversations.ID) cobrowse.Session {
	return cobrowse.Session{
		ID: cobrowse.SessionID(id), OrgID: "org", ConversationID: conversation, Token: "123456789", Settings: cobrowse.Settings{Timeout: 15 * time.Minute},
		Participants: []cobrowse.Participant{
			{ID: "u-1", UserID: "u-1", Role: cobrowse.RoleAgent, Name: "Ann", State: cobrowse.ParticipantJoined, JoinedAt: t0, Resume: cobrowse.Resume{Current: [32]byte{1, 31: 2}, Tab: "t"}},
			{ID: "u-2", UserID: "u-2", Role: cobrowse.RoleSupervisor, State: cobrowse.ParticipantInvited},
		},
		Pages:     []cobrowse.PageVisit{{URL: "https://shop.example/", Title: "Shop", EnteredAt: t0}},
		CreatedAt: t0, CreatedBy: "client", Deadline: t0.Add(20 * time.Minute), DeadlineReason: cobrowse.EndNeverJoined, Version: 1,
	}
}

func openError(t *testing.T, path string) error {
	t.Helper()
	store, err := bolt.Open(t.Context(), bolt.Config{Path: path})
	if err == nil {
		_ = store.Close()
		t.Fatalf("Open(%s) succeeded, want an error", filepath.Base(path))
	}
	return err
}

func wantText(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error is %q, want %q in it", err, text)
		}
	}
}

func TestOpenCreatesPrivateFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes")
	}
	path := filepath.Join(t.TempDir(), "new", "dir", "store.db")
	mustOpen(t, path)
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir, filepath.Dir(filepath.Dir(path)): 0o700 | os.ModeDir} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode(); got != want {
			t.Errorf("mode of %s is %v, want %v", filepath.Base(name), got, want)
		}
	}
}

func TestOpenRefusesNewerFormat(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	putFormat(t, path, "meta", "7")
	wantText(t, openError(t, path), "format 7", "up to 1", "newer version")
	// It must not have been touched.
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	_ = db.View(func(tx *bbolt.Tx) error {
		if got := string(tx.Bucket([]byte("meta")).Get([]byte("format"))); got != "7" || tx.Bucket([]byte("live")) != nil {
			t.Errorf("the refused store has format %q and live bucket %v", got, tx.Bucket([]byte("live")))
		}
		return nil
	})
}

func putFormat(t *testing.T, path, bucket, format string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte(bucket))
		if err != nil {
			return err
		}
		return b.Put([]byte("format"), []byte(format))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefusesForeignFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "foreign.db")
	putFormat(t, foreign, "somebody", "1")
	wantText(t, openError(t, foreign), "another program", "backup")
	garbled := filepath.Join(dir, "garbled.db")
	putFormat(t, garbled, "meta", "one")
	wantText(t, openError(t, garbled), "damaged")
	text := filepath.Join(dir, "text.db")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no store\n"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	wantText(t, openError(t, text), "damaged or is no store", "backup")
}

// Every single page of a store is destroyed in turn, and the file is cut at every
// page: Open says so or, where the page was not in use, works.
func TestOpenDamaged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	store := mustOpen(t, good)
	for i := range 20 {
		if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: newSession(fmt.Sprintf("s-%d", i), "c")}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	refused := 0
	try := func(what string, data []byte) {
		path := filepath.Join(dir, "damaged.db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		store, err := bolt.Open(t.Context(), bolt.Config{Path: path})
		if err != nil {
			refused++
			return
		}
		if err := store.Close(); err != nil {
			t.Errorf("%s: Close: %v", what, err)
		}
	}
	for at := 2 * page; at < len(whole); at += page { // bbolt itself survives the loss of one of the first two
		data := bytes.Clone(whole)
		for i := range page {
			data[at+i] = 0xa5
		}
		try(fmt.Sprintf("page %d destroyed", at/page), data)
		try(fmt.Sprintf("cut at page %d", at/page), whole[:at])
	}
	if refused == 0 {
		t.Error("no damage was noticed")
	}
}

func TestOneProcessAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	store := mustOpen(t, path)
	wantText(t, openError(t, path), "in use by another process")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path)
}

func TestOpenWithEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bolt.Open(ctx, bolt.Config{Path: filepath.Join(t.TempDir(), "store.db")}); !errors.Is(err, context.Canceled) {
		t.Errorf("Open = %v, want %v", err, context.Canceled)
	}
}

func TestAfterClose(t *testing.T) {
	t.Parallel()
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("Ping = %v", err)
	}
	if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: newSession("s-1", "c")}); err != nil {
		t.Fatal(err)
	}
	if err := store.CreateClient(t.Context(), oauth.Client{ID: "a"}); err != nil {
		t.Fatal(err)
	}
	ready, following := make(chan struct{}), make(chan error, 1)
	go func() {
		following <- store.Follow(t.Context(), "", func() { close(ready) }, func(context.Context, cobrowse.Event) error { return nil })
	}()
	<-ready
	for range 2 {
		if err := store.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	unavailable := func(call string, err error) {
		t.Helper()
		if got := cobridge.CodeOf(err); got != cobridge.CodeUnavailable {
			t.Errorf("%s after Close = %v, want code %s", call, err, cobridge.CodeUnavailable)
		}
	}
	unavailable("Follow", <-following)
	unavailable("Ping", store.Ping(t.Context()))
	unavailable("Apply", store.Apply(t.Context(), cobrowse.Change{At: t0, Session: newSession("s-2", "c")}))
	_, err := store.Session(t.Context(), "s-1") // is in memory
	unavailable("Session", err)
	_, err = store.Client(t.Context(), "a")
	unavailable("Client", err)
	_, err = store.Clients(t.Context(), "")
	unavailable("Clients", err)
	_, err = store.Revoked(t.Context(), "a", t0)
	unavailable("Revoked", err)
	_, err = store.Overdue(t.Context(), t0, 1)
	unavailable("Overdue", err)
	for _, name := range []string{"", "name"} {
		unavailable("Follow", store.Follow(t.Context(), name, nil, nil))
	}
	if got := store.Stats().FileBytes; got != 0 {
		t.Errorf("Stats after Close has %d bytes, want 0", got)
	}
}
