package socket

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"golang.org/x/time/rate"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/web"
)

// closing is a close code with its reason.
type closing struct {
	number int
	reason string
}

// The ways in which the server ends a connection: docs/notifications.md lists them.
var closings = map[notify.End]closing{
	notify.EndReplaced: {4409, "replaced"},
	notify.EndExpired:  {4410, "channelOver"},
	notify.EndToken:    {4401, "notAuthenticated"},
	notify.EndSlow:     {4408, "tooSlow"},
}

// Those that have nothing to do with the channel.
var (
	closeLeaving  = closing{websocket.CloseGoingAway, "goingAway"}
	closeInternal = closing{websocket.CloseInternalServerErr, "internal"}
	closeBadFrame = closing{4400, "badFrame"}
	closeRate     = closing{4429, "rate"}
	closeLost     = closing{} // nothing can be said any more
)

// link is one connection. The goroutine of serve alone writes data to it; control
// frames, which the library orders itself, come from both.
type link struct {
	server *Server
	ws     *websocket.Conn
	line   *notify.Line

	leaving   chan struct{} // closed by leave
	leaveOnce sync.Once
	stop      chan struct{} // closed by shut
	read      chan struct{} // closed when nothing is read any more

	mu     sync.Mutex
	why    closing
	shutIt bool
}

// leave has the client told that the service is about to stop.
func (l *link) leave() { l.leaveOnce.Do(func() { close(l.leaving) }) }

// shut decides that the connection ends; the first decision counts.
func (l *link) shut(why closing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.shutIt {
		l.shutIt, l.why = true, why
		close(l.stop)
	}
}

// serve is the life of a connection.
func (s *Server) serve(ws *websocket.Conn, line *notify.Line) {
	l := &link{server: s, ws: ws, line: line, leaving: make(chan struct{}), stop: make(chan struct{}), read: make(chan struct{})}
	defer line.Close()
	defer func() { _ = ws.Close() }()
	if s.add(l) {
		close(l.read) // nobody does
		l.goodbye(closeLeaving)
		return
	}
	defer s.remove(l)
	var others sync.WaitGroup
	defer others.Wait()
	defer func() { _ = ws.Close() }() // ends the reading, and a write that hangs
	others.Go(l.readAll)
	ended := make(chan struct{})
	defer close(ended)
	others.Go(func() { l.cut(ended) })
	l.write()
}

// cut ends a connection that is not gone some time after it was decided upon: a write
// to a client that does not read may hang.
func (l *link) cut(ended <-chan struct{}) {
	select {
	case <-ended:
		return
	case <-l.line.Done():
	case <-l.stop:
	}
	timer := time.NewTimer(l.server.limits.Close)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		_ = l.ws.Close()
	}
}

// write is the only one who writes data. It ends with the connection.
func (l *link) write() {
	defer l.rescue()
	limits := l.server.limits
	heartbeat, ping := time.NewTicker(limits.Heartbeat), time.NewTicker(limits.PingEvery)
	defer heartbeat.Stop()
	defer ping.Stop()
	expiry := time.NewTimer(min(l.line.Check(), lookAgain))
	defer expiry.Stop()
	leaving, gone := l.leaving, (<-chan time.Time)(nil)
	if !l.say(heartbeatFrame) { // says that it works
		return
	}
	for {
		select {
		case <-l.stop:
			l.goodbye(l.why) // written before stop was closed
			return
		case <-l.line.Done():
			l.goodbye(closings[l.line.Why()])
			return
		case <-l.line.Ready():
			if !l.sayAll(l.line.Take()) {
				return
			}
		case <-heartbeat.C:
			if !l.say(heartbeatFrame) {
				return
			}
		case <-ping.C:
			if l.ws.WriteControl(websocket.PingMessage, nil, l.writeBy()) != nil {
				return
			}
		case <-expiry.C:
			expiry.Reset(max(time.Millisecond, min(l.line.Check(), lookAgain)))
		case <-leaving:
			leaving = nil
			timer := time.NewTimer(limits.Leave)
			defer timer.Stop()
			gone = timer.C
			if !l.say(closingFrame) {
				return
			}
		case <-gone:
			l.goodbye(closeLeaving)
			return
		}
	}
}

