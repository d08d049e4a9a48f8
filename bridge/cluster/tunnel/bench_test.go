package tunnel_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
)

// frameSize is what a frame of a page has at the median, about.
const frameSize = 1 << 10

// BenchmarkFrames carries frames to an owner and back: at once to it, and through
// another node. RoundTrip has one under way, Stream as many as fit.
func BenchmarkFrames(b *testing.B) {
	owner, other := pair(b)
	for name, n := range map[string]*node{"direct": owner, "tunnel": other} {
		b.Run("RoundTrip/"+name, func(b *testing.B) {
			conn := connected(b, n)
			frame := bytes.Repeat([]byte("x"), frameSize)
			for b.Loop() {
				if err := conn.WriteMessage(websocket.TextMessage, frame); err != nil {
					b.Fatal(err)
				}
				if _, _, err := conn.ReadMessage(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("Stream/"+name, func(b *testing.B) {
			conn := connected(b, n)
			frame := bytes.Repeat([]byte("x"), frameSize)
			written := make(chan error, 1)
			go func(n int) {
				for range n {
					if err := conn.WriteMessage(websocket.TextMessage, frame); err != nil {
						written <- err
						return
					}
				}
				written <- nil
			}(b.N)
			b.ResetTimer()
			for range b.N {
				if _, _, err := conn.ReadMessage(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
			if err := <-written; err != nil {
				b.Fatal(err)
			}
		})
	}
}

func connected(b *testing.B, n *node) *websocket.Conn {
	b.Helper()
	conn, _, err := dial(b, n, "/stream/s-1", nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		b.Fatal(err)
	}
	if _, _, err := conn.ReadMessage(); err != nil {
		b.Fatal(err)
	}
	return conn
}
