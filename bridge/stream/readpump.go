package stream

import (
	"bytes"
	"errors"
	"io"
	"net"

	"github.com/fasthttp/websocket"
)

// What next found wrong with a message.
var (
	errTooLarge = errors.New("frame too large")
	errBinary   = errors.New("not a text frame")
	errRate     = errors.New("too many frames")
)

// readPump is the only one who reads. It ends with the connection: after a
// goodbye it waits for the client's, so that ours is not lost in a reset.
func (l *link) readPump() {
	defer l.rescue(func() {})
	l.readFrames()
	for {
		if _, _, err := l.ws.NextReader(); err != nil {
			return
		}
	}
}

// readFrames reads and handles frames until the link is shut.
func (l *link) readFrames() {
	defer l.rescue(func() {})
	rates := newRates(&l.hub.limits, l.hub.wall.Now())
	l.limitWire(l.hub.limits.FrameBytes)
	l.ws.SetPongHandler(func(data string) error {
		now := l.hub.wall.Now()
		if !rates.frames.take(now, 1) {
			return errRate
		}
		l.trip.end(data, now)
		l.hub.measured(l)
		return l.alive()
	})
	l.ws.SetPingHandler(func(data string) error {
		if !rates.frames.take(l.hub.wall.Now(), 1) {
			return errRate
		}
		// The write pump answers, the latest one alone (RFC 6455, section 5.5.3): a
		// write from here would move the deadline of one that is under way.
		select {
		case <-l.pongs:
		default:
		}
		l.pongs <- data // this is the only place where something is put there
		return l.alive()
	})
	if err := l.ws.SetReadDeadline(l.hub.wall.Now().Add(l.hub.limits.Hello)); err != nil {
		return
	}
	if l.entry.joined != nil {
		l.admitted()
	}
	for !l.isShut() {
		if !l.readFrame(rates) {
			return
		}
	}
}

// admitted welcomes a link that was let in before the upgrade.
func (l *link) admitted() {
	ctx, cancel := l.hub.detached()
	defer cancel()
	l.welcome(ctx, l.entry.joined)
}

// limitWire bounds a message as it is on the wire, so that what does not come out
// of the decompressor does not come in for ever either; readAll counts what does. A
// message that cannot be compressed grows a little by it.
func (l *link) limitWire(size int) { l.ws.SetReadLimit(int64(size + size/64 + 64)) }

// readFrame reads and handles one frame, and reports whether there may be more.
func (l *link) readFrame(rates *rates) bool {
	reader, err := l.nextText()
	if err != nil {
		l.blame(err)
		return false
	}
	scratch := l.hub.scratch() // only now: most of the time there is nothing to read
	defer l.hub.keep(scratch)
	if err := l.readAll(reader, scratch); err != nil {
		l.blame(err)
		return false
	}
	data, now := *scratch, l.hub.wall.Now()
	kind, _ := kindOf(data)
	within := true // the rate of its kind
	switch kind {
	case kindEv:
		if !l.member.sharer {
			l.refuse()
			return false
		}
		if !rates.ev.take(now, 1) || !rates.evBytes.take(now, float64(len(data))) {
			l.shut(closeRate, "")
			return false
		}
		callWith(l.hub.metrics.FrameIn, kindEv)
		return !l.isShut() && l.receive(data)
	case kindPtr:
		within = rates.ptr.take(now, 1)
	case kindDraw:
		within = rates.draw.take(now, 1)
	case kindCtl:
		within = rates.ctl.take(now, 1)
	case kindAsk:
		within = rates.ask.take(now, 1)
	default:
		if !rates.frames.take(now, 1) {
			l.shut(closeRate, "")
			return false
		}
	}
	if !within {
		if !rates.excess.take(now, 1) {
			l.shut(closeRate, "")
			return false
		}
		if kind == kindPtr || kind == kindDraw { // the others are answered
			call(l.hub.metrics.Dropped)
			return true
		}
	}
	if l.isShut() {
		return false
	}
	kind, body, err := decodeFrame(data)
	if err != nil || l.member.session == "" && kind != kindHello {
		l.refuse()
		return false
	}
	callWith(l.hub.metrics.FrameIn, kind)
	l.handle(kind, body, within)
	return true
}

// refuse closes the connection for a frame that is none.
func (l *link) refuse() {
	callWith(l.hub.metrics.FrameIn, kindUnknown)
	l.fail(newErrFrame(errFrameRefused(), true), closeBadFrame, "")
}

// alive moves the moment at which the client counts as dead. A stranger's does
// not move: it has until then to say who it is.
func (l *link) alive() error {
	if l.member.session == "" {
		return nil
	}
	return l.ws.SetReadDeadline(l.hub.wall.Now().Add(l.hub.limits.DeadAfter))
}

// nextText waits for the next message.
func (l *link) nextText() (io.Reader, error) {
	kind, reader, err := l.ws.NextReader()
	if err == nil && kind != websocket.TextMessage {
		err = errBinary
	}
	return reader, err
}

// readAll reads a message into scratch. Its limit counts what comes out of the
// decompressor: the library's own counts what goes in.
func (l *link) readAll(reader io.Reader, scratch *[]byte) error {
	data, err := readUpTo(reader, (*scratch)[:0], l.hub.limits.FrameBytes)
	if errors.Is(err, errTooLarge) && l.member.sharer && bytes.HasPrefix(data, []byte(evHead)) {
		data, err = readUpTo(reader, data, l.hub.limits.Picture.FullBytes)
	}
	*scratch = data
	if err != nil {
		return err
	}
	return l.alive()
}

// readUpTo appends what r has to data, at most limit bytes in all. It fails with
// errTooLarge as soon as there is one more; data has it then, and can be read on.
func readUpTo(r io.Reader, data []byte, limit int) ([]byte, error) {
	for len(data) <= limit {
		if len(data) == cap(data) {
			larger := make([]byte, len(data), max(scratchStart, min(2*cap(data), limit+1)))
			copy(larger, data)
			data = larger
		}
		n, err := r.Read(data[len(data):min(cap(data), limit+1)])
		data = data[:len(data)+n]
		switch {
		case len(data) > limit:
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return data, err
		}
	}
	return data, errTooLarge
}

// scratch returns a buffer to read a frame into. A connection has one only while
// it reads.
func (h *Hub) scratch() *[]byte {
	if b, ok := h.buffers.Get().(*[]byte); ok {
		return b
	}
	return new([]byte)
}

// keep gives a buffer back for the next frame, unless it has grown large.
func (h *Hub) keep(b *[]byte) {
	if cap(*b) <= scratchKept {
		*b = (*b)[:0]
		h.buffers.Put(b)
	}
}

// blame shuts the connection for what a read failed with.
func (l *link) blame(err error) {
	if e, ok := errors.AsType[*websocket.CloseError](err); ok && e.Code != websocket.CloseAbnormalClosure {
		l.shut(closeByClient, "")
		return
	}
	switch e, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, errTooLarge):
		l.shut(closeTooLarge, "")
	case errors.Is(err, websocket.ErrReadLimit):
		l.shutSaid(closeTooLarge)
	case errors.Is(err, errRate):
		l.shut(closeRate, "")
	case errors.Is(err, errBinary):
		l.shut(closeBadFrame, "")
	case ok && e.Timeout() && l.member.session == "":
		l.shut(closeTooSlow, "hello")
	default:
		l.shut(closeLost, "")
	}
}
