//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// Kinds of WebSocket frames, as RFC 6455, section 5.2, numbers them.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xa

	finBit  = 0x80
	maskBit = 0x80
)

// The subprotocols of streams; docs/protocol.md has the frames.
const (
	streamProtocol    = "cobridge.v1"
	streamTokenPrefix = "cobridge.token." // the join token follows
)

// peekAt is how much of a frame is looked at: its kind, numbers and time stand
// before that.
const peekAt = 96

// socket is one WebSocket client. It speaks as much as the measurements need, so
// that its own work weighs little: no compression, a mask of zeros, frames that
// are looked at where they lie.
type socket struct {
	net.Conn
	reader *bufio.Reader

	mu  sync.Mutex // guards writes
	out []byte
}

// dialSocket opens a WebSocket with these header lines in the request. buffer is the
// size of the one for reading, in bytes.
func dialSocket(ctx context.Context, addr, path string, buffer int, headers ...string) (*socket, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &socket{Conn: conn, reader: bufio.NewReaderSize(conn, buffer)}
	if err := s.handshake(addr, path, headers); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

func (s *socket) handshake(addr, path string, headers []string) error {
	headers = append([]string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, headers...)
	if err := s.SetDeadline(time.Now().Add(hangLimit)); err != nil {
		return fmt.Errorf("open WebSocket: %w", err)
	}
	if _, err := s.Write([]byte(head("GET", path, addr, headers...) + "\r\n")); err != nil {
		return fmt.Errorf("open WebSocket: %w", err)
	}
	status := ""
	for {
		line, err := s.reader.ReadString('\n')
		if err != nil {
			return fmt.Errorf("open WebSocket: %w", err)
		}
		if status == "" {
			status = strings.TrimSpace(line)
		}
		if line == "\r\n" {
			break
		}
	}
	if !strings.Contains(status, " 101 ") {
		rest, _ := s.reader.Peek(min(s.reader.Buffered(), 300)) // what is there of the reason
		return fmt.Errorf("open WebSocket: %s: %s", status, rest)
	}
	return s.SetDeadline(time.Time{})
}

// next reads the head of the next frame; the caller takes its size bytes.
func (s *socket) next() (op byte, size int, err error) {
	first, err := s.reader.Peek(2)
	if err != nil {
		return 0, 0, err
	}
	op, size = first[0]&0x0f, int(first[1]&0x7f)
	long := 2
	switch size {
	case 126:
		long = 4
	case 127:
		long = 10
	}
	if long > 2 {
		all, err := s.reader.Peek(long)
		if err != nil {
			return 0, 0, err
		}
		if long == 4 {
			size = int(binary.BigEndian.Uint16(all[2:]))
		} else {
			size = int(binary.BigEndian.Uint64(all[2:])) //nolint:gosec // G115: our own server's
		}
	}
	_, err = s.reader.Discard(long)
	return op, size, err
}

// errClosedByServer is the end of a stream that the server said goodbye to.
var errClosedByServer = errors.New("the server closed the stream")

// errEnough ends follow after the frame that was looked at.
var errEnough = errors.New("enough")

// follow reads until the stream ends and hands each text frame to look: its first
// bytes, which die with the next frame, and its size. Pings are answered. It goes
// on after errEnough when it is called again.
func (s *socket) follow(look func(start []byte, size int) error) error {
	for {
		op, size, err := s.next()
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		start, err := s.reader.Peek(min(size, peekAt))
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		switch op {
		case opClose:
			return fmt.Errorf("%w: %q", errClosedByServer, start)
		case opPing:
			if err := s.send(opPong, start); err != nil {
				return err
			}
		case opText:
			err = look(start, size)
		}
		if err != nil && !errors.Is(err, errEnough) {
			return err
		}
		if _, err := s.reader.Discard(size); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if err != nil {
			return err
		}
	}
}

// await reads until a text frame of one of these kinds and returns the start of it.
func (s *socket) await(kinds ...string) (start string, err error) {
	err = s.follow(func(text []byte, _ int) error {
		for _, kind := range kinds {
			if isKind(text, kind) {
				start = string(text)
				return errEnough
			}
		}
		if isKind(text, "err") {
			return fmt.Errorf("the server says %s", text)
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return start, nil
	}
	return "", fmt.Errorf("wait for %v: %w", kinds, err)
}

// appendClientFrame appends a whole frame, masked with zeros.
func appendClientFrame(to []byte, op byte, payload ...[]byte) []byte {
	size := 0
	for _, p := range payload {
		size += len(p)
	}
	to = append(to, finBit|op)
	switch {
	case size <= 125:
		to = append(to, maskBit|byte(size))
	case size <= 0xffff:
		to = binary.BigEndian.AppendUint16(append(to, maskBit|126), uint16(size))
	default:
		to = binary.BigEndian.AppendUint64(append(to, maskBit|127), uint64(size))
	}
	to = append(to, 0, 0, 0, 0)
	for _, p := range payload {
		to = append(to, p...)
	}
	return to
}

// send sends one frame.
func (s *socket) send(op byte, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = appendClientFrame(s.out[:0], op, payload)
	return s.write(s.out)
}

// write sends what is frames already; mu is held.
func (s *socket) write(frames []byte) error {
	if _, err := s.Write(frames); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// isKind tells whether a frame begins with this kind.
func isKind(start []byte, kind string) bool {
	rest, ok := bytes.CutPrefix(start, []byte(`{"t":"`))
	return ok && len(rest) > len(kind) && rest[len(kind)] == '"' && string(rest[:len(kind)]) == kind
}

// number reads the whole number that follows a text.
func number(start []byte, after string) (n uint64, ok bool) {
	_, rest, ok := bytes.Cut(start, []byte(after))
	for i := 0; ok && i < len(rest) && rest[i] >= '0' && rest[i] <= '9'; i++ {
		n = 10*n + uint64(rest[i]-'0')
	}
	return n, ok
}
