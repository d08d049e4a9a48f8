package stream

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

// member says which link of which participant a connection is.
type member struct {
	session     cobrowse.SessionID
	participant cobrowse.ParticipantID
	number      uint64
}

// link is one connection. Its two pumps alone touch ws; everybody else puts
// messages into out, or calls shut.
type link struct {
	hub   *Hub
	entry entry
	ws    *websocket.Conn
	raw   net.Conn // below the library, to be cut

	member member // set once, under the hub's mu; read by the read pump or under mu

	out     chan message
	waiting atomic.Int64 // bytes in out

	stop chan struct{} // closed by shut

	mu      sync.Mutex
	code    CloseCode // why it was shut
	reason  string
	shutYet bool
	gone    bool // the handler has returned: raw may belong to somebody else
	cutter  *time.Timer
}

// serve is the life of a connection. It returns only when both pumps have ended:
// fasthttp takes the connection back afterwards.
func (h *Hub) serve(ws *websocket.Conn, e entry) {
	defer func() { _ = ws.Close() }() // it is closed in any case
	l := &link{
		hub: h, entry: e, ws: ws, raw: rawConn(ws), out: make(chan message, h.limits.QueueFrames), stop: make(chan struct{}),
	}
	call(h.metrics.Opened)
	h.mu.Lock()
	h.links[l] = struct{}{}
	draining := h.draining
	h.mu.Unlock()
	if draining {
		l.shut(closeGoingAway, `{"retryMs":1000}`)
	}
	if e.joined != nil {
		l.member = member{session: e.joined.Session.ID, participant: e.joined.Participant.ID, number: e.joined.Participant.Connection.Number}
	}

	written := make(chan struct{})
	go func() {
		defer close(written)
		l.writePump()
	}()
	l.readPump()
	l.shut(closeLost, "")
	<-written

	l.mu.Lock()
	l.gone = true
	l.cutter.Stop()
	name := l.code.Name
	l.mu.Unlock()
	h.part(l)
	if l.member.session != "" {
		h.disconnected(l.member)
	}
	callWith(h.metrics.Closed, name)
	h.giveBack(e.network, l.member.session == "")
}

// rawConn returns the connection below those of fasthttp and the library.
func rawConn(ws *websocket.Conn) net.Conn {
	conn := ws.NetConn()
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		return hijacked.UnsafeConn()
	}
	return conn
}

// put queues a message. A client that reads so slowly that its queue is full is
// closed; nobody waits for it.
func (l *link) put(m message) {
	if l.waiting.Add(int64(m.size)) > int64(l.hub.limits.QueueBytes) {
		l.shut(closeTooSlow, "")
		return
	}
	select {
	case l.out <- m:
	default:
		l.shut(closeTooSlow, "")
	}
}

// shut decides that the connection ends; the first decision counts. The write
// pump says so to the client, and when that does not work the connection is cut.
// It may be called from anywhere.
func (l *link) shut(code CloseCode, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shutYet {
		return
	}
	l.shutYet, l.code, l.reason = true, code, reason
	l.cutter = time.AfterFunc(l.hub.limits.Close, l.cut)
	close(l.stop)
}

// cut ends the connection without a word. Closing it through the library would
// do nothing while the handler runs, if the server did not keep hijacked connections.
func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.gone {
		_ = l.raw.Close() // nothing is left to be done about a failure
	}
}

func (l *link) isShut() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// rescue keeps a panic from ending the process: Fiber's middleware is not here.
// It is deferred itself, because recover works nowhere else.
func (l *link) rescue(then func()) {
	if recover() == nil { // the value is not logged: it may hold what a client sent
		return
	}
	l.hub.log.Error("stream panicked", "sessionId", string(l.entry.session), "stack", string(debug.Stack()))
	call(l.hub.metrics.Panicked)
	l.shut(closeInternal, "")
	then()
}

// writePump is the only one who writes data.
func (l *link) writePump() {
	defer l.rescue(l.sayGoodbye)
	ping := time.NewTicker(l.hub.limits.PingEvery)
	defer ping.Stop()
	for {
		select {
		case <-l.stop:
			l.finish()
			return
		case m := <-l.out:
			if !l.send(m) {
				return
			}
		case <-ping.C:
			if err := l.ws.WriteControl(websocket.PingMessage, nil, l.writeBy()); err != nil {
				l.lose()
				return
			}
		}
	}
}

func (l *link) writeBy() time.Time { return l.hub.wall.Now().Add(l.hub.limits.Write) }

func (l *link) send(m message) bool {
	l.waiting.Add(-int64(m.size))
	callWith(l.hub.metrics.FrameOut, m.kind)
	if err := l.ws.SetWriteDeadline(l.writeBy()); err != nil {
		l.lose()
		return false
	}
	if err := l.ws.WritePreparedMessage(m.prepared); err != nil {
		l.lose()
		return false
	}
	return true
}

