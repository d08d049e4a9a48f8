package stream

import (
	"context"
	"encoding/json"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// member says which link of which participant a connection is.
type member struct {
	session     cobrowse.SessionID
	participant cobrowse.ParticipantID
	number      uint64
	name        string
	role        cobrowse.Role
	sharer      bool
}

// link is one connection. Its two pumps alone touch ws, and the write pump alone
// writes data to raw; everybody else puts frames into out, or calls shut.
type link struct {
	hub   *Hub
	entry *entry
	ws    *websocket.Conn
	raw   net.Conn // below the library and fasthttp

	// Both are set once, by the read pump before the link is in the room's list; who
	// finds it there may read them.
	member member
	room   *room

	out   *relay.Queue
	pongs chan string // what the client's latest ping had in it
	torn  bool        // the write pump has stopped in the middle of a message

	trip trip

	stop chan struct{} // closed by shut

	told string // quality that the others know of; guarded by room.mu

	mu      sync.Mutex
	code    CloseCode // why it was shut
	reason  string
	shutYet bool
	said    bool // the library has told the client by itself
	gone    bool // the handler has returned: raw may belong to somebody else
	cutter  *time.Timer
}

// serve is the life of a connection. It returns when both pumps have ended.
func (h *Hub) serve(ws *websocket.Conn, e *entry) {
	defer func() { _ = ws.Close() }() // it is closed in any case
	l := h.begun(ws, e)
	written := make(chan struct{})
	go func() {
		defer close(written)
		l.writePump()
	}()
	l.readPump()
	l.shut(closeLost, "")
	<-written
	l.ended()
}

// begun makes the link of a connection. The stack of its pump is as large as
// what stands on it while it waits: nothing large is left there.
func (h *Hub) begun(ws *websocket.Conn, e *entry) *link {
	l := &link{
		hub: h, entry: e, ws: ws, raw: rawConn(ws), out: relay.NewQueue(h.limits.Picture), pongs: make(chan string, 1), stop: make(chan struct{}),
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
		l.member = memberOf(e.joined)
	}
	return l
}

// ended undoes what a connection has changed, now that both pumps have ended.
func (l *link) ended() {
	h := l.hub
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
	h.giveBack(l.entry.network, l.member.session == "")
}

func memberOf(joined *cobrowse.Joined) member {
	p := &joined.Participant
	return member{
		session: joined.Session.ID, participant: p.ID, number: p.Connection.Number, name: p.Name, role: p.Role, sharer: p.ID == joined.Session.Sharer(),
	}
}

// rawConn returns the connection below those of fasthttp and the library.
func rawConn(ws *websocket.Conn) net.Conn {
	conn := ws.NetConn()
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		return hijacked.UnsafeConn()
	}
	return conn
}

// put queues a frame. A client that reads so slowly that its queue is full is
// closed; nobody waits for it.
func (l *link) put(f *relay.Frame) {
	if !l.out.Put(f) {
		l.shut(closeTooSlow, "")
	}
}

// tell queues a frame for this client alone.
func (l *link) tell(kind string, body any) {
	if f := l.hub.encode(kind, body); f != nil {
		l.put(f)
	}
}

// encode makes a frame, or returns nil: none of ours fails to be encoded.
func (h *Hub) encode(kind string, body any) *relay.Frame {
	text, err := json.Marshal(body)
	if err != nil {
		h.log.Error("frame not encoded", "kind", kind, "err", err)
		return nil
	}
	return relay.NewFrame(kind, text)
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

// shutSaid is shut for what the library has told the client already: nothing may
// be written any more.
func (l *link) shutSaid(code CloseCode) {
	l.mu.Lock()
	l.said = true
	l.mu.Unlock()
	l.shut(code, "")
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

// fail sends an err frame and shuts the connection.
func (l *link) fail(f errFrame, code CloseCode, reason string) {
	l.tell(kindErr, f)
	l.shut(code, reason)
}

// report logs a failure that is ours.
func (l *link) report(ctx context.Context, err error) {
	if web.StatusOf(cobridge.CodeOf(err)) >= fiber.StatusInternalServerError {
		l.hub.log.ErrorContext(ctx, "stream call failed", "sessionId", string(l.entry.session), "err", err)
	}
}
