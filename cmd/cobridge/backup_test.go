package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	backupAgent      = "3c9f2b14-9d0e-4c5b-8f3a-0d6a6a2f1b01"
	backupSupervisor = "3c9f2b14-9d0e-4c5b-8f3a-0d6a6a2f1b02"
	backupToken      = "0123456789-admin-token-0123456789"
)

// backupHouse runs the program with a configuration, an admin address and a load.
type backupHouse struct {
	crashHouse

	dir, config, store string
	admin              string
}

func newBackupHouse(t *testing.T) *backupHouse {
	t.Helper()
	dir := t.TempDir()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	h := &backupHouse{
		crashHouse: crashHouse{t: t, client: &http.Client{Transport: transport, Timeout: limit}, owner: map[string]string{}, ended: map[string]bool{}},
		dir:        dir, store: filepath.Join(dir, "store.db"),
	}
	h.config = writeFile(t, dir, "cobridge.yaml", fmt.Sprintf(`adminTokenFile: admin-token
limits: {tokenPerMinute: 0, addressPerMinute: 0}
session: {oneSessionPerAgent: false}
organisations:
  - id: %s
    name: Example
    users:
      - {id: %s, name: Ada Agent, cobrowse: {voice: true, digital: true}}
      - {id: %s, name: Sam Supervisor, cobrowse: {voice: true, digital: true}}
    clients:
      - {id: backup-test, name: Test, scopes: [conversations, "cobrowse:session:write", "cobrowse:session:read"], secret: %s}
`, orgID, backupAgent, backupSupervisor, secret))
	writeFile(t, dir, "admin-token", backupToken+"\n")
	h.info = demoInfo{ClientID: "backup-test", ClientSecret: secret, AgentUserID: backupAgent, SupervisorUserID: backupSupervisor}
	return h
}

// serve starts the program over a store.
func (h *backupHouse) serve(store string) {
	h.t.Helper()
	free, err := (&net.ListenConfig{}).Listen(h.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.admin = "http://" + free.Addr().String()
	if err := free.Close(); err != nil {
		h.t.Fatal(err)
	}
	h.p = start(h.t, "serve", "--config", h.config, "--store", "bolt:"+store, "--listen", "127.0.0.1:0", "--admin-listen", strings.TrimPrefix(h.admin, "http://"), "--log-format", "json")
	var line struct{ Address string }
	if err := json.Unmarshal([]byte(h.p.until(h.t, `"listening"`)), &line); err != nil {
		h.t.Fatal(err)
	}
	h.info.BaseURL = "http://" + line.Address
	h.token = h.newToken()
}

func (h *backupHouse) stop() {
	h.t.Helper()
	h.p.signal(h.t, syscall.SIGTERM)
	if _, code := h.p.wait(h.t); code != 0 {
		h.t.Fatalf("the service ended with %d", code)
	}
}

// create makes a conversation and a session on it, and notes it once it is acknowledged.
func (h *backupHouse) create() {
	conversation := fmt.Sprintf(`{"mediaType":"chat","participants":[{"purpose":"agent","userId":%q}]}`, backupAgent)
	status, c := h.call(http.MethodPost, "/api/v2/conversations", h.token, conversation)
	if status != http.StatusCreated {
		h.t.Errorf("create conversation = %d %v", status, c)
		return
	}
	id, _ := c["id"].(string)
	body := fmt.Sprintf(`{"conversationId":%q,"participants":[{"userId":%q,"role":"agent"},{"userId":%q,"role":"supervisor"}]}`, id, backupAgent, backupSupervisor)
	status, s := h.call(http.MethodPost, "/api/v2/cobrowse/sessions", h.token, body)
	if status != http.StatusCreated {
		h.t.Errorf("create session = %d %v", status, s)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.owner[id], _ = s["id"].(string)
}

// acknowledged returns the sessions by conversation as of now.
func (h *backupHouse) acknowledged() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.owner)
}

