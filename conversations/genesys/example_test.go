package genesys_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
)

// A conversation of an organisation, and what it says when that cannot be asked.
func Example() {
	cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/oauth/token":
			_, _ = io.WriteString(w, `{"access_token":"kq0","token_type":"bearer","expires_in":86400}`)
		case strings.HasPrefix(r.URL.Path, "/api/v2/conversations/"):
			_, _ = io.WriteString(w, conversation(talk, "connected"))
		default:
			http.Error(w, "out of order", http.StatusBadGateway)
		}
	}))
	defer cloud.Close()

	directory, err := genesys.New(genesys.Config{
		BaseURL: cloud.URL, ClientID: "5f1d6b0e", ClientSecret: "of that client", Organisation: org, Retries: -1, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer directory.Close()
	directory.OnEnd(func(_ context.Context, _ conversations.OrgID, id conversations.ID) { fmt.Println(id, "has ended") })

	c, err := directory.Conversation(context.Background(), org, talk)
	fmt.Println(c.Active(), c.Participants[0].Name, err)
	_, err = directory.User(context.Background(), org, ann)
	fmt.Println(genesys.ReasonOf(err))
	// Output:
	// true Kim <nil>
	// serverError
}
