package relay_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

// pageOf returns the events of a full frame of about so many bytes: a third style
// sheets, as measured on a page of 3 800 elements, the rest nodes.
func pageOf(size int) string {
	css := strings.Repeat(".btn-primary{color:#fff;background-color:#0d6efd;border-color:#0d6efd}", size/3/72)
	var nodes strings.Builder
	fmt.Fprintf(&nodes, `{"type":2,"tagName":"style","attributes":{"_cssText":%q},"childNodes":[],"id":10}`, css)
	for id := 11; nodes.Len() < size-600; id += 3 {
		fmt.Fprintf(&nodes, `,{"type":2,"tagName":"div","attributes":{"class":"row align-items-center","data-state":"open"},"childNodes":[`+
			`{"type":3,"textContent":"Order number and state of delivery","id":%d},`+
			`{"type":2,"tagName":"input","attributes":{"type":"text","class":"form-control","value":"•••••••• "},"childNodes":[],"id":%d}],"id":%d}`, id+1, id+2, id)
	}
	return fullEvents(nodes.String())
}

// numbered returns a frame of about 2 KB, or how many bytes it is, as the sharer
// would send it with that number.
func numbered(seq uint64, fill string) []byte {
	return evFrame(1, seq, "", `{"type":3,"data":{"source":0,"texts":[],"attributes":[],"removes":[],"adds":[{"parentId":5,"nextId":null,"node":{"type":3,"textContent":"`+
		fill+`","id":`+"77"+`}}]},"timestamp":1732200000000}`)
}

// BenchmarkReceive relays frames of 2 KB; one operation is one frame in and one
// frame out to each viewer. The allocation of the frame's own bytes, which is the
// reader's, is not counted.
func BenchmarkReceive(b *testing.B) {
	for _, viewers := range []int{0, 1, 10, 100} {
		b.Run(fmt.Sprintf("viewers=%d/size=2KiB", viewers), func(b *testing.B) {
			l := relay.DefaultLimits()
			room := relay.NewRooms(l).Open()
			defer room.Close()
			sharer := relay.NewQueue(l)
			room.SetSharer(sharer)
			queues := make([]*relay.Queue, viewers)
			for i := range queues {
				queues[i] = relay.NewQueue(l)
				room.Join(queues[i])
			}
			if err := room.Receive(evFrame(1, 1, "full", pageOf(700<<10))); err != nil {
				b.Fatal(err)
			}
			const ahead = 1024
			fill := strings.Repeat("x", 1850)
			var frames [ahead][]byte
			var batch []*relay.Frame
			seq := uint64(1)
			drain := func() {
				for _, q := range queues {
					batch = q.Take(batch[:0])
					clear(batch)
					q.Written()
				}
				batch = sharer.Take(batch[:0])
				sharer.Written()
			}
			b.ReportAllocs()
			b.SetBytes(int64(len(numbered(2, fill))))
			n := ahead
			for b.Loop() {
				if n == ahead { // as a sharer does when it is asked for a checkout
					b.StopTimer()
					seq++
					if err := room.Receive(evFrame(1, seq, "full", pageOf(700<<10))); err != nil {
						b.Fatal(err)
					}
					for i := range frames {
						seq++
						frames[i] = numbered(seq, fill)
					}
					drain()
					n = 0
					b.StartTimer()
				}
				if err := room.Receive(frames[n]); err != nil {
					b.Fatal(err)
				}
				n++
				if n%8 == 0 {
					drain()
				}
			}
			if got := room.Stats(); got.Resyncs > 0 || got.Lost > 0 {
				b.Fatalf("stats = %+v, want nothing lost", got)
			}
		})
	}
}

// BenchmarkCheckout receives full frames: UTF-8, JSON, depth and tripwire.
func BenchmarkCheckout(b *testing.B) {
	for _, size := range []int{700 << 10, 4<<20 - 4096} {
		b.Run(fmt.Sprintf("size=%dKiB", size>>10), func(b *testing.B) {
			page := pageOf(size)
			room := relay.NewRooms(relay.DefaultLimits()).Open()
			defer room.Close()
			b.ReportAllocs()
			b.SetBytes(int64(len(page)))
			seq := uint64(0)
			for b.Loop() {
				b.StopTimer()
				seq++
				data := evFrame(1, seq, "full", page)
				b.StartTimer()
				if err := room.Receive(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
