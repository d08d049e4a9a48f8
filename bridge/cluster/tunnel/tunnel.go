package tunnel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

const (
	dialLimit   = 2 * time.Second  // for the connection to the owner, TLS included
	answerLimit = 8 * time.Second  // for its answer to the request
	silence     = time.Minute      // without a byte: the owner pings its clients every 20 s and gives up at 45
	writeLimit  = 12 * time.Second // for one write; the owner has 10 s for its own
	farewell    = 2 * time.Second  // from a close frame to the end of the connection
	started     = 20 * time.Second // for the server to hand a connection over
	chunk       = 8 << 10          // bytes that one direction reads at once
	answerBytes = 64 << 10         // of an answer that is no upgrade
	most        = 20_000           // tunnels at a time
)

// Metrics is told what happens. Any member may be nil.
type Metrics struct {
	Opened func()
	Closed func()
	Result func(string) // one of Results
}

// Results of a request whose room is elsewhere.
const (
	ResultOpened  = "opened"  // a tunnel has begun
	ResultRefused = "refused" // the owner has answered with something else than an upgrade
	ResultFailed  = "failed"  // the owner was not reached, or did not answer
	ResultAgain   = "again"   // sent on already, or this process is stopping: the client comes again
)

// Results returns all of them.
func Results() []string { return []string{ResultOpened, ResultRefused, ResultFailed, ResultAgain} }

// Config is what Tunnels are built from. Node, Key, Clock and Log are required.
type Config struct {
	Node    *cluster.Node
	Key     []byte         // of the installation, at least 32 random bytes
	Clock   cobridge.Clock // of this world
	Log     *slog.Logger
	TLS     *tls.Config // for owners with an https address; nil = the system's roots
	Metrics Metrics
}

// Tunnels are those that begin here.
type Tunnels struct {
	node    *cluster.Node
	key     []byte
	clock   cobridge.Clock
	log     *slog.Logger
	tls     *tls.Config
	metrics Metrics
	buffers sync.Pool // of *[chunk]byte

	mu       sync.Mutex
	draining bool
	open     map[*tunnel]struct{}
	work     sync.WaitGroup
}

// New returns Tunnels.
func New(cfg Config) *Tunnels {
	return &Tunnels{
		node: cfg.Node, key: cfg.Key, clock: cfg.Clock, log: cfg.Log, tls: cfg.TLS, metrics: cfg.Metrics,
		buffers: sync.Pool{New: func() any { return new([chunk]byte) }}, open: map[*tunnel]struct{}{},
	}
}

// Relayed implements [web.RelayedFunc].
func (t *Tunnels) Relayed(c *fiber.Ctx) (web.Caller, bool, error) {
	header := c.Get(cluster.HopHeader)
	if header == "" {
		return web.Caller{}, false, nil
	}
	hop, err := cluster.ReadHop(t.key, requestOf(c), header, t.clock.Now())
	if err != nil {
		return web.Caller{}, false, &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "The request does not come from a node of this installation.", Err: err}
	}
	if hop.To != t.node.ID() { // it was somebody else at this address
		return web.Caller{}, false, comeAgain()
	}
	return web.Caller{Addr: hop.Client, Secure: hop.Secure}, true, nil
}

func requestOf(c *fiber.Ctx) cluster.Request {
	return cluster.Request{Method: c.Method(), Target: string(c.Request().RequestURI()), Host: string(c.Request().Host())}
}

func comeAgain() error {
	return &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "The session is with another node; connect again.", RetryAfter: time.Second}
}

// Relay takes a request for the stream of a session to the session's owner, if that is
// another process, and reports whether it did: then it is answered. What was sent on
// once is not sent on again. It fails with CodeUnavailable.
func (t *Tunnels) Relay(c *fiber.Ctx, id cobrowse.SessionID) (bool, error) {
	owner, elsewhere, err := t.node.Route(c.UserContext(), id)
	if err != nil || !elsewhere {
		return false, err
	}
	if web.Relayed(c) {
		t.count(ResultAgain)
		return true, comeAgain()
	}
	return true, t.send(c, owner)
}

