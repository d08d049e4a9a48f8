package tunnel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// tunnel is one connection of a client with the one to its owner.
type tunnel struct {
	all    *Tunnels
	to     string        // name of the owner
	plain  bool          // one request over HTTP, in place of a WebSocket: the client says no more
	reader *bufio.Reader // of owner; has what came with the head of its answer

	stopping atomic.Bool
	retry    atomic.Int64 // milliseconds after which the client may come again

	mu     sync.Mutex
	client net.Conn
	owner  net.Conn
	ended  bool
}

func (tn *tunnel) setOwner(conn net.Conn) {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.owner = conn
	if tn.ended {
		_ = conn.Close()
	}
}

// cut ends both connections without a word.
func (tn *tunnel) cut() {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	tn.ended = true
	for _, conn := range []net.Conn{tn.client, tn.owner} {
		if conn != nil {
			_ = conn.Close() // nothing is left to be done about a failure
		}
	}
}

// stop has the client be told that it shall come again.
func (tn *tunnel) stop(retryMs int) {
	tn.retry.Store(int64(retryMs))
	tn.stopping.Store(true)
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.owner != nil {
		_ = tn.owner.SetReadDeadline(time.Unix(1, 0)) // wakes who reads; one that fails has ended
	}
}

// run carries bytes until one side has ended.
func (tn *tunnel) run(client net.Conn, early, head []byte) {
	t := tn.all
	defer t.giveBack(tn)
	if t.metrics.Opened != nil {
		t.metrics.Opened()
	}
	if t.metrics.Closed != nil {
		defer t.metrics.Closed()
	}
	tn.mu.Lock()
	tn.client = client
	owner := tn.owner
	ended := tn.ended
	tn.mu.Unlock()
	if ended {
		_ = client.Close() // it was cut in between
		return
	}
	if err := errors.Join(owner.SetDeadline(time.Time{}), tn.write(client, head)); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		tn.up(client, owner, early)
	}()
	if tn.down(owner, client) { // the client has a close frame, and answers it
		timer := time.NewTimer(farewell)
		select {
		case <-done:
		case <-timer.C:
		}
		timer.Stop()
	}
	tn.cut()
	<-done
}

func (tn *tunnel) write(to net.Conn, p []byte) error {
	if err := to.SetWriteDeadline(tn.all.clock.Now().Add(writeLimit)); err != nil {
		return err
	}
	_, err := to.Write(p)
	return err
}

// up carries what the client says.
func (tn *tunnel) up(client, owner net.Conn, early []byte) {
	defer tn.hangUp()
	if len(early) > 0 && !tn.plain && tn.write(owner, early) != nil {
		return
	}
	buffer := tn.all.buffers.Get().(*[chunk]byte) //nolint:forcetypeassert // nothing else is in it
	defer tn.all.buffers.Put(buffer)
	for {
		if client.SetReadDeadline(tn.all.clock.Now().Add(silence)) != nil {
			return
		}
		n, err := client.Read(buffer[:])
		if err != nil || n > 0 && !tn.plain && tn.write(owner, buffer[:n]) != nil {
			return
		}
	}
}

// hangUp ends the connection to the owner, which has nobody to speak to any more.
func (tn *tunnel) hangUp() {
	tn.mu.Lock()
	defer tn.mu.Unlock()
	_ = tn.owner.Close() // nothing is left to be done about a failure
	if !tn.stopping.Load() {
		_ = tn.client.Close()
	}
}

// down carries what the owner says. It reports whether the client was told at the end,
// by the owner or here.
func (tn *tunnel) down(owner, client net.Conn) bool {
	buffer := tn.all.buffers.Get().(*[chunk]byte) //nolint:forcetypeassert // nothing else is in it
	defer tn.all.buffers.Put(buffer)
	var at border
	for {
		limit := silence
		if tn.stopping.Load() {
			limit = farewell // for the rest of a frame
		}
		if owner.SetReadDeadline(tn.all.clock.Now().Add(limit)) != nil {
			return tn.say(client, &at)
		}
		if tn.stopping.Load() && at.between() && !tn.early() {
			return tn.say(client, &at)
		}
		n, err := tn.read(owner, buffer[:])
		if !tn.plain {
			at.pass(buffer[:n])
		}
		if n > 0 && tn.write(client, buffer[:n]) != nil {
			return false
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && tn.stopping.Load() && limit != farewell:
			// woken by stop
		default:
			if errors.Is(err, io.EOF) || !errors.Is(err, net.ErrClosed) {
				return tn.say(client, &at)
			}
			return false // the client has gone
		}
	}
}

// early reports whether something that came with the head is left.
func (tn *tunnel) early() bool { return tn.reader != nil && tn.reader.Buffered() > 0 }

// read reads what came with the head first.
func (tn *tunnel) read(owner net.Conn, p []byte) (int, error) {
	if tn.early() {
		return tn.reader.Read(p)
	}
	tn.reader = nil // and its memory
	return owner.Read(p)
}

// say tells the client to come again, unless it was told something already or is in the
// middle of a frame.
func (tn *tunnel) say(client net.Conn, at *border) bool {
	if at.closed {
		return true
	}
	if tn.plain {
		return false
	}
	if !at.between() {
		return false
	}
	retry := tn.retry.Load()
	if retry == 0 {
		retry = 500
	}
	const goingAway = 1001
	return tn.write(client, closeFrame(goingAway, fmt.Sprintf(`{"retryMs":%d}`, retry))) == nil
}
