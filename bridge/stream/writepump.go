package stream

import (
	"errors"
	"time"

	"github.com/fasthttp/websocket"
)

// writePump is the only one who writes data, pings and pongs.
func (l *link) writePump() {
	defer l.rescue(l.sayGoodbye)
	ping := time.NewTicker(l.hub.limits.PingEvery)
	defer ping.Stop()
	if l.ping() != nil { // how long its way is, is known from the start
		return
	}
	for {
		select {
		case <-l.stop:
			l.finish()
			return
		case <-l.out.Ready():
			if l.sendAll(ping.C) != nil {
				return
			}
		case data := <-l.pongs:
			if l.control(websocket.PongMessage, []byte(data)) != nil {
				return
			}
		case <-ping.C:
			if l.ping() != nil {
				return
			}
		}
	}
}

func (l *link) writeBy() time.Time { return l.hub.wall.Now().Add(l.hub.limits.Write) }

func (l *link) ping() error {
	return l.control(websocket.PingMessage, l.trip.begin(l.hub.wall.Now()))
}

func (l *link) control(kind int, data []byte) error {
	err := l.ws.WriteControl(kind, data, l.writeBy())
	if err != nil {
		l.lose()
	}
	return err
}

// errStopped ends a write between two of its parts: the link was shut.
var errStopped = errors.New("link shut")

// sendAll writes everything that waits. What was decided meanwhile does not wait
// for the end of it, nor does a ping that is due.
func (l *link) sendAll(ping <-chan time.Time) error {
	if l.isShut() {
		return nil // what is still said, if anything, is for finish to decide
	}
	b := l.hub.wire.batch()
	defer b.release()
	b.frames = l.out.Take(b.frames[:0])
	if l.out.Overflowed() {
		l.shut(closeTooSlow, "")
		return nil // the pump sees it, and says goodbye
	}
	err := l.send(b, func() error {
		select {
		case <-l.stop:
			return errStopped
		case data := <-l.pongs:
			return l.control(websocket.PongMessage, []byte(data))
		case <-ping:
			return l.ping()
		default:
			return nil
		}
	})
	l.out.Written()
	if errors.Is(err, errStopped) {
		l.torn = b.inside
		return nil // the pump sees it, and says goodbye
	}
	return err
}

// send writes a batch, and calls between after each of its parts.
func (l *link) send(b *batch, between func() error) error {
	l.count(b)
	flush := func() error {
		if err := b.writeTo(l.raw, l.writeBy()); err != nil {
			l.lose()
			return err
		}
		return between()
	}
	for _, f := range b.frames {
		if err := b.add(f, l.entry.deflate, flush); err != nil {
			return err
		}
	}
	return flush()
}

// count tells the metrics what is sent, runs of one kind at once.
func (l *link) count(b *batch) {
	if l.hub.metrics.FrameOut == nil {
		return
	}
	for i := 0; i < len(b.frames); {
		kind, n := b.frames[i].Kind(), 1
		for i+n < len(b.frames) && b.frames[i+n].Kind() == kind {
			n++
		}
		l.hub.metrics.FrameOut(kind, n)
		i += n
	}
}

// lose gives up a client that cannot be written to. Cutting the connection wakes
// the read pump.
func (l *link) lose() {
	l.shut(closeLost, "")
	l.cut()
}

// finish says what is left to be said, unless it would stand in the middle of a
// message, and goodbye. The picture is left out: the
// client would throw it away. A slow client gets the goodbye alone: what it missed
// is why it has to go.
func (l *link) finish() {
	l.mu.Lock()
	code, said := l.code, l.said
	l.mu.Unlock()
	if !said && !l.torn && code != closeTooSlow && code != closeLost && code != closeByClient {
		b := l.hub.wire.batch()
		defer b.release()
		b.frames = l.out.Take(b.frames[:0])
		last := b.frames[:0]
		for _, f := range b.frames {
			switch f.Kind() {
			case kindEv, kindSync, kindSkip, kindPtr, kindDraw, kindFocus:
			default:
				last = append(last, f)
			}
		}
		clear(b.frames[len(last):])
		b.frames = last
		if l.send(b, func() error { return nil }) != nil {
			return
		}
	}
	l.sayGoodbye()
}

func (l *link) sayGoodbye() {
	l.mu.Lock()
	code, reason := l.code, l.reason
	l.mu.Unlock()
	if code == closeLost {
		l.cut()
		return
	}
	if code == closeByClient {
		return // the library has answered it
	}
	// A failure means that the client has gone or that the library has said it
	// already; the read pump ends in either case, by itself or when it is cut.
	_ = l.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code.Number, reason), l.hub.wall.Now().Add(l.hub.limits.Close))
}
