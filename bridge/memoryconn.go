package bridge

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// memoryConn is the server's side of a connection in memory, on which one request is
// answered after the other, as on one that a client keeps open. What serves it has a
// goroutine and its grown stack at hand.
type memoryConn struct {
	requests chan []byte
	answered chan struct{} // the server has answered, and waits for the next request
	closed   chan struct{}
	ended    chan struct{} // nothing serves it any more
	close    func()
	failure  error // after ended

	// Of whoever asks, but while a request is being answered of the goroutine that serves.
	request   bytes.Buffer
	unread    []byte // of request
	answering bool
	answer    []byte
	reader    *bufio.Reader // of answer
}

func newMemoryConn() *memoryConn {
	c := &memoryConn{
		requests: make(chan []byte), answered: make(chan struct{}), closed: make(chan struct{}), ended: make(chan struct{}), reader: bufio.NewReader(nil),
	}
	c.close = sync.OnceFunc(func() { close(c.closed) })
	return c
}

// serve answers requests until one side closes the connection.
func (c *memoryConn) serve(server *fasthttp.Server) {
	defer close(c.ended)
	c.failure = io.ErrUnexpectedEOF // unless the handler returns
	c.failure = server.ServeConn(c)
}

// roundTrip has one request answered. The buffers are used again, so nothing of the
// response is in them.
func (c *memoryConn) roundTrip(r *http.Request) (*http.Response, error) {
	c.request.Reset()
	c.answer = c.answer[:0]
	if err := r.Write(&c.request); err != nil { // closes the body, too
		return nil, err
	}
	if err := c.ask(); err != nil {
		return nil, fmt.Errorf("serve from memory: %w", err)
	}
	return c.read(r)
}

// ask sends the request and waits for the answer. When the server closes the
// connection, that is the end of the answer.
func (c *memoryConn) ask() error {
	select {
	case c.requests <- c.request.Bytes():
	case <-c.ended:
		return io.ErrUnexpectedEOF
	}
	select {
	case <-c.answered:
	case <-c.ended:
		c.close() // if it was taken over as a stream
		if len(c.answer) == 0 {
			return c.failure
		}
	}
	return nil
}

// read makes a response of what the server has written.
func (c *memoryConn) read(r *http.Request) (*http.Response, error) {
	c.reader.Reset(bytes.NewReader(c.answer))
	resp, err := http.ReadResponse(c.reader, r)
	for err == nil && resp.StatusCode == http.StatusContinue {
		resp, err = http.ReadResponse(c.reader, r)
	}
	if err != nil {
		return nil, err
	}
	if resp.Body == http.NoBody {
		return resp, nil
	}
	var body []byte
	if resp.ContentLength >= 0 {
		body = make([]byte, resp.ContentLength)
		_, err = io.ReadFull(resp.Body, body)
	} else {
		body, err = io.ReadAll(resp.Body)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

// Read implements [net.Conn]. A server that reads on has written its answer.
func (c *memoryConn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		if c.answering {
			c.answering = false
			select {
			case c.answered <- struct{}{}:
			case <-c.closed:
				return 0, io.EOF
			}
		}
		select {
		case c.unread = <-c.requests:
			c.answering = true
		case <-c.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

// Write implements [net.Conn].
func (c *memoryConn) Write(p []byte) (int, error) {
	c.answer = append(c.answer, p...)
	return len(p), nil
}

// Close implements [net.Conn].
func (c *memoryConn) Close() error {
	c.close()
	return nil
}

// LocalAddr implements [net.Conn].
func (c *memoryConn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// RemoteAddr implements [net.Conn].
func (c *memoryConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero} }

// SetDeadline implements [net.Conn]: nobody is slow here.
func (c *memoryConn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements [net.Conn].
func (c *memoryConn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements [net.Conn].
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

const (
	// mostResting is how many connections wait for requests; any number are served.
	mostResting = 16
	// largestResting bounds each of their two buffers.
	largestResting = 64 << 10
)

// memoryConns are connections that wait for the next request.
type memoryConns struct {
	mu     sync.Mutex
	conns  []*memoryConn
	closed bool
}

// take returns the one that came last, nil if there is none.
func (p *memoryConns) take() *memoryConn {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.conns) > 0 {
		last := len(p.conns) - 1
		c := p.conns[last]
		p.conns[last] = nil
		p.conns = p.conns[:last]
		select {
		case <-c.closed: // by the server
		default:
			return c
		}
	}
	return nil
}

func (p *memoryConns) put(c *memoryConn) {
	if p == nil {
		c.close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-c.closed:
		return
	default:
	}
	if p.closed || len(p.conns) >= mostResting || cap(c.answer) > largestResting || c.request.Cap() > largestResting {
		c.close()
		return
	}
	p.conns = append(p.conns, c)
}

// end closes those that wait, and each of the others after its answer.
func (p *memoryConns) end() {
	p.mu.Lock()
	p.closed = true
	resting := slices.Clone(p.conns)
	p.conns = nil
	p.mu.Unlock()
	for _, c := range resting {
		c.close()
		<-c.ended
	}
}
