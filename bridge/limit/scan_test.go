package limit_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/limit"
)

func TestScan(t *testing.T) {
	t.Parallel()
	c := &hand{}
	s := limit.NewScan(limit.ScanConfig{Name: "digits:", Each: 2, Strangers: 5, Acquaintances: 3, Clock: c.now})
	wrong := func(key string) error {
		if err := s.Check(t.Context(), key); err != nil {
			return err
		}
		return s.Fail(t.Context(), key)
	}
	tries := func(key string, n int) int {
		t.Helper()
		passed := 0
		for range n {
			if err := wrong(key); err == nil {
				passed++
			} else if wait := refusal(t, err); wait <= 0 {
				t.Errorf("%s is to wait %s, want some time", key, wait)
			}
		}
		return passed
	}
	if got := tries("a", 5); got != 2 {
		t.Errorf("one key: %d wrong guesses, want its 2", got)
	}
	// A search from many addresses ends at what all of them have together.
	if got := tries("b", 2) + tries("c", 2) + tries("d", 2); got != 3 {
		t.Errorf("the others: %d more, want the 3 that are left of 5", got)
	}
	// Somebody who was right lately is not kept out by it, and has bounds as well.
	for i := range 3 {
		s.Succeed(fmt.Sprint("agent", i))
	}
	if got := tries("agent0", 2) + tries("agent1", 2) + tries("agent2", 2); got != 3 {
		t.Errorf("acquaintances: %d wrong guesses, want 3", got)
	}
	if got := tries("agent3", 1); got != 0 {
		t.Errorf("a stranger meanwhile: %d, want none", got)
	}
	c.advance(24*time.Hour + time.Minute)
	if got := tries("agent0", 1); got != 1 {
		t.Errorf("a day later: %d, want 1", got)
	}
	if got := tries("x", 2) + tries("y", 2); got != 4 { // the fifth was agent0's, who is a stranger again
		t.Errorf("strangers a day later: %d, want 4", got)
	}
	if got := tries("z", 1); got != 0 {
		t.Errorf("a sixth stranger: %d, want none", got)
	}
}

// Whoever collects acquaintances does not fill the memory.
func TestScanForgets(t *testing.T) {
	t.Parallel()
	c := &hand{}
	s := limit.NewScan(limit.ScanConfig{Each: 10, Strangers: 1, Acquaintances: 1000, Clock: c.now})
	for i := range 50_000 {
		s.Succeed(strconv.Itoa(i))
	}
	if err := s.Fail(t.Context(), "stranger"); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context(), "49999"); err != nil {
		t.Errorf("the latest is kept out: %v", err)
	}
	if err := s.Check(t.Context(), "0"); err == nil {
		t.Error("the oldest is remembered, want it forgotten")
	}
}
