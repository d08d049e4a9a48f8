package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/testenv"
)

const adminToken = "test-admin-token-0123456789abcdef0123"

// adminHouse is a demo application with an admin address.
type adminHouse struct {
	main, admin string
	dir         string
	log         *testenv.Buffer
	free        atomic.Int64 // bytes of its disk
}

func serveAdmin(t *testing.T, token string, before ...func(store string)) *adminHouse {
	t.Helper()
	listen := func() net.Listener {
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	ln, admin := listen(), listen()
	h := &adminHouse{main: "http://" + ln.Addr().String(), admin: "http://" + admin.Addr().String(), dir: t.TempDir(), log: &testenv.Buffer{}}
	path := filepath.Join(h.dir, "store.db")
	for _, fn := range before {
		fn(path)
	}
	cfg := config.Demo(config.DemoOptions{Listen: ln.Addr().String(), Store: "bolt:" + path, Now: time.Now()})
	cfg.AdminListen, cfg.AdminToken = admin.Addr().String(), config.Secret(token)
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: slog.New(slog.NewJSONHandler(h.log, nil)), Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h.free.Store(10 << 30)
	app.SetDiskFree(h.free.Load)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := app.Serve(ctx, ln, admin); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := app.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return h
}

type answer struct {
	status int
	length int64 // that was announced
	header http.Header
}

// ask sends a request over a connection of its own and returns the answer, its body read.
func ask(t *testing.T, method, url string, header http.Header) (answer, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name := range header {
		req.Header.Set(name, header.Get(name))
		if name == "Host" {
			req.Host = header.Get(name)
		}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: read: %v", method, url, err)
	}
	return answer{status: resp.StatusCode, length: resp.ContentLength, header: resp.Header}, body
}

// What only operators may have is on the admin address, and nowhere else.
func TestAdminRoutesAreApart(t *testing.T) {
	t.Parallel()
	h := serveAdmin(t, "")
	for _, route := range []struct{ method, path string }{
		{http.MethodPost, "/backup"},
		{http.MethodGet, "/debug/pprof"},
		{http.MethodGet, "/debug/pprof/"},
		{http.MethodGet, "/debug/pprof/heap"},
		{http.MethodGet, "/debug/pprof/goroutine?debug=2"},
	} {
		if resp, _ := ask(t, route.method, h.main+route.path, nil); resp.status != http.StatusNotFound {
			t.Errorf("%s %s on the main address = %d, want 404", route.method, route.path, resp.status)
		}
		if resp, body := ask(t, route.method, h.admin+route.path, nil); resp.status != http.StatusOK || len(body) == 0 {
			t.Errorf("%s %s on the admin address = %d, %d bytes, want 200", route.method, route.path, resp.status, len(body))
		}
	}
	// Without an admin address they are nowhere.
	alone := serve(t, filepath.Join(t.TempDir(), "store.db"), io.Discard)
	for _, path := range []string{"/debug/pprof", "/debug/pprof/heap"} {
		if status, _ := alone.call(http.MethodGet, path, "", ""); status != http.StatusNotFound {
			t.Errorf("GET %s without adminListen = %d, want 404", path, status)
		}
	}
	if status, _ := alone.call(http.MethodPost, "/backup", "", ""); status != http.StatusNotFound {
		t.Errorf("POST /backup without adminListen = %d, want 404", status)
	}
}

// Who may have a backup, or a profile: never a page, never with a wrong token, and
// without a token nobody who names this machine by another name than its own.
func TestAdminCallers(t *testing.T) {
	t.Parallel()
	open, guarded := serveAdmin(t, ""), serveAdmin(t, adminToken)
	bearer := func(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }
	for name, tt := range map[string]struct {
		house  *adminHouse
		header http.Header
		want   int
	}{
		"this machine":                   {open, nil, http.StatusOK},
		"this machine by name":           {open, http.Header{"Host": {"localhost:1"}}, http.StatusOK},
		"a name that leads here":         {open, http.Header{"Host": {"rebound.example"}}, http.StatusForbidden},
		"a page of another origin":       {open, http.Header{"Origin": {"http://shop.example"}}, http.StatusForbidden},
		"a page that shows it as an img": {open, http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		"somebody behind a proxy here":   {open, http.Header{"X-Forwarded-For": {"192.0.2.7"}}, http.StatusForbidden},
		"behind one that says less":      {open, http.Header{"Via": {"1.1 proxy"}}, http.StatusForbidden},
		"no token":                       {guarded, nil, http.StatusUnauthorized},
		"a wrong token":                  {guarded, bearer(adminToken + "x"), http.StatusUnauthorized},
		"another scheme":                 {guarded, http.Header{"Authorization": {"Basic " + adminToken}}, http.StatusUnauthorized},
		"the token":                      {guarded, bearer(adminToken), http.StatusOK},
		"the token, from a page":         {guarded, http.Header{"Authorization": {"Bearer " + adminToken}, "Origin": {"http://shop.example"}}, http.StatusForbidden},
	} {
		for _, route := range []struct{ method, path string }{{http.MethodPost, "/backup"}, {http.MethodGet, "/debug/pprof/goroutine"}} {
			resp, body := ask(t, route.method, tt.house.admin+route.path, tt.header)
			if resp.status != tt.want {
				t.Errorf("%s: %s = %d %.200s, want %d", name, route.path, resp.status, body, tt.want)
			}
		}
	}
	// Reading metrics takes no token, and gives nobody one.
	if resp, _ := ask(t, http.MethodGet, guarded.admin+"/metrics", nil); resp.status != http.StatusOK {
		t.Errorf("metrics = %d, want 200", resp.status)
	}
	for _, h := range []*adminHouse{open, guarded} {
		if strings.Contains(h.log.String(), adminToken) {
			t.Error("the token is in the log")
		}
	}
}

func TestAdminBackup(t *testing.T) {
	t.Parallel()
	h := serveAdmin(t, "")
	for range 2 { // one after the other
		resp, body := ask(t, http.MethodPost, h.admin+"/backup", nil)
		if resp.status != http.StatusOK || resp.length != int64(len(body)) || resp.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("backup = %d, %d bytes of %d, %v", resp.status, len(body), resp.length, resp.header)
		}
		path := filepath.Join(t.TempDir(), "backup.db")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		report, err := bolt.Verify(t.Context(), path, nil)
		if err != nil || report.Seal == nil || len(report.Problems) > 0 {
			t.Errorf("the backup: %+v, %v", report, err)
		}
		for _, c := range report.Counts {
			if c.Kind == "OAuth clients" && c.Count == 0 {
				t.Error("the backup has no client")
			}
		}
	}
	entries, err := os.ReadDir(h.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the store there are %v, %v", entries, err)
	}
	_, metrics := ask(t, http.MethodGet, h.admin+"/metrics", nil)
	for _, line := range []string{`cobridge_backups_total{result="made"} 2`, `cobridge_backups_total{result="failed"} 0`} {
		if !bytes.Contains(metrics, []byte(line+"\n")) {
			t.Errorf("metrics have no line %q", line)
		}
	}
}

// While one is being fetched there is no second: each takes as much room as the store.
// A caller who goes away in the middle gives the place free.
func TestAdminBackupOneAtATime(t *testing.T) {
	t.Parallel()
	h := serveAdmin(t, "", func(path string) { // more than the buffers of a connection take
		store, err := bolt.Open(t.Context(), bolt.Config{Path: path, Volatile: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 64 {
			if _, err := store.Secret(t.Context(), fmt.Sprintf("filler-%d", i), make([]byte, 512<<10)); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.admin, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "POST /backup HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 12)
	if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200" {
		t.Fatalf("the first = %q, %v", head, err)
	}
	resp, body := ask(t, http.MethodPost, h.admin+"/backup", nil)
	if failure := decode[struct{ Code string }](t, body); resp.status != http.StatusConflict || failure.Code != "request.conflict" {
		t.Errorf("a second = %d %s, want 409", resp.status, body)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		resp, body := ask(t, http.MethodPost, h.admin+"/backup", nil)
		if resp.status == http.StatusOK {
			break
		}
		if resp.status != http.StatusConflict || time.Now().After(deadline) {
			t.Fatalf("after the first has gone = %d %s", resp.status, body)
		}
	}
	if entries, err := os.ReadDir(h.dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the store there are %v, %v", entries, err)
	}
}

// A disk that has no room for a copy is left alone: the service goes on writing to it.
func TestAdminBackupWithoutRoom(t *testing.T) {
	t.Parallel()
	h := serveAdmin(t, "")
	h.free.Store(50 << 20)
	resp, body := ask(t, http.MethodPost, h.admin+"/backup", nil)
	failure := decode[struct{ Code, Message string }](t, body)
	if resp.status != http.StatusServiceUnavailable || failure.Code != "service.unavailable" || !strings.Contains(failure.Message, "no room") {
		t.Errorf("backup = %d %s, want 503 that says why", resp.status, body)
	}
	if !strings.Contains(h.log.String(), "52428800 bytes are free") {
		t.Errorf("the log does not say how much is free:\n%s", h.log)
	}
	_, metrics := ask(t, http.MethodGet, h.admin+"/metrics", nil)
	for _, line := range []string{`cobridge_backups_total{result="failed"} 1`, "cobridge_store_disk_free_bytes 5.24288e+07"} {
		if !bytes.Contains(metrics, []byte(line+"\n")) {
			t.Errorf("metrics have no line %q", line)
		}
	}
	h.free.Store(10 << 30)
	if resp, body := ask(t, http.MethodPost, h.admin+"/backup", nil); resp.status != http.StatusOK {
		t.Errorf("with room again = %d %.200s", resp.status, body)
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	h := serveAdmin(t, "")
	_, list := ask(t, http.MethodGet, h.admin+"/debug/pprof", nil)
	for _, name := range []string{"allocs", "goroutine", "heap", "profile", "trace"} {
		if !strings.Contains(string(list), name+"\n") {
			t.Errorf("the list has no %s:\n%s", name, list)
		}
	}
	for path, want := range map[string]string{
		"goroutine?debug=2":   "goroutine ",
		"heap?gc=1":           "\x1f\x8b", // as go tool pprof reads it: gzip
		"profile?seconds=1":   "\x1f\x8b",
		"trace?seconds=1":     "go 1.",
		"profile?seconds=999": `"invalid.query.param.value"`,
		"cmdline":             `"not.found"`,
	} {
		if _, body := ask(t, http.MethodGet, h.admin+"/debug/pprof/"+path, nil); !bytes.Contains(body, []byte(want)) {
			t.Errorf("%s = %.100q, want %q in it", path, body, want)
		}
	}
}
