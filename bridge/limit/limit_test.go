package limit_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/limit"
)

// hand is a clock that only moves when it is told to.
type hand struct{ nanos atomic.Int64 }

var t0 = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

func (h *hand) now() time.Time          { return t0.Add(time.Duration(h.nanos.Load())) }
func (h *hand) advance(d time.Duration) { h.nanos.Add(int64(d)) }

// refusal returns the RetryAfter of a refusal, 0 when err is nil.
func refusal(t *testing.T, err error) time.Duration {
	t.Helper()
	if err == nil {
		return 0
	}
	e, ok := errors.AsType[*cobridge.Error](err)
	if !ok || e.Code != cobridge.CodeTooManyRequests {
		t.Fatalf("error = %v, want nil or %s", err, cobridge.CodeTooManyRequests)
	}
	if e.RetryAfter <= 0 {
		t.Fatalf("RetryAfter = %v, want more than 0", e.RetryAfter)
	}
	return e.RetryAfter
}

func TestLimiterAllowsTheBurstAndThenTheRate(t *testing.T) {
	t.Parallel()
	var clock hand
	l := limit.New(limit.Config{PerMinute: 60, Burst: 3, Clock: clock.now})
	for i := range 3 {
		if wait := refusal(t, l.Allow(t.Context(), "a")); wait != 0 {
			t.Fatalf("call %d refused for %v, want it allowed", i, wait)
		}
	}
	for range 5 { // a refused call costs nothing, so the wait stays the same
		if got, want := refusal(t, l.Allow(t.Context(), "a")), time.Second; got != want {
			t.Fatalf("wait after the burst = %v, want %v", got, want)
		}
	}
	if wait := refusal(t, l.Allow(t.Context(), "b")); wait != 0 {
		t.Errorf("another key refused for %v, want it allowed", wait)
	}
	clock.advance(400 * time.Millisecond)
	if got, want := refusal(t, l.Allow(t.Context(), "a")), 600*time.Millisecond; got != want {
		t.Errorf("wait after 400 ms = %v, want %v", got, want)
	}
	clock.advance(600 * time.Millisecond)
	if wait := refusal(t, l.Allow(t.Context(), "a")); wait != 0 {
		t.Errorf("call after the wait refused for %v, want it allowed", wait)
	}
	if wait := refusal(t, l.Allow(t.Context(), "a")); wait == 0 {
		t.Error("second call after one second allowed, want it refused")
	}
	clock.advance(time.Hour)
	allowed := 0
	for l.Allow(t.Context(), "a") == nil {
		allowed++
	}
	if allowed != 3 {
		t.Errorf("calls after an hour's rest = %d, want the burst of 3", allowed)
	}
}

func TestWaitingTheRetryAfterAlwaysSuffices(t *testing.T) {
	t.Parallel()
	for _, perMinute := range []int{1, 7, 59, 300, 999, 100_000} {
		var clock hand
		l := limit.New(limit.Config{PerMinute: perMinute, Burst: 1, Clock: clock.now})
		g := limit.NewGuess(limit.Config{PerMinute: perMinute, Burst: 1, Clock: clock.now})
		for i := range 1000 {
			if wait := refusal(t, l.Allow(t.Context(), "k")); wait > 0 {
				clock.advance(wait)
				if wait := refusal(t, l.Allow(t.Context(), "k")); wait != 0 {
					t.Fatalf("perMinute %d, round %d: still refused for %v after waiting", perMinute, i, wait)
				}
			}
			if err := g.Fail(t.Context(), "k"); err != nil {
				t.Fatal(err)
			}
			clock.advance(refusal(t, g.Check(t.Context(), "k")))
			if wait := refusal(t, g.Check(t.Context(), "k")); wait != 0 {
				t.Fatalf("perMinute %d, round %d: guess still refused for %v after waiting", perMinute, i, wait)
			}
		}
	}
}

