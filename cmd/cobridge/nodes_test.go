package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/cobrowse/client/live"
)

const (
	nodesOrg          = "0b9ff7a5-35ba-4e4f-9d5f-0c8d6c3f7a01"
	nodesAgent        = "0b9ff7a5-35ba-4e4f-9d5f-0c8d6c3f7a02"
	nodesSupervisor   = "0b9ff7a5-35ba-4e4f-9d5f-0c8d6c3f7a03"
	nodesConversation = "0b9ff7a5-35ba-4e4f-9d5f-0c8d6c3f7a04"
	nodesDeployment   = "0b9ff7a5-35ba-4e4f-9d5f-0c8d6c3f7a05"
	nodesSecret       = "a-secret-of-tests-forty-characters-long"
	nodesShop         = "https://shop.example"
)

// nodes are several processes on one Redis server, behind a balancer.
type nodes struct {
	t         *testing.T
	redis     *testenv.RedisServer
	config    string
	addresses []string
	processes []*process
	balancer  *balancer
	api       *client.Client
}

// balancer passes connections to the nodes by turns, or for a while to one alone. It
// knows nothing of what is in them.
type balancer struct {
	listener net.Listener
	backends []string
	next     atomic.Uint64
	pinned   atomic.Int64 // -1 = by turns
	work     sync.WaitGroup
}

func (b *balancer) serve() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.work.Go(func() { b.carry(conn) })
	}
}

// carry tries the nodes until one takes the connection.
func (b *balancer) carry(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for range 2 * len(b.backends) {
		i := int(b.next.Add(1)) % len(b.backends)
		if pinned := b.pinned.Load(); pinned >= 0 {
			i = int(pinned)
		}
		backend, err := net.DialTimeout("tcp", b.backends[i], time.Second)
		if err != nil {
			continue
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(backend, conn)
			_ = backend.Close()
		}()
		_, _ = io.Copy(conn, backend)
		_ = conn.Close()
		<-done
		return
	}
}

// startNodes starts three of them.
func startNodes(t *testing.T) *nodes {
	t.Helper()
	const n = 3
	server := testenv.StartRedis(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &nodes{t: t, redis: server, config: filepath.Join(t.TempDir(), "cobridge.yaml"), balancer: &balancer{listener: ln}}
	c.balancer.pinned.Store(-1)
	text := fmt.Sprintf(`store: %s
baseUrl: http://%s
session: {grace: 60s}
cluster: {heartbeat: 300ms, deadAfter: 1500ms}
limits: {tokenPerMinute: 0, addressPerMinute: 0}
organisations:
- id: %s
  name: Shop
  users:
  - {id: %s, name: Ada Agent, cobrowse: {voice: true, digital: true}}
  - {id: %s, name: Sam Supervisor, title: Supervisor, cobrowse: {voice: true, digital: true}}
  conversations:
  - id: %s
    mediaType: call
    participants:
    - {purpose: customer, name: Kim Customer}
    - {purpose: agent, userId: %s}
    - {purpose: user, userId: %s, mediaRoles: [monitor]}
  clients:
  - {id: crm, name: CRM, scopes: ["cobrowse:session:write", "cobrowse:session:read", conversations, webdeployments], secret: %q}
  deployments:
  - {id: %s, name: Shop, allowedOrigins: [%q], allowAgentControl: true}
`, server.URL, ln.Addr(), nodesOrg, nodesAgent, nodesSupervisor, nodesConversation, nodesAgent, nodesSupervisor, nodesSecret, nodesDeployment, nodesShop)
	if err := os.WriteFile(c.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range n {
		c.addresses = append(c.addresses, freeAddress(t))
	}
	c.balancer.backends = c.addresses
	c.processes = make([]*process, n)
	for i := range n {
		c.start(i)
	}
	go c.balancer.serve()
	t.Cleanup(func() {
		_ = ln.Close()
		for i := range c.processes {
			c.kill(i)
		}
		c.balancer.work.Wait()
	})
	transport := &http.Transport{DisableKeepAlives: true} // each call to another node
	if c.api, err = client.New(client.Options{BaseURL: "http://" + ln.Addr().String(), ClientID: "crm", ClientSecret: nodesSecret, Transport: transport}); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *nodes) start(i int) {
	c.t.Helper()
	c.processes[i] = startWith(c.t, 2*time.Minute, nil, "serve", "--config", c.config, "--listen", c.addresses[i])
	c.processes[i].until(c.t, "listening")
	errs := c.processes[i].err
	go func() { // or it would wait for somebody to read
		for {
			line, err := errs.ReadString('\n')
			if err != nil {
				return
			}
			if os.Getenv("COBRIDGE_TEST_LOG") != "" {
				fmt.Fprintf(os.Stderr, "node %d: %s", i, line)
			}
		}
	}()
	c.until(fmt.Sprintf("node %d is ready", i), func() bool { return c.get(i, "/readyz") != "" })
}

// kill is kill -9.
func (c *nodes) kill(i int) {
	_ = c.processes[i].cmd.Process.Kill()
	_ = c.processes[i].cmd.Wait()
}

// get asks one node; what is not answered with 200 is "".
func (c *nodes) get(i int, path string) string {
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.addresses[i]+path, http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return body.String()
}

// metric is what a node says of itself; -1 while it does not answer.
func (c *nodes) metric(i int, name string) int {
	for line := range strings.Lines(c.get(i, "/metrics")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				c.t.Fatalf("metric %s: %v", name, err)
			}
			return int(n)
		}
	}
	return -1
}

