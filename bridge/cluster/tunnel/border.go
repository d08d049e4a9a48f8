package tunnel

import "encoding/binary"

// border follows the frames of a server (RFC 6455, section 5.2), which are not masked,
// to know when none is under way.
type border struct {
	head    [10]byte
	have    int    // bytes of head
	payload uint64 // bytes that are still to come
	closed  bool   // a close frame has begun
}

const opClose = 8

// pass notes bytes that go by.
func (b *border) pass(p []byte) {
	for len(p) > 0 {
		if b.payload > 0 {
			n := min(b.payload, uint64(len(p)))
			b.payload -= n
			p = p[n:]
			continue
		}
		b.head[b.have] = p[0]
		b.have++
		p = p[1:]
		if b.have < 2 || b.have < b.size() {
			continue
		}
		if b.head[0]&0x0f == opClose {
			b.closed = true
		}
		b.payload, b.have = b.length(), 0
	}
}

// size is the length of a head, of which two bytes are there.
func (b *border) size() int {
	switch b.head[1] & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	default:
		return 2
	}
}

func (b *border) length() uint64 {
	switch n := b.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(b.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(b.head[2:])
	default:
		return uint64(n)
	}
}

// between reports whether a frame may be put in here.
func (b *border) between() bool { return b.have == 0 && b.payload == 0 && !b.closed }

// closeFrame is a close frame of a server; the reason is short.
func closeFrame(code uint16, reason string) []byte {
	frame := []byte{0x80 | opClose, byte(2 + len(reason))} //nolint:gosec // at most 123 bytes
	return append(binary.BigEndian.AppendUint16(frame, code), reason...)
}
