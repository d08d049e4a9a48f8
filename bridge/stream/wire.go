package stream

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

// The forms in which a relay.Frame remembers its encoding.
const (
	formPlain    = iota // RFC 6455 alone
	formDeflated        // permessage-deflate (RFC 7692) without context takeover, so that one encoding does for all
)

const (
	// Below it a frame shrinks by little or nothing: a keystroke of 114 bytes by ten.
	compressAbove = 1 << 10
	// Up to it a frame is remembered with its WebSocket header, as one piece. The
	// header of a larger one is written beside the payload, which exists once.
	pieceUpTo = 4 << 10
	// A larger message goes out in fragments, so that no single write is longer: each
	// has its own deadline, pings come between them, and a slow line that moves at
	// all is not cut for one large frame. It is also what TLS needs a buffer for.
	writeUpTo = 256 << 10
)

// First bytes of WebSocket frames.
const (
	opContinuation = 0x0
	opText         = 0x1
	bitFin         = 0x80
	bitRSV1        = 0x40 // compressed
)

// maxHeader is the size of the largest header of a frame to a client.
const maxHeader = 10

// appendHeader appends the header of a WebSocket frame to a client, which is not masked.
func appendHeader(to []byte, first byte, size int) []byte {
	switch {
	case size <= 125:
		return append(to, first, byte(size&0x7f))
	case size <= 0xffff:
		return binary.BigEndian.AppendUint16(append(to, first, 126), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(to, first, 127), uint64(size))
	}
}

// wire encodes frames for all connections of a hub.
type wire struct {
	deflaters sync.Pool // of *flate.Writer, 600 KB each
	batches   sync.Pool // of *batch
	plain     func(payload []byte) []byte
	deflated  func(payload []byte) []byte
}

func newWire() *wire {
	w := &wire{plain: encodePlain}
	w.deflated = w.encodeDeflated
	return w
}

// encodePlain returns a small payload as a whole WebSocket frame.
func encodePlain(payload []byte) []byte {
	return append(appendHeader(make([]byte, 0, maxHeader+len(payload)), bitFin|opText, len(payload)), payload...)
}

// encodeDeflated returns a payload compressed; a small one as a whole WebSocket
// frame. What would not shrink is returned, or framed, as it is.
func (w *wire) encodeDeflated(payload []byte) []byte {
	body := w.deflate(payload)
	if len(payload) > pieceUpTo {
		return body
	}
	if len(body) == len(payload) {
		return encodePlain(payload)
	}
	return append(appendHeader(make([]byte, 0, maxHeader+len(body)), bitFin|bitRSV1|opText, len(body)), body...)
}

// deflateEnd is what RFC 7692, section 7.2.1, takes off the end of a message.
const deflateEnd = "\x00\x00\xff\xff"

// deflate compresses a message, or returns the very payload if that is not larger.
func (w *wire) deflate(payload []byte) []byte {
	out := bytes.NewBuffer(make([]byte, 0, len(payload)/4))
	f, ok := w.deflaters.Get().(*flate.Writer)
	if ok {
		f.Reset(out)
	} else {
		var err error
		if f, err = flate.NewWriter(out, flate.BestSpeed); err != nil {
			return payload // not with a level of the package's own
		}
	}
	defer w.deflaters.Put(f)
	if _, err := f.Write(payload); err != nil { // a bytes.Buffer takes everything
		return payload
	}
	if err := f.Flush(); err != nil {
		return payload
	}
	body := bytes.TrimSuffix(out.Bytes(), []byte(deflateEnd))
	if len(body) >= len(payload) {
		return payload
	}
	if cap(body)-len(body) > len(body)/4 {
		body = bytes.Clone(body) // it may be kept as long as the picture
	}
	return body
}

// batch is what one connection is about to be sent. It goes back to a pool, so
// that a connection that is silent has none.
type batch struct {
	wire    *wire
	frames  []*relay.Frame
	pieces  net.Buffers // what waits to be written, in order
	size    int         // bytes of pieces
	inside  bool        // a message: its last fragment is not among the pieces yet
	headers []byte      // of the pieces that do not bring their own
	joined  []byte      // for connections that take one piece at a time
	rest    net.Buffers // used up by a write
}

func (w *wire) batch() *batch {
	if b, ok := w.batches.Get().(*batch); ok {
		return b
	}
	return &batch{wire: w}
}

// release gives a batch back; what it refers to can be freed.
func (b *batch) release() {
	clear(b.frames)
	b.drop()
	b.frames, b.inside = b.frames[:0], false
	b.wire.batches.Put(b)
}

// drop forgets the pieces.
func (b *batch) drop() {
	clear(b.pieces)
	b.pieces, b.size, b.headers, b.rest = b.pieces[:0], 0, b.headers[:0], nil
}

func (b *batch) piece(p []byte) {
	b.pieces = append(b.pieces, p)
	b.size += len(p)
}

// header adds a header. Pieces refer to it, so the array never grows in place.
func (b *batch) header(first byte, size int) {
	if cap(b.headers)-len(b.headers) < maxHeader {
		b.headers = make([]byte, 0, 64*maxHeader)
	}
	start := len(b.headers)
	b.headers = appendHeader(b.headers, first, size)
	b.piece(b.headers[start:len(b.headers):len(b.headers)])
}

// add appends a frame and calls flush whenever there is enough for one write. It
// stops at flush's first failure and returns it.
func (b *batch) add(f *relay.Frame, deflated bool, flush func() error) error {
	payload := f.Payload()
	deflated = deflated && len(payload) > compressAbove
	body, first := payload, byte(opText)
	switch {
	case len(payload) <= pieceUpTo && deflated:
		body = f.Wire(formDeflated, b.wire.deflated)
	case len(payload) <= pieceUpTo:
		body = f.Wire(formPlain, b.wire.plain)
	case deflated:
		body = f.Wire(formDeflated, b.wire.deflated)
		if len(body) != len(payload) {
			first |= bitRSV1
		}
	}
	if len(payload) <= pieceUpTo {
		b.piece(body)
	} else {
		for len(body) > writeUpTo {
			b.header(first, writeUpTo)
			b.piece(body[:writeUpTo])
			body, first, b.inside = body[writeUpTo:], opContinuation, true
			if err := flush(); err != nil {
				return err
			}
		}
		b.inside = false
		b.header(first|bitFin, len(body))
		b.piece(body)
	}
	if b.size >= writeUpTo {
		return flush()
	}
	return nil
}

// writeTo hands all pieces to the connection with one call, by the given time.
//
// That call is why the library's control frames may be written to the same
// connection from elsewhere: the connection does one Write or writev at a time and
// each to its end (the lock of its descriptor, or that of TLS), every call here
// carries whole WebSocket frames, and RFC 6455, section 5.4, lets control frames
// stand between any two frames, fragments of a message included.
func (b *batch) writeTo(conn net.Conn, by time.Time) error {
	defer b.drop()
	if len(b.pieces) == 0 {
		return nil
	}
	if err := conn.SetWriteDeadline(by); err != nil {
		return err
	}
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		b.rest = b.pieces // WriteTo uses it up
		_, err := b.rest.WriteTo(conn)
		return err
	}
	// net.Buffers would call Write for each piece: as many TLS records.
	if len(b.pieces) == 1 {
		_, err := conn.Write(b.pieces[0])
		return err
	}
	b.joined = b.joined[:0]
	for _, p := range b.pieces {
		b.joined = append(b.joined, p...)
	}
	_, err := conn.Write(b.joined)
	return err
}
