package bayeux

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// Close codes (RFC 6455, section 7.4.1).
const (
	closeNormal    = websocket.CloseNormalClosure
	closeGoingAway = websocket.CloseGoingAway
	closeProtocol  = websocket.CloseProtocolError
	closeTooLarge  = websocket.CloseMessageTooBig
	closeInternal  = websocket.CloseInternalServerErr
	closeTooSlow   = websocket.ClosePolicyViolation
	closeBusy      = websocket.CloseTryAgainLater
	closeLost      = websocket.CloseAbnormalClosure // nothing is said
)

// socket is a WebSocket. Its two pumps alone touch ws; everybody else puts
// messages into out, or calls shut.
type socket struct {
	server  *Server
	ws      *websocket.Conn
	raw     net.Conn // below the library and fasthttp
	request Request

	wake chan struct{} // something is in out
	sent chan struct{} // something has gone out
	stop chan struct{} // closed by shut
	pong chan string   // what the client's latest ping had in it

	mu     sync.Mutex
	client *client // the one that was last heard of on it
	out    []outgoing
	bytes  int // of out, and of what is being sent
	code   int // why it was shut; 0 = it was not
	gone   bool
	cutter *time.Timer
}

// outgoing are messages that go out together. Events have their client: they go
// back to it if they cannot be sent.
type outgoing struct {
	client   *client
	messages [][]byte
}

func isUpgrade(c *fiber.Ctx) bool { return websocket.FastHTTPIsWebSocketUpgrade(c.Context()) }

// upgrade opens a WebSocket.
func (s *Server) upgrade(c *fiber.Ctx) error {
	request := requestOf(c, WebSocket)
	if err := s.admit(c, &request); err != nil {
		return err
	}
	if !s.offers(WebSocket) {
		// The client then tries the next transport that it knows.
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This transport is switched off."}
	}
	key, err := base64.StdEncoding.DecodeString(c.Get("Sec-WebSocket-Key"))
	if err != nil || len(key) != 16 || c.Get("Sec-WebSocket-Version") != "13" {
		c.Set("Sec-WebSocket-Version", "13")
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This is not a WebSocket handshake of version 13."}
	}
	if !s.hasPlace(request.Network) {
		return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "Too many connections are open.", RetryAfter: s.limits.Return}
	}
	upgrader := websocket.FastHTTPUpgrader{
		HandshakeTimeout: s.limits.Write, ReadBufferSize: socketBuffer, WriteBufferSize: socketBuffer, WriteBufferPool: &s.buffers,
	}
	upgrader.CheckOrigin = checkedBefore
	inner := c.Context()
	err = upgrader.Upgrade(inner, func(ws *websocket.Conn) {
		// It is kept until the connection has ended, and belongs to nobody but the
		// goroutine that runs this: 3.5 KB of headers less for a connection.
		empty(&inner.Request.Header)
		empty(&inner.Response.Header)
		s.serve(ws, request)
	})
	if err != nil {
		return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "This is not a WebSocket handshake.", Err: err}
	}
	return nil
}

// checkedBefore is the upgrader's check of the origin, which has been checked by
// then. Nil would compare it with the host.
func checkedBefore[T any](T) bool { return true }

func empty[T any](p *T) {
	var zero T
	*p = zero
}

// hasPlace tells whether one more WebSocket from this network may be opened.
func (s *Server) hasPlace(of string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.networks[of]
	return !s.draining && len(s.sockets) < s.limits.Sockets && (n == nil || n.sockets < s.limits.SocketsPerNetwork)
}

// serve is the life of a WebSocket. It returns only when both pumps have ended:
// a write after that would reach somebody else.
func (s *Server) serve(ws *websocket.Conn, request Request) {
	defer func() { _ = ws.Close() }() // it is closed in any case
	k := &socket{
		server: s, ws: ws, raw: rawConn(ws), request: request,
		wake: make(chan struct{}, 1), sent: make(chan struct{}, 1), stop: make(chan struct{}), pong: make(chan string, 1),
	}
	if !s.addSocket(k) {
		k.shut(closeBusy)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		k.writePump()
	}()
	k.readPump()
	k.shut(closeLost)
	<-written
	k.ended()
}

// rawConn returns the connection below those of fasthttp and the library.
func rawConn(ws *websocket.Conn) net.Conn {
	conn := ws.NetConn()
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		return hijacked.UnsafeConn()
	}
	return conn
}

