package stream

import (
	"bufio"
	"net"
	"net/http"
	"time"

	"github.com/fasthttp/websocket"
)

// own returns a connection of the library that stands on the raw one. The one that
// the upgrade makes reads through the buffer that the request was read into and
// keeps that, and the request's goroutine and context, as long as it lives: 13 KB
// for a viewer who does nothing. The library makes connections in its upgrade for
// net/http alone, so that is done again; its answer goes nowhere.
func (h *Hub) own(ws *websocket.Conn, deflate bool) (*websocket.Conn, error) {
	raw := rawConn(ws)
	// What came along with the request, which nobody may send (RFC 6455, section
	// 4.1), is in that buffer: a read that may not wait finds it.
	if err := raw.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, err
	}
	var early []byte
	var some [512]byte
	for {
		n, err := ws.NetConn().Read(some[:])
		early = append(early, some[:n]...)
		if n == 0 || err != nil {
			break
		}
	}
	if err := raw.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	header := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Protocol": {subprotocol},
	}
	if deflate {
		header.Set("Sec-Websocket-Extensions", "permessage-deflate")
	}
	again := websocket.Upgrader{
		ReadBufferSize: h.upgrader.ReadBufferSize, WriteBufferSize: h.upgrader.WriteBufferSize, WriteBufferPool: h.upgrader.WriteBufferPool,
		Subprotocols: h.upgrader.Subprotocols, EnableCompression: h.upgrader.EnableCompression, CheckOrigin: checkedBefore[*http.Request],
	}
	return again.Upgrade(handOver{conn: &answered{Conn: raw, early: early}}, &http.Request{Method: http.MethodGet, Header: header}, nil)
}

// answered is a connection whose first write, the answer of the handshake, was
// made already.
type answered struct {
	net.Conn
	said  bool
	early []byte // what was read of it before
}

func (a *answered) Read(p []byte) (int, error) {
	if len(a.early) == 0 {
		return a.Conn.Read(p)
	}
	n := copy(p, a.early)
	if a.early = a.early[n:]; len(a.early) == 0 {
		a.early = nil
	}
	return n, nil
}

func (a *answered) Write(p []byte) (int, error) {
	if !a.said {
		a.said = true
		return len(p), nil
	}
	return a.Conn.Write(p)
}

// UnsafeConn returns the connection below, as fasthttp's do.
func (a *answered) UnsafeConn() net.Conn { return a.Conn }

// handOver gives a connection to the library's upgrade, which asks for nothing else
// unless it fails.
type handOver struct {
	http.ResponseWriter
	conn net.Conn
}

func (h handOver) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	const least = 16 // bytes: nothing is read or written through them
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, least), bufio.NewWriterSize(h.conn, least)), nil
}
