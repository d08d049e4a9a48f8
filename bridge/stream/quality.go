package stream

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// trip measures the way to a client and back, from pings and their pongs. One
// goroutine begins, another ends.
type trip struct {
	number atomic.Uint64 // of the latest ping
	begun  atomic.Int64  // when, in ns since 1970
	took   atomic.Int64  // ns, smoothed; 0 = not known yet
}

// begin returns what to write into a ping.
func (t *trip) begin(now time.Time) []byte {
	t.begun.Store(now.UnixNano())
	return binary.BigEndian.AppendUint64(nil, t.number.Add(1))
}

// end takes the pong with this in it. Only the answer to the latest ping counts; a
// client may send pongs unasked.
func (t *trip) end(data string, now time.Time) {
	if len(data) != 8 || binary.BigEndian.Uint64([]byte(data)) != t.number.Load() {
		return
	}
	took := max(1, now.UnixNano()-t.begun.Load())
	if before := t.took.Load(); before > 0 {
		took = (3*before + took) / 4 // one slow answer is no slow line
	}
	t.took.Store(took)
}

// Qualities returns the words for the quality of a participant's connection, best
// first, in the order of docs/protocol.md.
func Qualities() []string { return []string{qualityGood, qualityFair, qualityPoor} }

const (
	qualityGood = "good"
	qualityFair = "fair"
	qualityPoor = "poor"

	goodTrip = 150 * time.Millisecond // up to here nobody notices
	fairTrip = 500 * time.Millisecond // up to here one can work
)

// quality names what was measured; "" as long as nothing was.
func (t *trip) quality() string {
	switch took := time.Duration(t.took.Load()); {
	case took == 0:
		return ""
	case took <= goodTrip:
		return qualityGood
	case took <= fairTrip:
		return qualityFair
	default:
		return qualityPoor
	}
}

// worse returns the worse of two qualities; one that is not known does not count.
func worse(a, b string) string {
	rank := map[string]int{qualityGood: 1, qualityFair: 2, qualityPoor: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}
