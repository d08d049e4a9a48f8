package contract_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/mocks/contract"
)

// Three nodes on one Redis server keep the contract as one does: behind a balancer that
// gives each connection, and so each call, to the next of them.
func TestOnThreeNodes(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	clock := testenv.NewClock(time.Date(2026, time.March, 4, 5, 6, 7, 89e6, time.UTC))
	front := listen(t)
	baseURL := "http://" + front.Addr().String()
	var addresses []string
	for range 3 {
		addresses = append(addresses, startNode(t, server.URL, baseURL, clock))
	}
	balance(t, front, addresses)
	transport := &http.Transport{DisableKeepAlives: true}
	tg := target(baseURL, &http.Client{Transport: transport})
	tg.Advance = clock.Advance
	tg.Check = openapitest.NewChecker(t).Check
	for range addresses {
		ready(t, tg.Client, tg.BaseURL)
	}
	contract.Run(reporter{t}, tg)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// startNode starts the service of testdata/service.yaml in this process, as one of
// several on a store, and returns its address.
func startNode(t *testing.T, store, baseURL string, clock *testenv.Clock) string {
	t.Helper()
	cfg, err := config.Load(config.Sources{File: filepath.Join("testdata", "service.yaml")})
	if err != nil {
		t.Fatalf("load configuration: %v", err)
	}
	ln := listen(t)
	cfg.Store, cfg.Listen, cfg.BaseURL, cfg.Shutdown.Drain = store, ln.Addr().String(), baseURL, 3*time.Second
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: log, Clock: clock.Now, Version: "test"})
	if err != nil {
		_ = ln.Close()
		t.Fatalf("open application: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Serve(ctx, ln, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve = %v", err)
		}
		if err := app.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	<-app.Begun()
	return ln.Addr().String()
}

// balance gives connections to nodes by turns, until the test ends. It knows nothing of
// what is in them.
func balance(t *testing.T, front net.Listener, addresses []string) {
	t.Helper()
	var next atomic.Uint64
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := front.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = conn.Close() }()
				node, err := net.Dial("tcp", addresses[next.Add(1)%uint64(len(addresses))])
				if err != nil {
					return
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					_, _ = io.Copy(node, conn)
					_ = node.Close()
				}()
				_, _ = io.Copy(conn, node)
				_ = conn.Close()
				<-done
			})
		}
	})
	t.Cleanup(func() {
		_ = front.Close()
		work.Wait()
	})
}
