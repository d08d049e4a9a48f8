package stream_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// crowd is a service of many sessions that costs nothing, so that what is measured
// is the stream. Its tokens are "<session>/<participant>".
type crowd struct {
	stream.Service // nil: what is not here is not called
	viewers        int
}

func (c crowd) session(id cobrowse.SessionID) cobrowse.Session {
	s := cobrowse.Session{ID: id, CreatedAt: time.Unix(1, 0), ActivatedAt: time.Unix(1, 0), Version: 1}
	for i := range c.viewers + 1 {
		p := cobrowse.Participant{ID: cobrowse.ParticipantID(fmt.Sprint("p", i)), Role: cobrowse.RoleSupervisor, State: cobrowse.ParticipantJoined}
		if i == 0 {
			p.Role = cobrowse.RoleCustomer
		}
		p.Connection = cobrowse.Connection{Number: 1, Open: true}
		s.Participants = append(s.Participants, p)
	}
	s.Grants = []cobrowse.Grant{{Kind: cobrowse.GrantSharing, By: "p0", GivenAt: time.Unix(1, 0)}}
	return s
}

func (c crowd) Look(_ context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	return c.session(id), nil
}

func (c crowd) Inspect(_ context.Context, raw string) (cobrowse.Session, cobrowse.Participant, error) {
	id, name, _ := strings.Cut(raw, ".")
	s := c.session(cobrowse.SessionID(id))
	p, ok := s.Participant(cobrowse.ParticipantID(name))
	if !ok {
		return s, p, &cobridge.Error{Code: cobridge.CodeJoinTokenInvalid}
	}
	return s, p, nil
}

func (c crowd) Connect(ctx context.Context, r cobrowse.ConnectRequest) (cobrowse.Joined, error) {
	s, p, err := c.Inspect(ctx, r.Token)
	return cobrowse.Joined{Session: s, Participant: p, Secret: "secret"}, err
}

func (crowd) Disconnected(context.Context, cobrowse.SessionID, cobrowse.ParticipantID, uint64) error {
	return nil
}

func (crowd) Sharing(context.Context, cobrowse.Session) (cobrowse.Deployment, error) {
	return cobrowse.Deployment{}, nil
}

func (crowd) MayAsk(context.Context, cobrowse.Session, cobrowse.ParticipantID) ([]cobrowse.GrantKind, error) {
	return nil, nil
}

// serveCrowd starts a hub over a crowd and returns its address.
func serveCrowd(b *testing.B, viewers int, limits stream.Limits) (hub *stream.Hub, address string) {
	b.Helper()
	limits.Sockets, limits.SocketsPerNetwork, limits.Strangers, limits.StrangersPerNetwork = 1e6, 1e6, 1e6, 1e6
	limits.PingEvery, limits.DeadAfter = time.Hour, 2*time.Hour
	hub = stream.New(stream.Config{Service: crowd{viewers: viewers}, Events: deafEvents{}, Clock: time.Now, Log: discard(), Limits: limits})
	app := web.NewApp(web.Config{Log: discard(), Clock: time.Now, Concurrency: 1e6})
	hub.Mount(app)
	listener, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = app.Listener(listener) })
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = hub.Shutdown(ctx)
		_ = app.ShutdownWithContext(ctx)
		running.Wait()
	})
	return hub, listener.Addr().String()
}

// enter opens a stream without a library, so that a client costs next to nothing,
// and reads until the frame that is the last one of a welcome.
func enter(b *testing.B, address, session, participant, last string) (net.Conn, *bufio.Reader) {
	b.Helper()
	conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		b.Fatal(err)
	}
	_, err = fmt.Fprintf(conn, "GET /api/v2/cobrowse/sessions/%s/stream HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: cobridge.v1, cobridge.token.%[1]s.%[3]s\r\n\r\n",
		session, address, participant)
	if err != nil {
		b.Fatal(err)
	}
	r := bufio.NewReaderSize(conn, 1024)
	if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 101 ") {
		b.Fatalf("handshake: %q, %v", line, err)
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	for {
		size, err := readHeader(r)
		if err != nil {
			b.Fatal(err)
		}
		text := make([]byte, size)
		if _, err := io.ReadFull(r, text); err != nil {
			b.Fatal(err)
		}
		if strings.HasPrefix(string(text), `{"t":"`+last) {
			_ = conn.SetReadDeadline(time.Time{})
			return conn, r
		}
	}
}

