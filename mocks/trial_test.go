package mocks_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/mocks"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

// trial is a test that is expected to fail, or one inside an example: it notes what
// goes wrong.
type trial struct {
	ctx    context.Context //nolint:containedctx // it stands for a test, which has one
	cancel context.CancelFunc

	mu       sync.Mutex
	cleanups []func()
	failures []string
	logged   strings.Builder
}

var _ mocks.T = (*trial)(nil)

func newTrial() *trial {
	ctx, cancel := context.WithCancel(context.Background())
	return &trial{ctx: ctx, cancel: cancel}
}

// end ends the trial as package testing ends a test, and returns what went wrong.
func (t *trial) end() []string {
	t.cancel()
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
	t.cleanups = nil
	return t.failures
}

// attempt runs f, which may end with Fatalf.
func (t *trial) attempt(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (t *trial) Helper()                  {}
func (t *trial) Context() context.Context { return t.ctx }

func (t *trial) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }

func (t *trial) TempDir() string {
	dir, err := os.MkdirTemp("", "mocks-trial-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (t *trial) Logf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(&t.logged, format+"\n", args...)
}

func (t *trial) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// so reads how a trial has gone so far.
func (t *trial) so() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.failures)
}

// wantOne fails t unless there is one failure, with all of the given texts in it.
func wantOne(t *testing.T, failures []string, texts ...string) {
	t.Helper()
	if len(failures) != 1 {
		t.Errorf("the test has %d failures, %q, want one", len(failures), failures)
		return
	}
	for _, text := range texts {
		if !strings.Contains(failures[0], text) {
			t.Errorf("the failure is %q, want %q in it", failures[0], text)
		}
	}
}