func (c *nodes) until(what string, fn func() bool) {
	c.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(limit / 2); !fn(); {
		select {
		case <-ticker.C:
		case <-timeout:
			c.t.Fatalf("within %v it did not come about that %s", limit/2, what)
		}
	}
}

// owner is the node that has the only room there is.
func (c *nodes) owner() int {
	c.t.Helper()
	found := -1
	c.until("one node has the room", func() bool {
		count := 0
		for i := range c.processes {
			if c.metric(i, "cobridge_cluster_rooms") == 1 {
				found = i
				count++
			}
		}
		return count == 1
	})
	return found
}

// story is a session with everybody on a node of their own.
type story struct {
	sharer            *live.Sharer
	agent, supervisor *live.Viewer
	session           client.Session
	ended             atomic.Int64
	abrupt            atomic.Int64 // connections that were lost without a close code
}

func (c *nodes) story(ctx context.Context) *story {
	c.t.Helper()
	yes := true
	session, err := c.api.CreateSession(ctx, client.NewSession{
		ConversationID: nodesConversation, DeploymentID: nodesDeployment, Settings: &client.NewSettings{AllowRemoteControl: &yes},
		Participants: []client.Invite{{Role: "customer", Name: "Kim Customer"}, {UserID: nodesAgent, Role: "agent"}, {UserID: nodesSupervisor, Role: "supervisor"}},
	})
	if err != nil {
		c.t.Fatalf("create session: %v", err)
	}
	s := &story{session: session}
	told := func(who string) func(live.Event) {
		return func(e live.Event) {
			if os.Getenv("COBRIDGE_TEST_LOG") != "" {
				fmt.Fprintf(os.Stderr, "%s: %+v\n", who, e)
			}
			if e.Kind == live.EventEnded {
				s.ended.Add(1)
			}
			if e.Kind == live.EventLost && !strings.Contains(e.Why, "goingAway") {
				s.abrupt.Add(1)
			}
		}
	}
	link := func(role string) string {
		for _, p := range session.Participants {
			if p.Role == role {
				return p.JoinURL
			}
		}
		c.t.Fatalf("nobody is the %s", role)
		return ""
	}
	c.balancer.pinned.Store(0)
	page := live.Page{URL: nodesShop + "/checkout", HTML: `<title>Checkout</title><h1>Checkout</h1><p id="count">nothing</p><input id="voucher" name="voucher" data-cb-show>`}
	if s.sharer, err = live.Share(ctx, live.Options{JoinURL: link("customer"), OnEvent: told("sharer"), Decide: func(live.Request) bool { return true }}, page); err != nil {
		c.t.Fatalf("Share: %v", err)
	}
	c.t.Cleanup(s.sharer.Close)
	c.balancer.pinned.Store(1)
	if s.agent, err = live.View(ctx, live.Options{JoinURL: link("agent"), OnEvent: told("agent")}); err != nil {
		c.t.Fatalf("View: %v", err)
	}
	c.t.Cleanup(s.agent.Close)
	c.balancer.pinned.Store(2)
	if s.supervisor, err = live.View(ctx, live.Options{JoinURL: link("supervisor"), OnEvent: told("supervisor")}); err != nil {
		c.t.Fatalf("View: %v", err)
	}
	c.t.Cleanup(s.supervisor.Close)
	c.balancer.pinned.Store(-1)
	return s
}

