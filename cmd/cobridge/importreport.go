package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// reason says why a record was not imported. The words stand in reports and files.
type reason string

// The reasons besides those of gcb.
const (
	reasonNotFound  reason = "notFound"
	reasonLive      reason = "live"
	reasonRetention reason = "retention"
	reasonTaken     reason = "taken"
	reasonInvalid   reason = "invalid"
	reasonNotTried  reason = "notTried"
)

// explained says of some reasons what they mean here.
var explained = map[reason]string{
	reasonNotFound:  "the old server does not know them, or not any more",
	reasonLive:      "they have not ended yet",
	reasonRetention: "they ended so long ago that the service would not keep them; see retention.history",
	reasonTaken:     "the service has another session with this id, live or of another organisation",
	reasonInvalid:   "the service refused them",
	reasonNotTried:  "the run ended before it was their turn",
	"resting":       "the old server failed too often",
	"badRecord":     "the old server's answer is no record",
	"otherId":       "the old server's answer is about another session",
	"notJson":       "the old server's answer is a page, or half of one",
	"busy":          "the old server had too much to do",
	"refused":       "the old server, or a gateway before it, wants other credentials",
}

// lost is an id that was not imported.
type lost struct {
	id     string
	why    reason
	detail string // one line; may be empty
}

// tally counts what has become of the ids. It may be used concurrently.
type tally struct {
	total int
	again int // named more than once

	// How many records wait because one of the two servers fails, or asks for it.
	forOld, forNew atomic.Int32

	mu       sync.Mutex
	done     map[string]bool
	imported int
	there    int // before this run, or before its call
	lost     []lost
}

func newTally(list wanted) *tally {
	return &tally{total: len(list.ids), again: list.again, done: map[string]bool{}}
}

func (t *tally) skip(id string) { t.count(id, &t.there) }

func (t *tally) create(id string) { t.count(id, &t.imported) }

func (t *tally) count(id string, n *int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[id] = true
	*n++
}

func (t *tally) lose(id string, why reason, detail string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done[id] = true
	t.lost = append(t.lost, lost{id: id, why: why, detail: strings.Join(strings.Fields(detail), " ")})
}

// rest loses the ids of which nothing has become.
func (t *tally) rest(ids []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		if !t.done[id] {
			t.lost = append(t.lost, lost{id: id, why: reasonNotTried})
		}
	}
}

// progress says how far it is: for a terminal with a bar.
func (t *tally) progress(took time.Duration, bar bool) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	done := len(t.done)
	text := fmt.Sprintf("%d of %d: %d imported, %d there already, %d failed", done, t.total, t.imported, t.there, len(t.lost))
	if worked := done - t.there; worked > 0 && done < t.total {
		left := time.Duration(float64(took) / float64(worked) * float64(t.total-done))
		text += ", about " + max(left, time.Second).Round(time.Second).String() + " left"
	}
	if t.forOld.Load() > 0 {
		text += ", waiting for the old server"
	}
	if t.forNew.Load() > 0 {
		text += ", waiting for the service"
	}
	if bar {
		text = barOf(done, t.total) + " " + text
	}
	return text
}

// barWidth is that of the progress bar, in characters.
const barWidth = 20

func barOf(done, total int) string {
	full := barWidth
	if total > 0 {
		full = barWidth * done / total
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", barWidth-full) + "]"
}

// report writes what has become of all ids.
func (t *tally) report(w io.Writer) error {
	counts := map[reason]int{}
	for _, l := range t.lost {
		counts[l.why]++
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %d imported, %d there already, %d failed\n", several(t.total, "session id", "session ids"), t.imported, t.there, len(t.lost))
	if t.again > 0 {
		fmt.Fprintf(&text, "%s one of them again\n", several(t.again, "line named", "lines named"))
	}
	often := slices.SortedFunc(maps.Keys(counts), func(a, b reason) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for _, why := range often {
		line := fmt.Sprintf("%7d %s", counts[why], why)
		if means := explained[why]; means != "" {
			line += ": " + means
		}
		text.WriteString(line + "\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// several puts a number before what there are so many of.
func several(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + more
}

// writeLost writes the ids that were not imported, as a list for the next run.
func (t *tally) writeLost(w io.Writer) error {
	for _, l := range t.lost {
		line := l.id + " # " + string(l.why)
		if l.detail != "" {
			line += ": " + excerptOf(l.detail, maxIDLine/2)
		}
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// excerptOf cuts a text after so many bytes, between characters.
func excerptOf(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "")
}
