package tunnel_test

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cobridge/cobridge/bridge/cluster/tunnel"
)

// frame is one of a server, as in RFC 6455, section 5.2.
func frame(op byte, size int) []byte {
	f := []byte{0x80 | op}
	switch {
	case size < 126:
		f = append(f, byte(size))
	case size < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 126), uint16(size))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 127), uint64(size))
	}
	return append(f, make([]byte, size)...)
}

// However frames are cut into pieces, a border is where a frame ends and nowhere else.
func TestBorders(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var text []byte
		ends := map[int]bool{}
		for range 1 + random.IntN(8) {
			text = append(text, frame(1, []int{0, 1, 125, 126, 127, 300, 65535, 65536, 70000}[random.IntN(9)])...)
			ends[len(text)] = true
		}
		var pieces [][]byte
		var want []int
		for at := 0; at < len(text); {
			n := min(len(text)-at, 1+random.IntN([]int{1, 3, 200, 40000}[random.IntN(4)]))
			pieces = append(pieces, text[at:at+n])
			if at += n; ends[at] {
				want = append(want, len(pieces)-1)
			}
		}
		if got := tunnel.Borders(pieces); !slices.Equal(got, want) {
			t.Fatalf("borders after the pieces %v, want %v", got, want)
		}
	}
	if got := tunnel.Borders([][]byte{frame(1, 3), tunnel.CloseFrame(1001, `{"retryMs":1}`), frame(1, 1)}); !slices.Equal(got, []int{0}) {
		t.Errorf("borders after the pieces %v, want [0]: after a close frame nothing is said", got)
	}
}
