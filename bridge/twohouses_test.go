package bridge_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
)

// Of a conversation that ends in another installation, which plays the cloud, this one
// hears over a notification channel.
func TestEndsAreToldBetweenInstallations(t *testing.T) {
	t.Parallel()
	cloud := serve(t, filepath.Join(t.TempDir(), "cloud.db"), io.Discard)
	store := filepath.Join(t.TempDir(), "store.db")
	h := serve(t, store, io.Discard, inCloud(cloud.base))
	_, token := h.token(config.DemoClientSecret)
	_, cloudToken := cloud.token(config.DemoClientSecret)
	status, data := h.call(http.MethodPost, sessionsPath, token, createBody)
	if status != http.StatusCreated {
		t.Fatalf("create: %d %s", status, data)
	}
	session := decode[sessionBody](t, data)
	// Started again it finds the session, listens, and looks for itself ten minutes later:
	// long after this test has given up.
	if err := h.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	h = serve(t, store, io.Discard, inCloud(cloud.base), func(c *config.Config) { c.GenesysCloud.Poll = 10 * time.Minute })
	_, token = h.token(config.DemoClientSecret)
	for deadline := time.Now().Add(20 * time.Second); ; {
		_, text := cloud.call(http.MethodGet, "/metrics", "", "")
		if strings.Contains(string(text), "cobridge_notifications_connections 1") {
			break // what happens before it has subscribed, it finds when it has
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody listens to the other installation")
		}
	}
	if status, data := cloud.call(http.MethodPost, "/api/v2/conversations/"+config.DemoConversationID+"/disconnect", cloudToken, ""); status != http.StatusAccepted {
		t.Fatalf("disconnect: %d %s", status, data)
	}
	h.until(token, session.ID, "ended")
}
