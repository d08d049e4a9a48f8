//go:build linux

package main

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

// floorRelay fans out what its sharer sends to its viewers.
const floorRelay = "relay"

// Addresses of the relay floor.
const (
	floorSharerPath = "/sharer"
	floorViewerPath = "/viewer"
)

// fanout is a relay reduced to its least: it believes its sharer, prepares each
// frame once, and each viewer's writer hands all that wait to one writev.
type fanout struct {
	mu      sync.RWMutex
	viewers map[*floorViewer]struct{}
}

// floorViewer is a queue without a bound: the generator keeps it short.
type floorViewer struct {
	conn  net.Conn
	ready chan struct{} // has room for one signal

	mu      sync.Mutex
	waiting net.Buffers
}

// serveFanout accepts connections until that fails.
func serveFanout(ln net.Listener) error {
	f := &fanout{viewers: map[*floorViewer]struct{}{}}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		go f.serve(conn) // ends with the connection, at the latest with the process
	}
}

func (f *fanout) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the other side has gone
	reader := bufio.NewReaderSize(conn, 64<<10)
	request, err := http.ReadRequest(reader)
	if err != nil {
		return
	}
	v := &floorViewer{conn: conn, ready: make(chan struct{}, 1)}
	sharer := request.URL.Path == floorSharerPath
	if !sharer { // before it is told that it is in
		f.mu.Lock()
		f.viewers[v] = struct{}{}
		f.mu.Unlock()
	}
	sum := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455, section 4.2.2
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:])) // a failure shows at the next read or write
	if sharer {
		_ = f.share(reader) // says how the connection ended, which the generator knows
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, reader) // until the viewer goes
		f.mu.Lock()
		delete(f.viewers, v)
		f.mu.Unlock()
		close(v.ready) // nobody finds it any more
	}()
	v.write()
}

var errFloorFrame = errors.New("not a frame that the generator sends")

// share reads the sharer's frames and puts each, prepared, into all queues.
func (f *fanout) share(reader *bufio.Reader) error {
	for {
		frame, err := prepared(reader)
		if err != nil {
			return err
		}
		f.mu.RLock()
		for v := range f.viewers {
			v.put(frame)
		}
		f.mu.RUnlock()
	}
}

// prepared reads a frame of a client and returns it as the one for all viewers.
func prepared(reader *bufio.Reader) ([]byte, error) {
	start, err := reader.Peek(2)
	if err != nil {
		return nil, err
	}
	size, long := int(start[1]&^maskBit), 2
	switch size {
	case 126:
		long = 4
	case 127:
		long = 10
	}
	if start[0] != finBit|opText || start[1]&maskBit == 0 {
		return nil, errFloorFrame
	}
	head, err := reader.Peek(long + 4)
	if err != nil {
		return nil, err
	}
	switch long {
	case 4:
		size = int(binary.BigEndian.Uint16(head[2:]))
	case 10:
		size = int(binary.BigEndian.Uint64(head[2:])) //nolint:gosec // G115: the generator's
	}
	frame := make([]byte, long+size)
	copy(frame, head[:long])
	frame[1] &^= maskBit
	var mask [64]byte
	for i := range mask {
		mask[i] = head[long+i%4]
	}
	if _, err := reader.Discard(long + 4); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(reader, frame[long:]); err != nil {
		return nil, err
	}
	for rest := frame[long:]; len(rest) > 0; {
		n := subtle.XORBytes(rest, rest, mask[:])
		rest = rest[n:]
	}
	return frame, nil
}

func (v *floorViewer) put(frame []byte) {
	v.mu.Lock()
	v.waiting = append(v.waiting, frame)
	v.mu.Unlock()
	select {
	case v.ready <- struct{}{}:
	default:
	}
}

// write writes what waits, all of it at once.
func (v *floorViewer) write() {
	var spare net.Buffers
	for range v.ready {
		v.mu.Lock()
		all := v.waiting
		v.waiting = spare[:0]
		v.mu.Unlock()
		rest := all // WriteTo uses it up
		if _, err := rest.WriteTo(v.conn); err != nil {
			return
		}
		clear(all)
		spare = all
	}
}
