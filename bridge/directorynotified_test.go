package bridge_test

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// The other installation tells of the end of a conversation, before anybody would have
// polled it: sessions of an earlier run are listened for from the start.
func TestNotifiedByAnotherInstallation(t *testing.T) {
	t.Parallel()
	cloud := serve(t, filepath.Join(t.TempDir(), "cloud.db"), io.Discard)
	path := filepath.Join(t.TempDir(), "store.db")
	seldom := func(c *config.Config) { c.OAuth.Issuer, c.GenesysCloud.Poll = "https://bridge.example", time.Hour }
	first := serve(t, path, io.Discard, inCloud(cloud.base), seldom)
	_, token := first.token(config.DemoClientSecret)
	status, data := first.call(http.MethodPost, sessionsPath, token, createBody)
	session := decode[sessionBody](t, data)
	if status != http.StatusCreated {
		t.Fatalf("create: %d %s", status, data)
	}
	if err := first.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}

	log := &testenv.Buffer{}
	h := serve(t, path, log, inCloud(cloud.base), seldom)
	_, cloudToken := cloud.token(config.DemoClientSecret)
	subscribed := func() bool {
		_, data := cloud.call(http.MethodGet, "/api/v2/notifications/channels?includechannels=oauthclient", cloudToken, "")
		for _, channel := range decode[struct {
			Entities []struct {
				ID string `json:"id"`
			} `json:"entities"`
		}](t, data).Entities {
			if _, data := cloud.call(http.MethodGet, "/api/v2/notifications/channels/"+channel.ID+"/subscriptions", cloudToken, ""); strings.Contains(string(data), "v2.users."+config.DemoAgentID+".conversations") {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(20 * time.Second); !subscribed(); {
		if time.Now().After(deadline) {
			t.Fatalf("nobody has subscribed to the agent's conversations:\n%s", log.String())
		}
	}
	if status, data := cloud.call(http.MethodPost, "/api/v2/conversations/"+config.DemoConversationID+"/disconnect", cloudToken, ""); status != http.StatusAccepted {
		t.Fatalf("disconnect: %d %s", status, data)
	}
	h.until(token, session.ID, "ended")
	if strings.Contains(log.String(), "/channels/") {
		t.Error("the log has the address of a channel, which is a credential")
	}
}
