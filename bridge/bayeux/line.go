package bayeux

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
	"unique"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/web"
)

// line is the connection of a long poll, taken out of the HTTP server until the
// answer is there. It costs what it is and the socket, no goroutine and no
// buffer. Afterwards the connection rests, and goes back to the HTTP server with
// its next request.
type line struct {
	server      *Server
	client      *client
	head        unique.Handle[string] // of the answer: the headers that most answers have in common
	correlation string
	callback    string // of callback-polling
	last        bool   // the connection ends with this answer
	serve       func(net.Conn) error

	mu    sync.Mutex
	state lineState
	conn  net.Conn // nil before it is parked
	job   func()   // the answer that came before it was parked
}

type lineState int

const (
	lineComing  lineState = iota // the HTTP server still has the connection
	lineParked                   // nothing to be said yet
	lineWriting                  // somebody writes the answer
	lineResting                  // answered, and no further request so far
	lineGone                     // closed, or with the HTTP server again
)

// newLine makes a line for the answer to the request that c is about, whose
// headers have been set. c does not outlive the handler: nothing of it is kept.
func (s *Server) newLine(c *fiber.Ctx, callback string) *line {
	l := &line{server: s, callback: callback, serve: c.App().Server().ServeConn}
	request := &c.Request().Header
	l.last = request.ConnectionClose() || !request.IsHTTP11()
	var head bytes.Buffer
	for name, value := range c.Response().Header.All() {
		switch string(name) {
		case fiber.HeaderContentLength, fiber.HeaderDate, fiber.HeaderConnection, fiber.HeaderServer:
		case web.HeaderCorrelationID:
			l.correlation = string(value)
		default:
			head.Write(name)
			head.WriteString(": ")
			head.Write(value)
			head.WriteString("\r\n")
		}
	}
	l.head = unique.Make(head.String())
	return l
}

// arrive is given the connection by the HTTP server, which keeps nothing of it.
func (l *line) arrive(hijacked net.Conn) {
	conn := hijacked
	if inner, ok := hijacked.(interface{ UnsafeConn() net.Conn }); ok {
		conn = inner.UnsafeConn()
		// What the server has read of a further request would be lost: it must be sent
		// again on another connection. No browser does that.
		l.last = hasMore(hijacked, conn) || l.last
	}
	l.server.addLine(l)
	l.mu.Lock()
	l.conn = conn
	job := l.job
	l.job = nil
	if job == nil {
		l.become(lineParked)
	} else {
		l.become(lineWriting)
	}
	l.mu.Unlock()
	if job != nil {
		job()
	}
}

// become changes the state; mu is held.
func (l *line) become(state lineState) {
	if l.state == lineParked {
		l.server.counters.parked.Add(-1)
	}
	if state == lineParked {
		l.server.counters.parked.Add(1)
		l.server.counters.polls.Add(1)
	}
	l.state = state
}

// hasMore tells whether there is something to be read in the buffer of a hijacked
// connection. The deadline keeps it from reading the connection itself.
func hasMore(hijacked, conn net.Conn) bool {
	if conn.SetReadDeadline(time.Unix(1, 0)) != nil {
		return true
	}
	n, _ := hijacked.Read(make([]byte, 1)) // the error is the deadline's
	return n > 0 || conn.SetReadDeadline(time.Time{}) != nil
}

// answer implements sink.
func (l *line) answer(build func() [][]byte, failed func()) {
	job := func() { l.write(build, failed) }
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.state {
	case lineComing:
		l.job = job
	case lineParked:
		l.become(lineWriting)
		go job() // Shutdown waits for the line
	default: // the client has gone, and nothing was taken for it yet
	}
}

// write sends the answer and sees to the connection afterwards.
func (l *line) write(build func() [][]byte, failed func()) {
	// The bytes would get nowhere, and nobody would be told.
	if peerGone(l.conn) {
		l.cut()
		return
	}
	last := l.last || l.server.isDraining()
	if err := l.send(join(build()), last); err != nil {
		failed()
		l.cut()
		return
	}
	if last || !l.rest() {
		l.cut()
		return
	}
	l.server.dropLine(l)
	// It answers errors by itself, and closes the connection.
	_ = l.serve(l.conn)
}