// TestBackupOfARunningService: a backup that is made while sessions are created, by the
// real program, has every one that was acknowledged before it; and the service that runs
// on it knows them, their conversations and the tokens that were given out.
func TestBackupOfARunningService(t *testing.T) {
	t.Parallel()
	h := newBackupHouse(t)
	h.serve(h.store)
	var enough atomic.Bool
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for !enough.Load() {
				h.create()
			}
		})
	}
	poll(t, "sessions", func() bool { return len(h.acknowledged()) > 20 })
	token := writeFile(t, h.dir, "token-elsewhere", backupToken)
	backup := filepath.Join(h.dir, "backup.db")
	before := h.acknowledged()
	cli(t, nil, "", "backup", "--admin", h.admin, "--admin-token-file", token, "--to", backup).want(t, exitDone, "live sessions", "")
	again := h.acknowledged()
	piped := cli(t, []string{"COBRIDGE_ADMIN_TOKEN=" + backupToken}, "", "backup", "--admin", h.admin, "--to", "-")
	piped.want(t, exitDone, "cobridge backup 1\n", "")
	enough.Store(true)
	load.Wait()
	if len(again) == len(before) {
		t.Log("no session was acknowledged while the first backup was made")
	}

	// What is refused makes no file, and says why.
	missing := filepath.Join(h.dir, "missing.db")
	cli(t, nil, "", "backup", "--admin", h.admin, "--to", missing).want(t, exitFailed, "", "adminToken")
	cli(t, nil, "", "backup", "--admin", h.info.BaseURL, "--to", missing).want(t, exitFailed, "", "404")
	cli(t, nil, "", "backup", "--admin", h.admin, "--admin-token-file", token, "--to", backup).want(t, exitFailed, "", "there already")
	cli(t, nil, "", "backup", "--store", "bolt:"+h.store, "--to", missing).want(t, exitFailed, "", "in use by another process")
	cli(t, nil, "", "store", "check", "--store", "bolt:"+h.store).want(t, exitFailed, "", "in use by another process")
	cli(t, nil, "", "store", "compact", "--store", "bolt:"+h.store).want(t, exitFailed, "", "in use by another process")
	cli(t, nil, "", "restore", "--from", backup, "--to", "bolt:"+h.store, "--force").want(t, exitFailed, "", "in use by another process")
	if _, err := os.Stat(missing); err == nil {
		t.Error("a backup that was refused has left a file")
	}
	h.stop()

	h.checkRestored(backup, before)
	h.checkRestored(writeFile(t, h.dir, "piped.db", piped.out), again)
}

// checkRestored restores a backup and looks for the sessions in the service that runs on it.
func (h *backupHouse) checkRestored(backup string, sessions map[string]string) {
	h.t.Helper()
	store := backup + ".store"
	cli(h.t, nil, "", "store", "check", "--store", "bolt:"+backup).want(h.t, exitDone, "nothing is wrong", "")
	cli(h.t, nil, "", "restore", "--from", backup, "--to", "bolt:"+store).want(h.t, exitDone, "restored to", "")
	if info, err := os.Stat(store); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		h.t.Errorf("the restored store: %v, %v, want mode 0600", info, err)
	}
	h.serve(store)
	if len(sessions) == 0 {
		h.t.Error("no sessions to look for")
	}
	for conversation, id := range sessions {
		status, s := h.call(http.MethodGet, "/api/v2/cobrowse/sessions/"+id, h.token, "")
		if status != http.StatusOK || s["conversationId"] != conversation {
			h.t.Errorf("session %s, acknowledged before the backup = %d %v", id, status, s)
		}
	}
	h.stop()
	cli(h.t, nil, "", "store", "compact", "--store", "bolt:"+store).want(h.t, exitDone, "bytes became", "")
}

