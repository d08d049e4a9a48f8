package relay

import (
	"bytes"
	"math"
	"strconv"
	"unicode/utf8"
)

// kindEv is the kind of the frames that carry the picture.
const kindEv = "ev"

// mark says what an ev frame holds, its member "k".
type mark int

const (
	markNone mark = iota
	markFull      // exactly a Meta and a FullSnapshot event
	markMove      // only movements, which a slow viewer can do without
)

// maxSeq is the largest integer that JavaScript counts up to one by one.
const maxSeq = 1<<53 - 1

// head is what stands before the events of an ev frame:
//
//	{"t":"ev","e":1,"s":1,"c":1732200000000,"k":"full","b":[…]}
//
// in exactly this order and without spaces, which is what JSON.stringify makes of
// it. Everything else is refused, so that nobody has to ask which of two members
// counts. k may be absent.
type head struct {
	epoch uint32 // 1 or more
	seq   uint64 // 1 up to maxSeq
	mark  mark
	body  int // where the array of events starts
}

// readHead reads the head of an ev frame, by hand: the rest is relayed unread or
// scanned once.
func readHead(data []byte) (head, bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"t":"ev","e":`))
	epoch, rest, ok := cutInteger(rest, ok, `,"s":`, math.MaxUint32)
	seq, rest, ok := cutInteger(rest, ok, `,"c":`, maxSeq)
	_, rest, ok = cutInteger(rest, ok, `,"`, maxSeq)
	if !ok || epoch == 0 || seq == 0 {
		return head{}, false
	}
	h := head{epoch: uint32(epoch), seq: seq} //nolint:gosec // cutInteger has bounded it
	if after, found := bytes.CutPrefix(rest, []byte(`k":"full","`)); found {
		rest, h.mark = after, markFull
	} else if after, found := bytes.CutPrefix(rest, []byte(`k":"move","`)); found {
		rest, h.mark = after, markMove
	}
	rest, ok = bytes.CutPrefix(rest, []byte(`b":`))
	h.body = len(data) - len(rest)
	return h, ok && len(rest) > 0 && rest[0] == '['
}

// cutInteger reads a whole number from 0 to limit without leading zeros, and what
// follows it. ok is handed through, so that calls can stand in a row.
func cutInteger(data []byte, ok bool, follows string, limit uint64) (n uint64, rest []byte, _ bool) {
	if !ok {
		return 0, nil, false
	}
	end := 0
	for end < len(data) && data[end] >= '0' && data[end] <= '9' {
		end++
	}
	if end == 0 || end > len("18446744073709551615") || data[0] == '0' && end > 1 {
		return 0, nil, false
	}
	n, err := strconv.ParseUint(string(data[:end]), 10, 64)
	if err != nil || n > limit {
		return 0, nil, false
	}
	rest, ok = bytes.CutPrefix(data[end:], []byte(follows))
	return n, rest, ok
}

// check holds the events of a frame against its head and the fields that must be
// masked. The tripwire learns of the fields in it.
func (w *tripwire) check(data []byte, h head, depth int) error {
	if !utf8.Valid(data) {
		return ErrBadFrame
	}
	if h.epoch != w.epoch {
		w.epoch, w.fields = h.epoch, nil // node ids start anew with each page load
	}
	known := w.fields
	if h.mark == markFull {
		w.fields = nil // a full frame lists all that are there
	}
	w.scanner = scanner{data: data, pos: h.body, levels: depth - 1}
	w.found, w.tooMany = nil, false
	events := w.events()
	w.next()
	ok := !w.failed && w.pos == len(data)-1 && data[w.pos] == '}' && events.fit(h.mark)
	w.data = nil
	switch {
	case !ok:
		w.fields = known
		return ErrBadFrame
	case w.found != nil:
		return w.found
	case w.tooMany:
		return ErrTooLarge
	}
	return nil
}