// addSocket puts the socket in the list, and tells whether there was a place.
func (s *Server) addSocket(k *socket) bool {
	fits := s.hasPlace(k.request.Network)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sockets[k] = struct{}{}
	n := s.networks[k.request.Network]
	if n == nil {
		n = &network{}
		s.networks[k.request.Network] = n
	}
	n.sockets++
	return fits && !s.draining
}

// ended undoes what a WebSocket has changed, now that both pumps have ended.
func (k *socket) ended() {
	k.mu.Lock()
	k.gone = true
	k.cutter.Stop()
	c := k.client
	k.client = nil
	k.mu.Unlock()
	if c != nil {
		c.unbind(k)
	}
	k.mu.Lock()
	out := k.out
	k.out = nil
	k.mu.Unlock()
	giveBack(out)
	s := k.server
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sockets, k)
	n := s.networks[k.request.Network]
	n.sockets--
	if *n == (network{}) {
		delete(s.networks, k.request.Network)
	}
	s.checkEmpty()
}

// giveBack returns events that were not sent to clients that were here before.
func giveBack(out []outgoing) {
	for _, o := range slices.Backward(out) { // each goes before what is there
		if o.client != nil {
			o.client.restore(o.messages)
		}
	}
}

// takeOf takes out what was not sent to a client.
func (k *socket) takeOf(c *client) (events [][]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.out = slices.DeleteFunc(k.out, func(o outgoing) bool {
		if o.client == c {
			events = append(events, o.messages...)
			for _, m := range o.messages {
				k.bytes -= len(m)
			}
		}
		return o.client == c
	})
	return events
}

// bind notes the client that is connected by this WebSocket.
func (k *socket) bind(c *client) {
	k.mu.Lock()
	before := k.client
	k.client = c
	k.mu.Unlock()
	if before != nil && before != c {
		before.unbind(k)
	}
}

// put has messages sent. It does not wait. Those of a client go back to it when
// they cannot be sent; a client that reads too slowly is closed.
func (k *socket) put(of *client, messages [][]byte) {
	if len(messages) == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.out = append(k.out, outgoing{client: of, messages: messages})
	for _, m := range messages {
		k.bytes += len(m)
	}
	if k.bytes > k.server.limits.QueueBytes+2*k.server.limits.MessageBytes {
		k.shutLocked(closeTooSlow)
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// writePump is the only one who writes data, pings and pongs.
func (k *socket) writePump() {
	defer k.rescue(k.cut)
	ping := time.NewTicker(k.server.limits.PingEvery)
	defer ping.Stop()
	for {
		select {
		case <-k.stop:
			k.finish()
			return
		case <-k.wake:
			if k.send() != nil {
				return
			}
		case data := <-k.pong:
			if k.control(websocket.PongMessage, []byte(data)) != nil {
				return
			}
		case <-ping.C:
			if k.control(websocket.PingMessage, nil) != nil {
				return
			}
		}
	}
}

func (k *socket) writeBy() time.Time { return k.server.clock.Now().Add(k.server.limits.Write) }

func (k *socket) control(kind int, data []byte) error {
	err := k.ws.WriteControl(kind, data, k.writeBy())
	if err != nil {
		k.lose()
	}
	return err
}

// send writes everything that waits, as one frame.
func (k *socket) send() error {
	k.mu.Lock()
	out := k.out
	k.out = nil
	k.mu.Unlock()
	if len(out) == 0 {
		return nil
	}
	var messages [][]byte
	size := 0
	for _, o := range out {
		messages = append(messages, o.messages...)
		for _, m := range o.messages {
			size += len(m)
		}
	}
	err := k.ws.SetWriteDeadline(k.writeBy())
	if err == nil {
		err = k.ws.WriteMessage(websocket.TextMessage, join(messages))
	}
	if err != nil { // the client has got at most a part of the frame, which is nothing to it
		k.mu.Lock()
		k.out = append(out, k.out...)
		k.mu.Unlock()
		k.lose()
		return err
	}
	k.mu.Lock()
	k.bytes -= size
	k.mu.Unlock()
	select {
	case k.sent <- struct{}{}:
	default:
	}
	return nil
}

// hears waits while much has not gone out: a client that asks and does not read is
// not heard, so that its answers do not pile up. It reports whether there is
// anything left to be heard.
func (k *socket) hears() bool {
	for {
		k.mu.Lock()
		much := k.bytes > k.server.limits.MessageBytes
		k.mu.Unlock()
		if !much {
			return !k.isShut()
		}
		select {
		case <-k.sent:
		case <-k.stop:
			return false
		}
	}
}

// finish says what is left to be said, and goodbye.
func (k *socket) finish() {
	k.mu.Lock()
	code := k.code
	k.mu.Unlock()
	if code == closeLost {
		k.cut()
		return
	}
	if code != closeTooSlow && k.send() != nil {
		return
	}
	// A failure means that the client has gone; the read pump ends then.
	_ = k.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), k.writeBy())
}

