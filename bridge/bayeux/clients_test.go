package bayeux_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// The published clients, each over each of its transports, in Node.
func TestPublishedClients(t *testing.T) {
	t.Parallel()
	node := testenv.Need(t, testenv.Node)
	dir := filepath.Join("testdata", "clients")
	testenv.NeedPackages(t, dir)
	all := []bayeux.Transport{bayeux.WebSocket, bayeux.LongPolling, bayeux.CallbackPolling}
	for _, tt := range []struct {
		story  string
		client []bayeux.Transport // that the story is told over; nil = all
		server []bayeux.Transport // nil = all
	}{
		{story: "calls"},
		{story: "roles"},
		{story: "idle"},
		{story: "forgotten"},
		{story: "goodbye"},
		{story: "acknowledged"},
		{story: "refused"},
		{story: "negotiation", client: []bayeux.Transport{bayeux.LongPolling}, server: []bayeux.Transport{bayeux.WebSocket}},
		{story: "fallback", client: []bayeux.Transport{bayeux.LongPolling}, server: []bayeux.Transport{bayeux.LongPolling}},
	} {
		if tt.client == nil {
			tt.client = all
		}
		if tt.server == nil {
			tt.server = all
		}
		t.Run(tt.story, func(t *testing.T) {
			t.Parallel()
			// Nine at a time, whatever -parallel says: they mostly wait.
			var told sync.WaitGroup
			defer told.Wait()
			for _, version := range []string{"3", "5", "9"} {
				for _, transport := range tt.client {
					h := newHouse(t, func(cfg *bayeux.Config) {
						cfg.Transports = tt.server
						cfg.Advice.Timeout = 1200 * time.Millisecond
						cfg.Limits.Close = 2 * patience // so it is the client that closes
					})
					told.Go(func() { h.tell(t, node, dir, tt.story, version, string(transport)) })
				}
			}
		})
	}
}

// tell runs one story against a server of its own, and looks at what is left.
func (h *house) tell(t *testing.T, node, dir, story, version, transport string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "stories.mjs", story, version, transport, h.base)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("told")) {
		t.Errorf("cometd %s over %s: %v\n%s\n%s", version, transport, err, out, h.log)
		return
	}
	late := time.After(patience)
	for stats := h.Stats(); stats.Clients > 0 || stats.Sockets > 0; stats = h.Stats() {
		select {
		case <-late:
			t.Errorf("cometd %s over %s left something: %+v", version, transport, stats)
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// The lock names packages and their hashes, not a machine that has them.
func TestLockNamesNoRegistry(t *testing.T) {
	t.Parallel()
	lock, err := os.ReadFile(filepath.Join("testdata", "clients", "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(lock, []byte(`"integrity": "sha512-`)) || !json.Valid(lock) {
		t.Error("package-lock.json has no hashes")
	}
	for _, text := range []string{`"resolved"`, "://"} {
		if bytes.Contains(lock, []byte(text)) {
			t.Errorf("package-lock.json has %s in it", text)
		}
	}
}
