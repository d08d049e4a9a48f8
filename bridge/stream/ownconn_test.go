package stream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// A client that does not wait for the answer before it says hello is let in: what it
// has said comes out of the buffer of its request.
func TestHelloBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s, address := h.start(t, agentAndSupervisor), strings.TrimPrefix(h.base, "http://")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	hello := `{"t":"hello","v":1,"token":"` + h.token(t, s, annPID) + `"}`
	frame := append([]byte{0x81, 0x80 | 126, byte(len(hello) >> 8), byte(len(hello)), 0, 0, 0, 0}, hello...)
	_, err = fmt.Fprintf(conn, "GET /api/v2/cobrowse/sessions/%s/stream HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: cobridge.v1\r\n\r\n%s", s.ID, address, frame)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	var text []byte
	for !strings.HasPrefix(string(text), `{"t":"welcome"`) {
		size, err := readHeader(r)
		if err != nil {
			t.Fatalf("no welcome: %v; last frame %q", err, text)
		}
		text = make([]byte, size)
		if _, err := io.ReadFull(r, text); err != nil {
			t.Fatal(err)
		}
	}
}
