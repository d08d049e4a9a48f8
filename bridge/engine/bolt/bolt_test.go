package bolt_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/engine/enginetest"
)

func TestMain(m *testing.M) {
	if writeAsChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

func TestEngine(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, func(t *testing.T) enginetest.Engine {
		return reopenable(t, filepath.Join(t.TempDir(), "store.db"))
	})
}

// A store that syncs nothing behaves the same, as long as the machine lives.
func TestVolatileEngine(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, func(t *testing.T) enginetest.Engine {
		path := filepath.Join(t.TempDir(), "store.db")
		store, err := bolt.Open(t.Context(), bolt.Config{Path: path, Volatile: true})
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		return enginetest.Engine{Store: store, Reopen: func(t *testing.T) enginetest.Engine {
			t.Helper()
			if err := store.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
			return reopenable(t, path)
		}}
	})
}

func reopenable(t *testing.T, path string) enginetest.Engine {
	t.Helper()
	store := mustOpen(t, path)
	return enginetest.Engine{Store: store, Reopen: func(t *testing.T) enginetest.Engine {
		t.Helper()
		if err := store.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		return reopenable(t, path)
	}}
}

// mustOpen opens a store and closes it after the test, unless the test has done so.
func mustOpen(t testing.TB, path string) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(t.Context(), bolt.Config{Path: path, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
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