func (l *link) writeBy() time.Time { return l.server.cfg.Clock.Now().Add(l.server.limits.Write) }

func (l *link) sayAll(frames [][]byte) bool {
	for _, frame := range frames {
		if !l.send(frame) {
			return false
		}
		select {
		case <-l.line.Done(): // what is still there is not worth the time
			return true
		default:
		}
	}
	return true
}

func (l *link) say(frame string) bool { return l.send([]byte(frame)) }

func (l *link) send(frame []byte) bool {
	return l.ws.SetWriteDeadline(l.writeBy()) == nil && l.ws.WriteMessage(websocket.TextMessage, frame) == nil
}

// goodbye closes the connection with a code, and waits a moment for the client's, so
// that ours is not lost in a reset.
func (l *link) goodbye(why closing) {
	if why.number == 0 {
		return
	}
	by := l.server.cfg.Clock.Now().Add(l.server.limits.Close)
	if l.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(why.number, why.reason), by) != nil {
		return
	}
	select {
	case <-l.read:
	case <-time.After(l.server.limits.Close):
	}
}

// readAll is the only one who reads. It ends with the connection.
func (l *link) readAll() {
	defer close(l.read)
	defer l.rescue()
	limits := l.server.limits
	rates := rate.NewLimiter(rate.Limit(limits.FramesPerSecond), limits.FrameBurst)
	allowed := func() bool { return rates.AllowN(l.server.cfg.Clock.Now(), 1) }
	alive := func() error { return l.ws.SetReadDeadline(l.server.cfg.Clock.Now().Add(limits.DeadAfter)) }
	l.ws.SetReadLimit(int64(limits.FrameBytes))
	l.ws.SetPongHandler(func(string) error {
		if !allowed() {
			return errRate
		}
		return alive()
	})
	answer := l.ws.PingHandler()
	l.ws.SetPingHandler(func(data string) error {
		if !allowed() {
			return errRate
		}
		if err := alive(); err != nil {
			return err
		}
		return answer(data)
	})
	for {
		if alive() != nil {
			l.shut(closeLost)
			return
		}
		kind, data, err := l.ws.ReadMessage()
		switch {
		case errors.Is(err, errRate):
			l.refuse(closeRate)
			return
		case errors.Is(err, websocket.ErrReadLimit):
			l.shut(closeLost) // the library has said it
			return
		case err != nil:
			l.shut(closeLost)
			return
		case kind != websocket.TextMessage:
			l.refuse(closeBadFrame)
			return
		case !allowed():
			l.refuse(closeRate)
			return
		case !l.handle(data):
			l.refuse(closeBadFrame)
			return
		}
	}
}

var errRate = errors.New("too many frames")

// refuse shuts the connection, and reads on until it is gone.
func (l *link) refuse(why closing) {
	l.shut(why)
	for {
		if _, _, err := l.ws.NextReader(); err != nil {
			return
		}
	}
}

// handle does what a client asks for, and reports whether it could be understood. What
// is of a later version of the protocol is ignored.
func (l *link) handle(data []byte) bool {
	var m message
	if web.TooDeep(data, maxDepth) || json.Unmarshal(data, &m) != nil {
		return false
	}
	switch m.Message {
	case "ping":
		l.line.Put([]byte(pongFrame))
	case "subscribe":
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		err := l.line.Subscribe(ctx, m.Topics)
		if cobridge.CodeOf(err) == cobridge.CodeInternal {
			l.server.cfg.Log.Error("subscribing over a notification channel failed", "err", err)
		}
		if frame, err := subscribed(m, err); err == nil { // always: strings have an encoding
			l.line.Put(frame)
		}
	}
	return true
}

// rescue keeps a panic from ending the process: Fiber's middleware is not here. It is
// deferred itself, because recover works nowhere else.
func (l *link) rescue() {
	if recover() == nil { // the value is not logged: it may hold what a client sent
		return
	}
	l.server.cfg.Log.Error("notification channel panicked", "stack", string(debug.Stack()))
	l.shut(closeInternal)
	_ = l.ws.Close()
}