func poll(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("no %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestDamagedBackupIsRefused: the store that it was to replace goes on being there.
func TestDamagedBackupIsRefused(t *testing.T) {
	t.Parallel()
	h := newBackupHouse(t)
	h.serve(h.store)
	h.create()
	backup := filepath.Join(h.dir, "backup.db")
	cli(t, []string{"COBRIDGE_ADMIN_TOKEN=" + backupToken}, "", "backup", "--admin", h.admin, "--to", backup).want(t, exitDone, "", "")
	h.create()
	h.stop()
	whole, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(h.store)
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/3] ^= 0x20
	for name, data := range map[string][]byte{"cut": whole[:len(whole)/2], "damaged": damaged, "empty": nil} {
		bad := writeFile(t, h.dir, name+".db", string(data))
		cli(t, nil, "", "restore", "--from", bad, "--to", "bolt:"+h.store, "--force").want(t, exitFailed, "", "damaged or is no store")
		cli(t, nil, "", "store", "check", "--store", "bolt:"+bad).want(t, exitFailed, "", "damaged or is no store")
	}
	cli(t, nil, "", "restore", "--from", backup, "--to", "bolt:"+h.store).want(t, exitFailed, "", "there already")
	if now, err := os.ReadFile(h.store); err != nil || !bytes.Equal(now, kept) {
		t.Errorf("the store has changed, %v", err)
	}
	cli(t, nil, "", "restore", "--from", backup, "--to", "bolt:"+h.store, "--force").want(t, exitDone, "the store that was there is now ", "")
	aside, err := filepath.Glob(h.store + ".replaced-*")
	if err != nil || len(aside) != 1 {
		t.Fatalf("kept are %v, %v, want one", aside, err)
	}
	if now, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(now, kept) {
		t.Errorf("what was kept is not what was there, %v", err)
	}
	// A stopped service's store needs nobody.
	cli(t, nil, "", "backup", "--store", "bolt:"+aside[0], "--to", filepath.Join(h.dir, "offline.db")).want(t, exitDone, "SHA-256", "")
	cli(t, nil, "", "backup", "--store", "bolt:"+h.store+"-not", "--to", filepath.Join(h.dir, "none.db")).want(t, exitFailed, "", "there is no store")
}

// A service that is cut off, or is none at all, leaves no file under the name.
func TestBackupThatIsCut(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answers := []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 5000),
		"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000),
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
		"no HTTP",
	}
	var served sync.WaitGroup
	served.Go(func() {
		for _, text := range answers {
			conn, err := ln.Accept()
			if err != nil {
				t.Errorf("Accept: %v", err)
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	})
	dir := t.TempDir()
	for _, want := range []string{"unexpected EOF", "without a seal", "302", "malformed"} {
		cli(t, nil, "", "backup", "--admin", "http://"+ln.Addr().String(), "--to", filepath.Join(dir, "backup.db")).want(t, exitFailed, "", want)
	}
	served.Wait()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left over are %v, %v", entries, err)
	}
	for _, args := range [][]string{
		{"backup", "--admin", "127.0.0.1:9090", "--to", "x"}, {"backup", "--to", "-"}, {"restore", "--from", "x", "--to", "store.db"},
	} {
		cli(t, nil, "", args...).want(t, exitUsage, "", "")
	}
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	h := newBackupHouse(t)
	h.serve(h.store)
	main, admin := strings.TrimPrefix(h.info.BaseURL, "http://"), strings.TrimPrefix(h.admin, "http://")
	poll(t, "readiness", func() bool {
		return cli(t, nil, "", "healthcheck", "--listen", main, "--admin-listen", admin).code == exitDone
	})
	cli(t, nil, "", "healthcheck", "--live", "--admin-listen", admin).want(t, exitDone, "", "")
	cli(t, nil, "", "healthcheck", "--admin-listen", strings.Replace(admin, "127.0.0.1", "0.0.0.0", 1)).want(t, exitDone, "", "")
	// With an admin address the probes are not on the main one.
	cli(t, nil, "", "healthcheck", "--listen", main).want(t, exitFailed, "", "404")
	h.stop()
	cli(t, nil, "", "healthcheck", "--admin-listen", admin).want(t, exitFailed, "", "refused")
	cli(t, nil, "", "healthcheck", "--listen", "127.0.0.1:0").want(t, exitFailed, "", "any free port")
	demo := start(t, "demo", "--listen", "127.0.0.1:0", "--json", "--tls-self-signed")
	line, err := demo.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, &h.info); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(h.info.BaseURL, "https://")
	poll(t, "readiness over TLS", func() bool {
		return cli(t, nil, "", "healthcheck", "--listen", address, "--tls-self-signed").code == exitDone
	})
}
