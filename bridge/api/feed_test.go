package api_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/conversations"
)

// A conversation whose attributes are larger than any frame may be is told without them.
func TestFeedLeavesOutWhatIsTooLarge(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	channels := notify.New(notify.Config{Store: h.store, Clock: h.clock.Now, Tokens: h.oauth, Users: h.directory})
	p, err := h.oauth.Verify(t.Context(), h.token)
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	c, err := channels.Create(t.Context(), p)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	topics := []string{"v2.users." + string(ann) + ".conversations", "v2.users." + string(ann) + ".conversations.messages"}
	if _, err := channels.Subscribe(t.Context(), p, c.ID, notify.SubscribeRequest{Topics: topics}); err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	line, err := channels.Open(t.Context(), c.ID)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer line.Close()

	before, err := h.directory.Conversation(t.Context(), org, talk)
	if err != nil {
		t.Fatalf("Conversation: %v", err)
	}
	for n := range 3 { // 1.2 MiB
		large := map[string]string{}
		for i := range 100 {
			large[strconv.Itoa(n)+"-"+strconv.Itoa(i)] = strings.Repeat("x", 4096)
		}
		if err := h.directory.SetAttributes(t.Context(), org, talk, before.Participants[0].ID, large); err != nil {
			t.Fatalf("SetAttributes: %v", err)
		}
	}
	feed := api.NewFeed(api.Deps{Directory: h.directory, Sessions: h.sessions, BaseURL: baseURL}, channels, slog.New(slog.DiscardHandler))
	for range 3 { // one reading is enough for what came at once
		feed.ConversationChanged(t.Context(), org, talk)
	}
	feed.ConversationChanged(t.Context(), otherOrg, talk) // nobody there listens
	feed.ConversationChanged(t.Context(), org, "unknown") // gone in the meantime
	feed.ConversationChanged(t.Context(), org, talk2)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); feed.Run(ctx) }()
	var got []string
	for len(got) == 0 || !strings.Contains(got[len(got)-1], string(talk2)) {
		<-line.Ready()
		for _, frame := range line.Take() {
			if len(frame) > notify.MaxFrame {
				t.Errorf("a frame has %d bytes", len(frame))
			}
			got = append(got, string(frame))
		}
	}
	cancel()
	<-done
	if len(got) != 3 {
		t.Fatalf("%d frames were told, want the conversation in two topics, and the other one in one", len(got))
	}
	for _, frame := range got[:2] {
		var told struct {
			EventBody struct {
				ID           conversations.ID
				Participants []struct {
					Name       string
					Attributes map[string]string
				}
			}
		}
		if err := json.Unmarshal([]byte(frame), &told); err != nil {
			t.Fatalf("frame: %v", err)
		}
		if told.EventBody.ID != talk || len(told.EventBody.Participants) != 2 || told.EventBody.Participants[0].Name != "Kim" || len(told.EventBody.Participants[0].Attributes) > 0 {
			t.Errorf("told of %s with %d participants, the first %s with %d attributes; want all but the attributes",
				told.EventBody.ID, len(told.EventBody.Participants), told.EventBody.Participants[0].Name, len(told.EventBody.Participants[0].Attributes))
		}
	}
}