func (l *line) send(body []byte, last bool) error {
	if l.callback != "" {
		body = wrap(l.callback, body)
	}
	now := l.server.clock.Now()
	head := l.head.Value()
	text := make([]byte, 0, len(head)+len(body)+256)
	text = append(text, "HTTP/1.1 200 OK\r\nDate: "...)
	text = now.AppendFormat(text, http.TimeFormat)
	text = append(text, "\r\n"...)
	text = append(text, head...)
	if l.correlation != "" {
		text = append(text, web.HeaderCorrelationID+": "...)
		text = append(text, l.correlation...)
		text = append(text, "\r\n"...)
	}
	if last {
		text = append(text, "Connection: close\r\n"...)
	}
	text = append(text, "Content-Length: "...)
	text = strconv.AppendInt(text, int64(len(body)), 10)
	text = append(text, "\r\n\r\n"...)
	text = append(text, body...)
	if err := l.conn.SetWriteDeadline(now.Add(l.server.limits.Write)); err != nil {
		return err
	}
	_, err := l.conn.Write(text)
	return errors.Join(err, l.conn.SetWriteDeadline(time.Time{}))
}

// wrap makes the script of callback-polling. The comment keeps the answer from
// being taken for a file of another kind that begins with the callback's name.
func wrap(callback string, body []byte) []byte {
	text := make([]byte, 0, len(callback)+len(body)+6)
	text = append(text, "/**/"...)
	text = append(text, callback...)
	text = append(text, '(')
	text = append(text, body...)
	return append(text, ')')
}

// rest waits for the next request, and reports whether one comes. It could wait
// in the HTTP server, but there it would hold a buffer, and be told after a while
// that the request it never made came too late.
func (l *line) rest() bool {
	l.mu.Lock()
	if l.server.isDraining() || l.conn.SetReadDeadline(l.server.clock.Now().Add(l.server.limits.Idle)) != nil {
		l.mu.Unlock()
		return false
	}
	l.become(lineResting)
	l.mu.Unlock()
	more := waitReadable(l.conn)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !more || l.state != lineResting || l.conn.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	l.become(lineGone) // not ours any more
	return true
}

// hurry ends a connection that has nothing to do.
func (l *line) hurry() {
	l.mu.Lock()
	resting := l.state == lineResting
	l.mu.Unlock()
	if resting {
		l.cut()
	}
}

// cut closes the connection.
func (l *line) cut() {
	l.mu.Lock()
	if l.conn != nil && l.state != lineGone {
		l.become(lineGone)
		_ = l.conn.Close() // nothing is left to be done about a failure
	}
	l.mu.Unlock()
	l.server.dropLine(l)
}

// look closes the connection if its client has closed it at the other end.
func (l *line) look() {
	l.mu.Lock()
	left := l.state == lineParked && peerGone(l.conn)
	if left {
		l.become(lineGone)
		_ = l.conn.Close() // it is of no use any longer
	}
	l.mu.Unlock()
	if left {
		l.server.dropLine(l)
		l.client.dropped(l)
	}
}

// addLine puts a line in the list, and sees to it that it is looked at.
func (s *Server) addLine(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines[l] = struct{}{}
	if s.looking == nil {
		s.looking = time.AfterFunc(s.limits.Look, s.look)
	}
}

func (s *Server) dropLine(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lines, l)
	s.checkEmpty()
}

// look looks at all lines: nobody reads from them, so nobody else would notice
// that a client has gone.
func (s *Server) look() {
	s.mu.Lock()
	s.looking = nil
	if len(s.lines) == 0 {
		s.mu.Unlock()
		return
	}
	lines := make([]*line, 0, len(s.lines))
	for l := range s.lines {
		lines = append(lines, l)
	}
	s.mu.Unlock()
	for _, l := range lines {
		l.look()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looking == nil && len(s.lines) > 0 {
		s.looking = time.AfterFunc(s.limits.Look, s.look)
	}
}
