package pages_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

const (
	org    conversations.OrgID  = "0a1b2c3d-0000-4000-8000-000000000001"
	ann    conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000a1"
	ben    conversations.UserID = "0a1b2c3d-0000-4000-8000-0000000000b2"
	annPID                      = cobrowse.ParticipantID(ann)
	benPID                      = cobrowse.ParticipantID(ben)
)

// house is the whole service on a loopback port, with a clock that tests can move.
type house struct {
	*bridge.App
	base string
	log  *testenv.Buffer

	mu    sync.Mutex
	ahead time.Duration
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead)
}

// advance moves the service's clock.
func (h *house) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

func newHouse(t *testing.T, changes ...func(*config.Config)) *house {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	h := &house{log: &testenv.Buffer{}, base: "http://" + listener.Addr().String()}
	cfg := config.Default()
	cfg.Listen, cfg.Store = listener.Addr().String(), "bolt:"+filepath.Join(t.TempDir(), "store.db")
	able := config.Capability{Voice: true, Digital: true}
	cfg.Organisations = []config.Organisation{{ID: string(org), Name: "Test", Users: []config.User{
		{ID: string(ann), Name: "Ada Agent", Cobrowse: able}, {ID: string(ben), Name: "Sam Supervisor", Cobrowse: able},
	}}}
	for _, change := range changes {
		change(&cfg)
	}
	if cfg.BaseURL != "" {
		h.base = cfg.BaseURL
	}
	log := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if h.App, err = bridge.Open(t.Context(), cfg, bridge.Options{Log: log, Clock: h.now}); err != nil {
		_ = listener.Close()
		t.Fatalf("open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.Serve(ctx, listener, nil); err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

var (
	agentAndSupervisor = []cobrowse.Invite{{UserID: ann, Role: cobrowse.RoleAgent}, {UserID: ben, Role: cobrowse.RoleSupervisor}}
	everybody          = append([]cobrowse.Invite{{Role: cobrowse.RoleCustomer, Name: "Kim Customer"}}, agentAndSupervisor...)
)

func (h *house) start(t *testing.T, invites []cobrowse.Invite) cobrowse.Session {
	t.Helper()
	c, err := h.Directory().Create(t.Context(), org, conversations.NewConversation{
		Medium: conversations.MediumMessage, Participants: []conversations.NewParticipant{
			{Purpose: conversations.PurposeCustomer, Name: "Kim Customer"}, {Purpose: conversations.PurposeAgent, UserID: ann},
		},
	})
	if err != nil {
		t.Fatalf("create conversation: %v", err)
	}
	started, err := h.Cobrowse().Start(t.Context(), cobrowse.StartRequest{OrgID: org, ClientID: "client", ConversationID: c.ID, Participants: invites, AllowRemoteControl: true})
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	return started.Session
}

func (h *house) token(t *testing.T, s cobrowse.Session, p cobrowse.ParticipantID) string {
	t.Helper()
	token, err := h.Cobrowse().IssueToken(t.Context(), org, s.ID, p)
	if err != nil {
		t.Fatalf("IssueToken: %v", err)
	}
	return token.Raw
}

// joinURL returns a fresh join URL of a participant.
func (h *house) joinURL(t *testing.T, s cobrowse.Session, p cobrowse.ParticipantID) string {
	t.Helper()
	return h.base + "/cobrowse/join?token=" + h.token(t, s, p)
}

// address is where the agent's page lies once the token is gone.
func (h *house) address(s cobrowse.Session) string {
	return h.base + "/cobrowse/join?session=" + string(s.ID) + "&participant=" + string(annPID)
}

func (h *house) end(t *testing.T, s cobrowse.Session) {
	t.Helper()
	if _, err := h.Cobrowse().End(t.Context(), org, s.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
}

// answer is an HTTP answer with its body read.
type answer struct {
	*http.Response
	body string
}

func request(t *testing.T, method, address, host string, head map[string]string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for name, value := range head {
		r.Header.Set(name, value)
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return answer{response, string(body)}
}

func get(t *testing.T, address string) answer {
	t.Helper()
	return request(t, http.MethodGet, address, "", nil)
}

// heading returns the headline of a page.
func heading(a answer) string {
	_, rest, _ := strings.Cut(a.body, "<h1")
	_, rest, _ = strings.Cut(rest, ">")
	text, _, _ := strings.Cut(rest, "</h1>")
	return text
}

// proxy stands between browser and service, and can be a broken network.
type proxy struct {
	listener net.Listener

	mu     sync.Mutex
	target string
	broken bool
	open   map[net.Conn]struct{}
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	p := &proxy{listener: listener, open: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.breakdown(true)
		running.Wait()
	})
	return p
}

func (p *proxy) base() string { return "http://" + p.listener.Addr().String() }

// lead says where connections go; before, they are cut.
func (p *proxy) lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// breakdown cuts all connections and, until it is over, each new one.
func (p *proxy) breakdown(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = on
	for conn := range p.open {
		_ = conn.Close()
	}
}

func (p *proxy) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	p.mu.Lock()
	target := p.target
	if p.broken {
		target = ""
	}
	p.mu.Unlock()
	if target == "" {
		return
	}
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.mu.Lock()
	p.open[client], p.open[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, client)
		delete(p.open, server)
	}()
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			_, _ = to.Close(), from.Close()
		})
	}
	both.Wait()
}