// lose gives up a client that cannot be written to. Cutting the connection wakes
// the read pump.
func (l *link) lose() {
	l.shut(closeLost, "")
	l.cut()
}

// finish says what is left to be said, and goodbye. A slow client gets the
// goodbye alone: what it missed is why it has to go.
func (l *link) finish() {
	for l.code != closeTooSlow && l.code != closeLost && l.code != closeByClient {
		select {
		case m := <-l.out:
			if !l.send(m) {
				return
			}
			continue
		default:
		}
		break
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
	rate := newBucket(l.hub.limits.FramesPerSecond, l.hub.limits.FrameBurst, l.hub.wall.Now())
	l.ws.SetReadLimit(int64(l.hub.limits.FrameBytes)) // of the wire; next counts what comes out of it
	l.ws.SetPongHandler(func(string) error {
		if !rate.take(l.hub.wall.Now()) {
			return errRate
		}
		return l.alive()
	})
	l.ws.SetPingHandler(func(data string) error {
		if !rate.take(l.hub.wall.Now()) {
			return errRate
		}
		// A failed write ends the connection elsewhere.
		_ = l.ws.WriteControl(websocket.PongMessage, []byte(data), l.hub.wall.Now().Add(l.hub.limits.Close))
		return l.alive()
	})
	if err := l.ws.SetReadDeadline(l.hub.wall.Now().Add(l.hub.limits.Hello)); err != nil {
		return
	}
	if l.entry.joined != nil {
		ctx, cancel := l.hub.detached()
		l.welcome(ctx, *l.entry.joined)
		cancel()
	}
	for !l.isShut() {
		data, err := l.next()
		if err != nil {
			l.blame(err)
			return
		}
		if !rate.take(l.hub.wall.Now()) {
			l.shut(closeRate, "")
			return
		}
		if l.isShut() {
			return
		}
		f, err := decodeFrame(data)
		if err != nil || l.member.session == "" && f.kind != kindHello {
			callWith(l.hub.metrics.FrameIn, kindUnknown)
			l.fail(newErrFrame(errFrameRefused(), true), closeBadFrame, "")
			return
		}
		callWith(l.hub.metrics.FrameIn, f.kind)
		l.handle(f)
	}
}

// alive moves the moment at which the client counts as dead. A stranger's does
// not move: it has until then to say who it is.
func (l *link) alive() error {
	if l.member.session == "" {
		return nil
	}
	return l.ws.SetReadDeadline(l.hub.wall.Now().Add(l.hub.limits.DeadAfter))
}

// next reads one message. The limit counts what comes out of the decompressor:
// the library's own counts what goes in.
func (l *link) next() ([]byte, error) {
	kind, reader, err := l.ws.NextReader()
	if err != nil {
		return nil, err
	}
	if kind != websocket.TextMessage {
		return nil, errBinary
	}
	limit := l.hub.limits.FrameBytes
	data, err := io.ReadAll(io.LimitReader(reader, int64(limit)+1))
	if len(data) > limit {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, err
	}
	return data, l.alive()
}

// blame shuts the connection for what a read failed with.
func (l *link) blame(err error) {
	if e, ok := errors.AsType[*websocket.CloseError](err); ok && e.Code != websocket.CloseAbnormalClosure {
		l.shut(closeByClient, "")
		return
	}
	switch e, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, errTooLarge), errors.Is(err, websocket.ErrReadLimit): // of the second the library has told the client
		l.shut(closeTooLarge, "")
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

// fail sends an err frame and shuts the connection.
func (l *link) fail(f errFrame, code CloseCode, reason string) {
	l.say(f)
	l.shut(code, reason)
}

// say queues a frame for this client alone.
func (l *link) say(f errFrame) {
	m, err := newMessage(kindErr, f)
	if err != nil {
		l.hub.log.Error("frame not encoded", "err", err)
		return
	}
	l.put(m.message)
}

// handle does what a frame asks for.
func (l *link) handle(f frame) {
	ctx, cancel := l.hub.detached()
	defer cancel()
	service, m := l.hub.service, l.member
	var err error
	switch f.kind {
	case kindHello:
		if m.session == "" {
			l.introduce(ctx, f.hello)
		}
		return // a second hello says nothing new
	case kindAct:
		err = service.Activity(ctx, m.session)
	case kindPage:
		err = service.VisitPage(ctx, m.session, m.participant, m.number, f.page.URL, f.page.Title)
	case kindEnd:
		err = service.Leave(ctx, m.session, m.participant, m.number)
	default:
		return // of a later version of the protocol
	}
	if err != nil {
		l.report(ctx, err)
		l.say(newErrFrame(err, false))
		return
	}
	l.hub.refresh(ctx, m.session)
}

// report logs a failure that is ours.
func (l *link) report(ctx context.Context, err error) {
	if web.StatusOf(cobridge.CodeOf(err)) >= fiber.StatusInternalServerError {
		l.hub.log.ErrorContext(ctx, "stream call failed", "sessionId", string(l.entry.session), "err", err)
	}
}