func TestZeroPerMinuteMeansNoLimit(t *testing.T) {
	t.Parallel()
	var clock hand
	l, g := limit.New(limit.Config{Clock: clock.now}), limit.NewGuess(limit.Config{Clock: clock.now})
	for range 1000 {
		if err := errors.Join(l.Allow(t.Context(), "a"), g.Fail(t.Context(), "a"), g.Check(t.Context(), "a")); err != nil {
			t.Fatalf("error = %v, want nil", err)
		}
	}
}

func TestBurstDefaultsToAMinute(t *testing.T) {
	t.Parallel()
	var clock hand
	l := limit.New(limit.Config{PerMinute: 300, Clock: clock.now})
	allowed := 0
	for l.Allow(t.Context(), "a") == nil {
		allowed++
	}
	if allowed != 300 {
		t.Errorf("calls at once = %d, want 300", allowed)
	}
}

func TestGuessChargesFailuresOnly(t *testing.T) {
	t.Parallel()
	var clock hand
	g := limit.NewGuess(limit.Config{PerMinute: 6, Burst: 3, Clock: clock.now})
	for range 100 { // right guesses
		if wait := refusal(t, g.Check(t.Context(), "a")); wait != 0 {
			t.Fatalf("check refused for %v without a failure, want it allowed", wait)
		}
	}
	for i := range 3 {
		if wait := refusal(t, g.Check(t.Context(), "a")); wait != 0 {
			t.Fatalf("check %d refused for %v, want it allowed", i, wait)
		}
		if err := g.Fail(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := refusal(t, g.Check(t.Context(), "a")), 10*time.Second; got != want {
		t.Errorf("wait after three failures = %v, want %v", got, want)
	}
	if wait := refusal(t, g.Check(t.Context(), "b")); wait != 0 {
		t.Errorf("another key refused for %v, want it allowed", wait)
	}
	// Seven guesses that were all on their way are charged, so they gain nothing.
	for range 7 {
		if err := g.Fail(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := refusal(t, g.Check(t.Context(), "a")), 80*time.Second; got != want {
		t.Errorf("wait after ten failures = %v, want %v", got, want)
	}
	for range 10_000 {
		if err := g.Fail(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if got, most := refusal(t, g.Check(t.Context(), "a")), limit.MaxDebt+10*time.Second; got > most {
		t.Errorf("wait after very many failures = %v, want at most %v", got, most)
	}
}

func TestManyAtOnceGetExactlyTheBurst(t *testing.T) {
	t.Parallel()
	var clock hand
	l := limit.New(limit.Config{PerMinute: 60, Burst: 500, MaxKeys: 64, Clock: clock.now})
	var allowed [4]atomic.Int64
	var wg sync.WaitGroup
	for worker := range 32 {
		wg.Go(func() {
			for range 200 {
				if l.Allow(t.Context(), strconv.Itoa(worker%4)) == nil {
					allowed[worker%4].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for key := range allowed {
		if got := allowed[key].Load(); got != 500 {
			t.Errorf("calls allowed for key %d = %d, want 500", key, got)
		}
	}
	clock.advance(10 * time.Second)
	var second atomic.Int64
	for range 32 {
		wg.Go(func() {
			for range 20 {
				if l.Allow(t.Context(), "0") == nil {
					second.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if got := second.Load(); got != 10 {
		t.Errorf("calls allowed after ten seconds = %d, want 10: refused calls must not have cost anything", got)
	}
}

func TestMemoryIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	t.Parallel()
	var clock hand
	store := limit.NewMemory(100)
	l := limit.New(limit.Config{PerMinute: 1, Burst: 1, Clock: clock.now, Store: store})
	if wait := refusal(t, l.Allow(t.Context(), "busy")); wait != 0 {
		t.Fatalf("first call refused for %v, want it allowed", wait)
	}
	for i := range 10_000 {
		if err := l.Allow(t.Context(), "k"+strconv.Itoa(i)); err != nil {
			t.Fatalf("Allow = %v, want nil for a new key", err)
		}
		if got := store.Len(); got > 100 {
			t.Fatalf("keys held = %d, want at most 100", got)
		}
		if i%20 == 0 {
			if wait := refusal(t, l.Allow(t.Context(), "busy")); wait == 0 {
				t.Fatalf("after %d other keys the busy one was forgotten", i)
			}
		}
	}
	if err := l.Allow(t.Context(), "k0"); err != nil {
		t.Errorf("Allow of a forgotten key = %v, want nil: it starts anew", err)
	}
	held := store.Len()
	g := limit.NewGuess(limit.Config{PerMinute: 1, Clock: clock.now, Store: store, Name: "guess:"})
	for i := range 50 {
		if err := g.Check(t.Context(), strconv.Itoa(i)); err != nil {
			t.Fatalf("Check = %v, want nil", err)
		}
	}
	if got := store.Len(); got != held {
		t.Errorf("keys held after checks alone = %d, want %d: a right guess is no reason to remember anybody", got, held)
	}
}

func TestNamesKeepLimitsOfOneStoreApart(t *testing.T) {
	t.Parallel()
	var clock hand
	store := limit.NewMemory(0)
	a := limit.New(limit.Config{PerMinute: 1, Clock: clock.now, Store: store, Name: "token:"})
	b := limit.New(limit.Config{PerMinute: 1, Clock: clock.now, Store: store, Name: "address:"})
	if err := errors.Join(a.Allow(t.Context(), "x"), b.Allow(t.Context(), "x")); err != nil {
		t.Errorf("error = %v, want nil", err)
	}
	if a.Allow(t.Context(), "x") == nil {
		t.Error("second call allowed, want it refused")
	}
}

// brokenStore fails, as a store over a network can.
type brokenStore struct{}

var errBroken = errors.New("connection refused")

func (brokenStore) Take(context.Context, string, limit.Rule, time.Time) (time.Duration, error) {
	return 0, errBroken
}

func (brokenStore) Wait(context.Context, string, limit.Rule, time.Time) (time.Duration, error) {
	return 0, errBroken
}

func (brokenStore) Charge(context.Context, string, limit.Rule, time.Time) error { return errBroken }

func TestAFailingStoreIsNoPermission(t *testing.T) {
	t.Parallel()
	var clock hand
	cfg := limit.Config{PerMinute: 1, Clock: clock.now, Store: brokenStore{}}
	l, g := limit.New(cfg), limit.NewGuess(cfg)
	for name, err := range map[string]error{
		"Allow": l.Allow(t.Context(), "a"), "Check": g.Check(t.Context(), "a"), "Fail": g.Fail(t.Context(), "a"),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s = %v, want the store's error", name, err)
		}
	}
}

// TestAKeyKeepsItsDebtWhenItMoves catches a bucket that is made anew when its
// key moves from the older generation to the younger.
func TestAKeyKeepsItsDebtWhenItMoves(t *testing.T) {
	t.Parallel()
	var clock hand
	l := limit.New(limit.Config{PerMinute: 1, Burst: 1, MaxKeys: 4, Clock: clock.now})
	for _, key := range []string{"a", "b", "c"} { // "a" and "b" are now the older generation
		if err := l.Allow(t.Context(), key); err != nil {
			t.Fatalf("Allow(%s) = %v, want nil", key, err)
		}
	}
	if wait := refusal(t, l.Allow(t.Context(), "a")); wait == 0 {
		t.Error("key of the older generation allowed, want it refused")
	}
}

func BenchmarkAllow(b *testing.B) {
	for _, keys := range []int{1, 1000, 200_000} {
		b.Run("keys="+strconv.Itoa(keys), func(b *testing.B) {
			var clock hand
			l := limit.New(limit.Config{PerMinute: 300, Clock: clock.now})
			names := make([]string, keys)
			for i := range names {
				names[i] = "client-" + strconv.Itoa(i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				_ = l.Allow(b.Context(), names[i%keys])
				i++
			}
		})
	}
}

func BenchmarkAllowParallel(b *testing.B) {
	var clock hand
	l := limit.New(limit.Config{PerMinute: 300, Clock: clock.now})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_ = l.Allow(b.Context(), "client")
		}
	})
}