// Forward takes a request over HTTP, whose answer may take a minute, to the process of
// this name, and reports whether it did: then it is answered. It does not if there is no
// such process, or not any more; if that is this one; and if the request was sent on
// already. It fails with CodeUnavailable.
func (t *Tunnels) Forward(c *fiber.Ctx, id string) (bool, error) {
	if web.Relayed(c) || id == t.node.ID() {
		return false, nil
	}
	peer, alive, err := t.node.Find(c.UserContext(), id)
	if err != nil || !alive {
		return false, err
	}
	tn := &tunnel{all: t, to: peer.ID, plain: true}
	if !t.reserve(tn) {
		t.count(ResultAgain)
		return true, comeAgain()
	}
	if err := t.call(c, peer, tn); err != nil {
		t.giveBack(tn)
		t.count(ResultFailed)
		t.log.WarnContext(c.UserContext(), "the node that has the client does not answer", "node", peer.ID, "address", peer.Address, "err", err)
		return true, comeAgain()
	}
	t.count(ResultOpened)
	t.hijack(c, tn, nil)
	return true, nil
}

func (t *Tunnels) count(result string) {
	if t.metrics.Result != nil {
		t.metrics.Result(result)
	}
}

// send sends a request to its owner and has the answer go back.
func (t *Tunnels) send(c *fiber.Ctx, owner cluster.Peer) error {
	tn := &tunnel{all: t, to: owner.ID}
	if !t.reserve(tn) {
		t.count(ResultAgain)
		return comeAgain()
	}
	answer, err := t.ask(c, owner, tn) //nolint:bodyclose // passOn does; an upgrade has none
	if err != nil {
		t.giveBack(tn)
		t.count(ResultFailed)
		t.log.WarnContext(c.UserContext(), "the node that has the session does not answer", "node", owner.ID, "address", owner.Address, "err", err)
		return comeAgain()
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		defer t.giveBack(tn)
		t.count(ResultRefused)
		return passOn(c, answer)
	}
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = answer.Header.Write(&head) // to memory
	head.WriteString("\r\n")
	t.count(ResultOpened)
	c.Status(fiber.StatusSwitchingProtocols)
	t.hijack(c, tn, head.Bytes())
	return nil
}

// hijack takes the client's connection out of the server, and has it begin with head.
func (t *Tunnels) hijack(c *fiber.Ctx, tn *tunnel, head []byte) {
	// The server calls the handler later, or never if it finds the client gone.
	once := &sync.Once{}
	watchdog := time.AfterFunc(started, func() { once.Do(func() { t.giveBack(tn) }) })
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(conn net.Conn) {
		mine := false
		once.Do(func() { mine = true })
		if !mine {
			_ = conn.Close() // it came so late that it was given up
			return
		}
		watchdog.Stop()
		raw, early, err := release(conn)
		if err != nil {
			_ = conn.Close() // it is of no use
			t.giveBack(tn)
			return
		}
		// In a goroutine of its own, so that the request and all its buffers go back.
		go tn.run(raw, early, head)
	})
}

// release takes a connection from the server, with what it has read of it already.
func release(conn net.Conn) (net.Conn, []byte, error) {
	raw := conn
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		raw = hijacked.UnsafeConn()
	}
	if err := raw.SetReadDeadline(time.Unix(1, 0)); err != nil { // a read that may not wait
		return nil, nil, err
	}
	var early []byte
	var some [512]byte
	for {
		n, err := conn.Read(some[:])
		early = append(early, some[:n]...)
		if n == 0 || err != nil {
			break
		}
	}
	return raw, early, raw.SetReadDeadline(time.Time{})
}

// reserve takes a place for a tunnel.
func (t *Tunnels) reserve(tn *tunnel) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining || len(t.open) >= most {
		return false
	}
	t.open[tn] = struct{}{}
	t.work.Add(1)
	return true
}

// giveBack ends what is left of a tunnel.
func (t *Tunnels) giveBack(tn *tunnel) {
	tn.cut()
	t.mu.Lock()
	delete(t.open, tn)
	t.mu.Unlock()
	t.work.Done()
}