// lose gives up a client that cannot be written to. Cutting the connection wakes
// the read pump.
func (k *socket) lose() {
	k.shut(closeLost)
	k.cut()
}

// shut decides that the connection ends; the first decision counts.
func (k *socket) shut(code int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.shutLocked(code)
}

func (k *socket) shutLocked(code int) {
	if k.code != 0 {
		return
	}
	k.code = code
	k.cutter = time.AfterFunc(k.server.limits.Close, k.cut)
	close(k.stop)
}

// closeSoon closes the connection of a client that has left, unless the client
// does.
func (k *socket) closeSoon() {
	time.AfterFunc(k.server.limits.Close, func() { k.shut(closeNormal) })
}

// cut ends the connection without a word.
func (k *socket) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.gone {
		_ = k.raw.Close() // nothing is left to be done about a failure
	}
}

func (k *socket) isShut() bool {
	select {
	case <-k.stop:
		return true
	default:
		return false
	}
}

// rescue keeps a panic from ending the process: Fiber's middleware is not here.
// It is deferred itself, because recover works nowhere else.
func (k *socket) rescue(then func()) {
	if recover() == nil { // the value is not logged: it may hold what a client sent
		return
	}
	k.server.panicked("socket")
	k.shut(closeInternal)
	then()
}

// readPump is the only one who reads. After a goodbye it waits for the client's,
// so that ours is not lost in a reset.
func (k *socket) readPump() {
	defer k.rescue(func() {})
	k.readFrames()
	for {
		if _, _, err := k.ws.NextReader(); err != nil {
			return
		}
	}
}

func (k *socket) readFrames() {
	defer k.rescue(func() {})
	s := k.server
	k.ws.SetReadLimit(int64(s.limits.MessageBytes) + 1)
	k.ws.SetPongHandler(func(string) error { return k.alive() })
	k.ws.SetPingHandler(func(data string) error {
		// The write pump answers, the latest one alone (RFC 6455, section 5.5.3).
		select {
		case <-k.pong:
		default:
		}
		k.pong <- data // this is the only place where something is put there
		return k.alive()
	})
	if k.ws.SetReadDeadline(s.clock.Now().Add(s.limits.Hello)) != nil {
		return
	}
	for k.hears() {
		kind, reader, err := k.ws.NextReader()
		if err != nil {
			k.blame(err)
			return
		}
		if kind != websocket.TextMessage {
			k.shut(closeProtocol)
			return
		}
		// The library's limit counts what comes over the wire. Nothing is compressed
		// here, but that is for the library to know.
		data, err := io.ReadAll(io.LimitReader(reader, int64(s.limits.MessageBytes)+1))
		if err != nil {
			k.blame(err)
			return
		}
		if !k.handle(data) || k.alive() != nil {
			return
		}
	}
}

// handle handles a frame, and reports whether there may be more.
func (k *socket) handle(data []byte) bool {
	messages, err := decodeEnvelope(data, &k.server.limits)
	if err != nil {
		code := closeProtocol
		if cobridge.CodeOf(err) == cobridge.CodeTooLarge {
			code = closeTooLarge
		}
		k.shut(code)
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), k.server.limits.Call)
	defer cancel()
	x := &exchange{server: k.server, request: k.request, sock: k}
	x.run(ctx, messages)
	return true
}

// alive moves the moment at which the connection counts as dead. One without a
// client has only so long to make a handshake.
func (k *socket) alive() error {
	k.mu.Lock()
	c := k.client
	k.mu.Unlock()
	if c == nil || c.isGone() {
		return nil
	}
	return k.ws.SetReadDeadline(k.server.clock.Now().Add(k.server.limits.DeadAfter))
}

// blame shuts the connection for what a read failed with.
func (k *socket) blame(err error) {
	if errors.Is(err, websocket.ErrReadLimit) {
		k.shut(closeTooLarge)
		return
	}
	k.shut(closeLost)
}