// shows waits until both viewers see what the sharer's page has now.
func (s *story) shows(ctx context.Context, t *testing.T, text string) {
	t.Helper()
	for who, viewer := range map[string]*live.Viewer{"agent": s.agent, "supervisor": s.supervisor} {
		if err := viewer.WaitText(ctx, text); err != nil {
			t.Fatalf("the %s does not see %q: %v; the picture is %+v", who, text, err, viewer.Picture())
		}
	}
}

// One session on three nodes: its owner's room is reached through the others.
func TestThreeNodesOneRoom(t *testing.T) {
	t.Parallel()
	c := startNodes(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s := c.story(ctx)
	s.shows(ctx, t, "nothing")
	if owner := c.owner(); owner != 0 {
		t.Errorf("the room is at node %d, want that of the sharer", owner)
	}
	for i, want := range []int{0, 1, 1} {
		if got := c.metric(i, "cobridge_tunnels_open"); got != want {
			t.Errorf("node %d has %d tunnels, want %d", i, got, want)
		}
	}
	if err := s.agent.Ask(ctx, live.Control); err != nil {
		t.Fatalf("Ask: %v", err)
	}
	if err := s.agent.Fill(ctx, "#voucher", "QUIET10"); err != nil {
		t.Fatalf("Fill: %v", err)
	}
	if err := s.sharer.WaitValue(ctx, "#voucher", "QUIET10"); err != nil {
		t.Errorf("the sharer's page: %v", err)
	}
	if err := s.sharer.Text("#count", "everything"); err != nil {
		t.Errorf("Text: %v", err)
	}
	s.shows(ctx, t, "everything")
	if err := s.agent.End(ctx); err != nil {
		t.Errorf("End: %v", err)
	}
	for _, done := range []<-chan struct{}{s.sharer.Done(), s.supervisor.Done()} {
		select {
		case <-done:
		case <-ctx.Done():
			t.Fatal("the end was not told to all")
		}
	}
	if n := s.ended.Load(); n != 3 {
		t.Errorf("%d were told of the end, want 3", n)
	}
	c.until("no room is left", func() bool { return c.metric(0, "cobridge_cluster_rooms") == 0 })
}

// One node after the other is killed with kill -9 and started again, the owner first,
// while the sharer types. Nobody has to join again.
func TestThreeNodesKilled(t *testing.T) {
	t.Parallel()
	c := startNodes(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	s := c.story(ctx)
	typed := make(chan int)
	stop := make(chan struct{})
	go func() {
		defer close(typed)
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			if err := s.sharer.Text("#count", fmt.Sprintf("count %d.", i)); err != nil {
				t.Errorf("Text: %v", err)
				return
			}
			select {
			case typed <- i:
			default:
			}
		}
	}()
	s.shows(ctx, t, "count ")
	for round := range 3 {
		victim := round
		if round == 0 {
			victim = c.owner()
		}
		c.kill(victim)
		begun := time.Now()
		now, ok := <-typed
		if !ok {
			t.Fatal("the sharer does not type any more")
		}
		for who, viewer := range map[string]*live.Viewer{"agent": s.agent, "supervisor": s.supervisor} {
			if _, err := viewer.WaitPicture(ctx, func(p live.Picture) bool { return counted(p.Text) > now+10 }); err != nil {
				t.Fatalf("round %d: the %s does not see what is typed: %v; the picture is %+v", round, who, err, viewer.Picture())
			}
		}
		t.Logf("round %d: all see the page %v after kill -9 of node %d", round, time.Since(begun).Round(time.Millisecond), victim)
		c.start(victim)
	}
	close(stop)
	for range typed { // until it has ended
	}
	if err := s.sharer.Text("#count", "the last word"); err != nil {
		t.Errorf("Text: %v", err)
	}
	s.shows(ctx, t, "the last word")
	if n := s.ended.Load(); n != 0 {
		t.Errorf("%d had to leave, want 0", n)
	}
	if got, err := c.api.Session(ctx, s.session.ID); err != nil || got.State != "active" {
		t.Errorf("the session is %q, %v; want active", got.State, err)
	}
	c.owner()
}

// counted is the number in the sharer's page; -1 if there is none.
func counted(text string) int {
	_, rest, ok := strings.Cut(text, "count ")
	if !ok {
		return -1
	}
	digits, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

// The owner is suspended for longer than its life: its room goes to another node, and
// when it is woken there are not two of them.
func TestThreeNodesOwnerSuspended(t *testing.T) {
	t.Parallel()
	c := startNodes(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s := c.story(ctx)
	s.shows(ctx, t, "nothing")
	owner := c.owner()
	c.processes[owner].signal(t, syscall.SIGSTOP)
	woken := false
	defer func() {
		if !woken {
			c.processes[owner].signal(t, syscall.SIGCONT)
		}
	}()
	others := []int{(owner + 1) % 3, (owner + 2) % 3}
	c.until("the viewers are in a room of another node", func() bool {
		return c.metric(others[0], "cobridge_cluster_rooms")+c.metric(others[1], "cobridge_cluster_rooms") == 1
	})
	c.processes[owner].signal(t, syscall.SIGCONT)
	woken = true
	if err := s.sharer.Text("#count", "woken"); err != nil {
		t.Errorf("Text: %v", err)
	}
	s.shows(ctx, t, "woken")
	if now := c.owner(); now == owner {
		t.Errorf("the room is at node %d, which had lost it", now)
	}
	if n := c.metric(owner, "cobridge_cluster_renamed_total"); n != 1 {
		t.Errorf("the suspended node was given up %d times, want 1", n)
	}
	if n := s.ended.Load(); n != 0 {
		t.Errorf("%d had to leave, want 0", n)
	}
	if err := s.agent.End(ctx); err != nil {
		t.Errorf("End: %v", err)
	}
	<-s.sharer.Done()
	if _, ok := errors.AsType[*live.EndedError](s.sharer.Err()); !ok {
		t.Errorf("the sharer's end is %v, want that of the session", s.sharer.Err())
	}
}

// A rolling restart: each node stops well, the one that has the room included. Clients
// are told when to come again, and nobody has to join again.
func TestThreeNodesRestarted(t *testing.T) {
	t.Parallel()
	c := startNodes(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s := c.story(ctx)
	s.shows(ctx, t, "nothing")
	for i := range c.processes {
		c.processes[i].signal(t, syscall.SIGTERM)
		if err := c.processes[i].cmd.Wait(); err != nil {
			t.Errorf("node %d ended with %v", i, err)
		}
		text := fmt.Sprintf("without node %d", i)
		if err := s.sharer.Text("#count", text); err != nil {
			t.Errorf("Text: %v", err)
		}
		s.shows(ctx, t, text)
		c.start(i)
	}
	if n := s.ended.Load(); n != 0 {
		t.Errorf("%d had to leave, want 0", n)
	}
	if n := s.abrupt.Load(); n != 0 {
		t.Errorf("%d connections ended without a word, want 0", n)
	}
}

// While the store is away for longer than a node's life, live pictures go on; afterwards
// nobody was given up, and no connection was lost.
func TestThreeNodesStoreAway(t *testing.T) {
	t.Parallel()
	c := startNodes(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s := c.story(ctx)
	s.shows(ctx, t, "nothing")
	c.redis.Kill(t)
	away := time.NewTimer(4 * time.Second) // more than twice the life
	defer away.Stop()
	i := 0
	for over := false; !over; i++ {
		text := fmt.Sprintf("away %d.", i)
		if err := s.sharer.Text("#count", text); err != nil {
			t.Fatalf("Text: %v", err)
		}
		s.shows(ctx, t, text)
		select {
		case <-away.C:
			over = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	if c.get(0, "/readyz") != "" {
		t.Error("a node is ready without its store")
	}
	c.redis.Start(t)
	c.until("all nodes are ready", func() bool {
		return c.get(0, "/readyz") != "" && c.get(1, "/readyz") != "" && c.get(2, "/readyz") != ""
	})
	c.until("all nodes know one another", func() bool { return c.metric(1, "cobridge_cluster_nodes") == 3 })
	if err := s.sharer.Text("#count", "back"); err != nil {
		t.Errorf("Text: %v", err)
	}
	s.shows(ctx, t, "back")
	for n := range c.processes {
		if renamed, buried := c.metric(n, "cobridge_cluster_renamed_total"), c.metric(n, "cobridge_cluster_burials_total"); renamed != 0 || buried != 0 {
			t.Errorf("node %d was given up %d times and gave up %d, want 0", n, renamed, buried)
		}
	}
	if lost, ended := s.abrupt.Load(), s.ended.Load(); lost != 0 || ended != 0 {
		t.Errorf("%d connections were lost, %d ended; want none", lost, ended)
	}
	t.Logf("%d changes of the page were seen while the store was away", i)
}
