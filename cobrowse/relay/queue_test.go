package relay_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

func control(text string) *relay.Frame { return relay.NewFrame("state", []byte(text)) }

func taken(q *relay.Queue) []string {
	var texts []string
	for _, f := range q.Take(nil) {
		texts = append(texts, string(f.Payload()))
	}
	q.Written()
	return texts
}

func signalled(q *relay.Queue) bool {
	select {
	case <-q.Ready():
		return true
	default:
		return false
	}
}

func TestFrameIsEncodedOncePerForm(t *testing.T) {
	t.Parallel()
	f := relay.NewFrame("ev", []byte("x"))
	var calls atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for form := range relay.Forms {
				got := f.Wire(form, func(payload []byte) []byte {
					calls.Add(1)
					return append(payload[:1:1], byte('0'+form))
				})
				if want := "x" + strconv.Itoa(form); string(got) != want {
					t.Errorf("Wire(%d) = %q, want %q", form, got, want)
				}
			}
		})
	}
	wg.Wait()
	if got := calls.Load(); got != relay.Forms {
		t.Errorf("encoded %d times, want %d", got, relay.Forms)
	}
}

func TestQueueKeepsOrder(t *testing.T) {
	t.Parallel()
	q := relay.NewQueue(relay.DefaultLimits())
	if signalled(q) {
		t.Error("an empty queue is ready")
	}
	q.Put(control("a"))
	q.PutLatest("ada", control("ada 1"))
	q.PutLatest("sam", control("sam 1"))
	q.Put(control("b"))
	q.PutLatest("ada", control("ada 2"))
	if !signalled(q) {
		t.Error("not ready, want ready")
	}
	if got, want := taken(q), []string{"a", "sam 1", "b", "ada 2"}; !slices.Equal(got, want) {
		t.Errorf("took %q, want %q", got, want)
	}
	if got := taken(q); got != nil {
		t.Errorf("took %q again", got)
	}
	q.Put(control("c"))
	if !signalled(q) {
		t.Error("not ready after it was emptied and filled, want ready")
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	l := relay.DefaultLimits()
	l.QueueFrames, l.QueueBytes = 3, 100
	for name, fill := range map[string][]string{
		"frames": {"a", "b", "c"},
		"bytes":  {strings.Repeat("a", 60), strings.Repeat("b", 40)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := relay.NewQueue(l)
			for _, text := range fill {
				if !q.Put(control(text)) {
					t.Fatalf("Put(%q) = false, want true", text)
				}
			}
			q.PutLatest("ada", control("dropped"))
			if q.Overflowed() {
				t.Error("a frame that may be dropped overflows the queue")
			}
			signalled(q)
			if q.Put(control("d")) || !q.Overflowed() {
				t.Error("Put beyond the bound = true or not overflowed, want false and overflowed")
			}
			if !signalled(q) {
				t.Error("the writer is not told of the overflow")
			}
			if got := taken(q); !slices.Equal(got, fill) {
				t.Errorf("took %q, want %q", got, fill)
			}
			if q.Put(control("e")) {
				t.Error("a queue that has overflowed takes frames again")
			}
		})
	}
}

func TestIdleQueueHoldsNothing(t *testing.T) {
	t.Parallel()
	q := relay.NewQueue(relay.DefaultLimits())
	if got := q.Held(); got != 0 {
		t.Errorf("a new queue holds %d items, want 0", got)
	}
	for range 200 {
		q.Put(control("x"))
	}
	taken(q)
	if got := q.Held(); got > relay.KeepItems {
		t.Errorf("an emptied queue holds %d items, want at most %d", got, relay.KeepItems)
	}
}

func TestQueueOfManyWriters(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 500
	l := relay.DefaultLimits()
	l.QueueFrames = writers * each
	q := relay.NewQueue(l)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				q.Put(control("x"))
			}
		})
	}
	got := 0
	var batch []*relay.Frame
	for got < writers*each {
		<-q.Ready() // hangs if a signal is lost
		batch = q.Take(batch[:0])
		got += len(batch)
		q.Written()
	}
	wg.Wait()
	if got != writers*each {
		t.Errorf("took %d, want %d", got, writers*each)
	}
}