// ask sends the request and reads the head of the answer.
func (t *Tunnels) ask(c *fiber.Ctx, owner cluster.Peer, tn *tunnel) (*http.Response, error) {
	if err := t.call(c, owner, tn); err != nil {
		return nil, err
	}
	tn.reader = bufio.NewReaderSize(tn.owner, 4<<10)
	answer, err := http.ReadResponse(tn.reader, &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return answer, nil
}

// call connects to the owner and sends the request.
func (t *Tunnels) call(c *fiber.Ctx, owner cluster.Peer, tn *tunnel) error {
	if owner.Address == "" {
		return errors.New("it has no address for other nodes: cluster.advertise")
	}
	ctx, cancel := context.WithTimeout(c.UserContext(), dialLimit)
	defer cancel()
	address, encrypted := strings.CutPrefix(owner.Address, "https://")
	var conn net.Conn
	var err error
	if encrypted {
		conn, err = (&tls.Dialer{Config: t.tls}).DialContext(ctx, "tcp", address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	tn.setOwner(conn)
	if err := conn.SetDeadline(t.clock.Now().Add(answerLimit)); err != nil {
		return err
	}
	hop := cluster.Hop{To: owner.ID, Client: web.ClientAddr(c), Secure: web.Secure(c), At: t.clock.Now()}
	if _, err := conn.Write(textOf(c, hop.Sign(t.key, requestOf(c)), tn.plain)); err != nil {
		return fmt.Errorf("send the request: %w", err)
	}
	return nil
}

// textOf is the request as it came, with the hop. A plain one has its body, and ends
// the connection.
func textOf(c *fiber.Ctx, hop string, plain bool) []byte {
	var b bytes.Buffer
	r := requestOf(c)
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", r.Method, r.Target)
	for key, value := range c.Request().Header.All() {
		switch name := string(key); {
		case strings.EqualFold(name, fiber.HeaderContentLength), strings.EqualFold(name, fiber.HeaderTransferEncoding), strings.EqualFold(name, cluster.HopHeader):
			// An upgrade has no body, and what comes after it belongs to nobody.
		case plain && strings.EqualFold(name, fiber.HeaderConnection):
		default:
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	if plain {
		fmt.Fprintf(&b, "Connection: close\r\nContent-Length: %d\r\n", len(c.Request().Body()))
	}
	fmt.Fprintf(&b, "%s: %s\r\n\r\n", cluster.HopHeader, hop)
	if plain {
		b.Write(c.Request().Body())
	}
	return b.Bytes()
}

// passOn answers with what the owner has answered.
func passOn(c *fiber.Ctx, answer *http.Response) error {
	defer func() { _ = answer.Body.Close() }() // it was read, or is too long to be ours
	body, err := io.ReadAll(io.LimitReader(answer.Body, answerBytes))
	if err != nil {
		return comeAgain()
	}
	for name, values := range answer.Header {
		switch name {
		case fiber.HeaderConnection, fiber.HeaderKeepAlive, fiber.HeaderTransferEncoding, fiber.HeaderContentLength, fiber.HeaderDate, fiber.HeaderServer:
			continue // of that connection
		case fiber.HeaderSetCookie, fiber.HeaderVary:
			for _, value := range values {
				c.Response().Header.Add(name, value)
			}
			continue
		}
		c.Set(name, strings.Join(values, ", "))
	}
	return c.Status(answer.StatusCode).Send(body)
}

// Shutdown tells every client to come again and waits until all have gone. When ctx
// ends first, the connections are cut and its error is returned. New ones are refused
// from the start.
func (t *Tunnels) Shutdown(ctx context.Context) error {
	t.mu.Lock()
	t.draining = true
	i := 0
	for tn := range t.open {
		// Not all at the same moment: half a second and up to two more.
		tn.stop(500 + (i*97)%2000)
		i++
	}
	t.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.work.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		t.mu.Lock()
		for tn := range t.open {
			tn.cut()
		}
		t.mu.Unlock()
		return fmt.Errorf("close tunnels: %w", ctx.Err())
	}
}

// Parted has the clients of a process that was given up come again. It may be there
// still, suspended: then nothing else would end their connections for a while.
func (t *Tunnels) Parted(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := 0
	for tn := range t.open {
		if tn.to == id {
			tn.stop(100 + (i*97)%1000)
			i++
		}
	}
}

// Open is how many there are.
func (t *Tunnels) Open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}
