package bridge_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// sharingNode is one of several services on a store.
type sharingNode struct {
	*bridge.App

	address string
	stop    func()
}

// startSharing starts the demo's service on a Redis server.
func startSharing(t *testing.T, store string, change ...func(*config.Config)) *sharingNode {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Demo(config.DemoOptions{Listen: ln.Addr().String(), Store: store, Now: time.Now()})
	cfg.Cluster.Heartbeat, cfg.Cluster.DeadAfter, cfg.Shutdown.Drain = 100*time.Millisecond, time.Second, 2*time.Second
	for _, f := range change {
		f(&cfg)
	}
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Clock: time.Now, Version: "test"})
	if err != nil {
		_ = ln.Close()
		t.Fatalf("Open: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, ln, nil) }()
	n := &sharingNode{App: app, address: ln.Addr().String()}
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
		if err := app.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	t.Cleanup(n.stop)
	<-app.Begun()
	return n
}

// cometd sends one message and returns the answer to it.
func (n *sharingNode) cometd(t *testing.T, message map[string]any) map[string]any {
	t.Helper()
	answer, text := n.tryCometD(t, message)
	if answer == nil {
		t.Fatalf("%v is answered %s", message["channel"], text)
	}
	return answer
}

// tryCometD returns nil, and what came, if that is no answer to one message.
func (n *sharingNode) tryCometD(t *testing.T, message map[string]any) (answer map[string]any, got string) {
	t.Helper()
	body, err := json.Marshal([]any{message})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+n.address+"/cobrowse/cometd", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("%v: %v", message["channel"], err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 1 {
		return nil, fmt.Sprintf("%d %q", resp.StatusCode, text)
	}
	return all[0], ""
}

// A CometD client that was let in by one node is served by it through every other, and
// has to begin anew only when that node is gone.
func TestCometDAcrossNodes(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	a, b := startSharing(t, server.URL), startSharing(t, server.URL)
	hello := a.cometd(t, map[string]any{"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{"long-polling"}})
	id, _ := hello["clientId"].(string)
	if hello["successful"] != true || id == "" {
		t.Fatalf("handshake: %v", hello)
	}
	connect := map[string]any{"channel": "/meta/connect", "clientId": id, "connectionType": "long-polling", "advice": map[string]any{"timeout": 0}}
	for _, n := range []*sharingNode{b, a, b} {
		if got := n.cometd(t, connect); got["successful"] != true {
			t.Errorf("connect: %v, want it to succeed", got)
		}
	}
	if got := b.cometd(t, map[string]any{"channel": "/meta/connect", "clientId": strings.Repeat("x", 52), "connectionType": "long-polling"}); !strings.HasPrefix(fmt.Sprint(got["error"]), "402") {
		t.Errorf("connect of nobody: %v, want 402", got)
	}
	a.stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(20 * time.Second); ; {
		got, _ := b.tryCometD(t, connect) // 503 until the node is known to be gone
		if got != nil && strings.HasPrefix(fmt.Sprint(got["error"]), "402") {
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("connect after the node has gone: %v, want 402", got)
		}
	}
}

// A channel is connected to one node: topics that it gets through another are told, and
// what happens there, and it ends with a token that dies there.
func TestNotificationsAcrossNodes(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	a := startSharing(t, server.URL)
	b := startSharing(t, server.URL, func(c *config.Config) { c.BaseURL = a.BaseURL() })
	d := &desk{house: &house{base: a.BaseURL(), client: http.DefaultClient}}
	d.grant(t)
	var channel struct{ ID, ConnectURI string }
	d.call(t, http.MethodPost, "/api/v2/notifications/channels", "", &channel)
	d.channel, d.uri = channel.ID, channel.ConnectURI
	d.connect(t)

	elsewhere := &desk{house: &house{base: "http://" + b.address, client: http.DefaultClient}, token: d.token}
	topic := "v2.users." + config.DemoAgentID + ".conversations"
	elsewhere.call(t, http.MethodPut, "/api/v2/notifications/channels/"+d.channel+"/subscriptions", `[{"id":"`+topic+`"}]`, nil)
	// That the topic is known here is told after the answer: one of these comes later.
	stop := make(chan struct{})
	var creating sync.WaitGroup
	creating.Go(func() {
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			elsewhere.call(t, http.MethodPost, "/api/v2/conversations", `{"mediaType":"call","participants":[{"purpose":"agent","userId":"`+config.DemoAgentID+`"}]}`, nil)
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
		}
	})
	d.until(t, "begins elsewhere", topic, func(n told) bool { return n.EventBody.State == "active" })
	close(stop)
	creating.Wait()
	elsewhere.call(t, http.MethodDelete, "/api/v2/tokens/me", "", nil)
	for {
		if _, _, err := d.conn.ReadMessage(); err != nil {
			if !websocket.IsCloseError(err, 4401) {
				t.Errorf("after its token's death the connection ended with %v, want 4401", err)
			}
			break
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// What nodes say of themselves is documented, and attached data that another node writes
// is no backlog.
func TestMetricsOfNodes(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	server := testenv.StartRedis(t, "--appendonly", "no")
	startSharing(t, server.URL)
	b := startSharing(t, server.URL)
	metrics := func() string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.address+"/metrics", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("metrics: %v", err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	seen := 0
	for _, row := range regexp.MustCompile(`(?m)^# TYPE (cobridge_\w+) (\w+)$`).FindAllStringSubmatch(metrics(), -1) {
		if !strings.Contains(string(page), "| `"+row[1]+"` | "+row[2]+" |") {
			t.Errorf("docs/metrics.md does not have the %s %s", row[2], row[1])
		}
		if amongNodes.MatchString(row[1]) {
			seen++
		}
	}
	if n := len(regexp.MustCompile("(?m)^\\| `cobridge_(cluster|tunnels)_").FindAllString(string(page), -1)); seen != n {
		t.Errorf("%d metrics of nodes are served, docs/metrics.md has %d", seen, n)
	}
	d := &desk{house: &house{base: b.BaseURL(), client: http.DefaultClient}}
	d.grant(t)
	d.call(t, http.MethodPost, "/api/v2/cobrowse/sessions", `{"conversationId":"`+config.DemoConversationID+`","participants":[{"userId":"`+config.DemoAgentID+`","role":"agent"},{"userId":"`+config.DemoSupervisorID+`","role":"supervisor"}]}`, nil)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for timeout := time.After(20 * time.Second); !strings.Contains(metrics(), "\ncobridge_attached_data_backlog 0\n"); {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatal("the attached data that the other node writes is a backlog for ever")
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