// readHeader reads the header of a WebSocket frame from the server.
func readHeader(r io.Reader) (size uint64, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, err
	}
	switch head[1] {
	case 126:
		_, err = io.ReadFull(r, head[:2])
		return uint64(binary.BigEndian.Uint16(head[:2])), err
	case 127:
		_, err = io.ReadFull(r, head[:8])
		return binary.BigEndian.Uint64(head[:8]), err
	}
	return uint64(head[1]), nil
}

// BenchmarkIdleViewers measures what a viewer costs who gets nothing at the
// moment: heap and stacks of the whole process after a collection, its own end of
// each connection included.
func BenchmarkIdleViewers(b *testing.B) {
	const sessions, viewers = 1000, 5
	for b.Loop() {
		_, address := serveCrowd(b, viewers, stream.Limits{})
		before := inUse()
		for s := range sessions {
			for v := range viewers {
				enter(b, address, fmt.Sprint("s", s), fmt.Sprint("p", v+1), "page")
			}
		}
		heap, stacks := inUse().sub(before)
		b.ReportMetric(float64(heap)/(sessions*viewers), "heapB/viewer")
		b.ReportMetric(float64(stacks)/(sessions*viewers), "stackB/viewer")
		b.ReportMetric(float64(heap+stacks)/(sessions*viewers), "B/viewer")
	}
}

type memory struct{ heap, stacks int64 }

func (m memory) sub(before memory) (heap, stacks int64) {
	return m.heap - before.heap, m.stacks - before.stacks
}

func inUse() memory {
	for range 5 { // each shrinks stacks by half at most
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{int64(m.HeapInuse), int64(m.StackInuse)}
}

// BenchmarkFlood measures one sharer and 100 viewers who read as fast as they can:
// the sharer is ahead of the slowest by at most a window of frames.
func BenchmarkFlood(b *testing.B) {
	const viewers, window = 100, 128
	limits := stream.Limits{EvPerSecond: 1e9, EvBurst: 1e9, EvBytesPerSecond: 1e12, EvBytesBurst: 1e12, Picture: relay.DefaultLimits()}
	limits.Picture.QueueFrames, limits.Picture.QueueBytes = 4*window, 64<<20
	hub, address := serveCrowd(b, viewers, limits)
	var seen [viewers]atomic.Int64
	var readers sync.WaitGroup
	var conns []net.Conn
	moved := make(chan struct{}, 1)
	for v := range viewers {
		conn, r := enter(b, address, "s", fmt.Sprint("p", v+1), "page")
		readers.Go(func() {
			r := bufio.NewReaderSize(r, 64<<10)
			for {
				size, err := readHeader(r)
				if err != nil {
					return
				}
				if _, err := r.Discard(int(size)); err != nil {
					return
				}
				if size > 2000 {
					seen[v].Add(1)
					select {
					case moved <- struct{}{}:
					default:
					}
				}
			}
		})
		conns = append(conns, conn)
	}
	b.Cleanup(func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
		readers.Wait()
	})
	sharer, _ := enter(b, address, "s", "p0", "grants")
	go func() { _, _ = io.Copy(io.Discard, sharer) }()
	slowest := func() int64 {
		least := seen[0].Load()
		for i := range seen {
			least = min(least, seen[i].Load())
		}
		return least
	}
	send := func(n int64) {
		payload := evFrame(1, uint64(n), n == 1, 2048)
		head := []byte{0x81, 0x80 | 126, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint16(head[2:], uint16(len(payload)))
		_, _ = sharer.Write(append(head, payload...)) // a mask of zeros
	}
	sent := int64(0)
	for b.Loop() {
		for sent-slowest() >= window {
			select {
			case <-moved:
			case <-time.After(patience):
				b.Fatalf("sent %d, slowest %d, %+v", sent, slowest(), hub.Pictures())
			}
		}
		sent++
		send(sent)
	}
	for slowest() < sent {
		<-moved // the last one comes too
	}
	b.StopTimer()
	b.ReportMetric(float64(sent)*viewers/b.Elapsed().Seconds(), "deliveries/s")
	if got := hub.Pictures(); got.Dropped > 0 {
		b.Errorf("dropped = %d, want none", got.Dropped)
	}
}
