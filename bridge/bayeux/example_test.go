package bayeux_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/web"
)

func Example() {
	log := slog.New(slog.DiscardHandler)
	server := bayeux.New(bayeux.Config{Clock: time.Now, Log: log})
	server.HandleService("/service/greet", func(ctx context.Context, client bayeux.Client, data json.RawMessage) (any, error) {
		var in struct{ Name string }
		if err := json.Unmarshal(data, &in); err != nil || in.Name == "" {
			return nil, &bayeux.Error{Code: 400, Text: "Who is it?"}
		}
		// With ctx it goes out after the answer.
		if err := server.Deliver(ctx, client.ID, "/service/news", map[string]string{"weather": "fine"}); err != nil {
			return nil, err
		}
		return map[string]string{"hello": in.Name}, nil
	})
	app := web.NewApp(web.Config{Clock: time.Now, Log: log})
	server.Mount(app, "/cometd")

	post := func(body string) string {
		answer, err := app.Test(httptest.NewRequest(http.MethodPost, "/cometd", strings.NewReader(body)), 5000)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = answer.Body.Close() }()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	var replies []struct{ ClientID string }
	handshake := post(`{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}`)
	if err := json.Unmarshal([]byte(handshake), &replies); err != nil {
		fmt.Println(err)
		return
	}
	call := `{"id":"2","channel":"/service/greet","clientId":"` + replies[0].ClientID + `","data":{"name":"%s"}}`
	for _, name := range []string{"Kim Customer", ""} {
		fmt.Println(strings.ReplaceAll(post(fmt.Sprintf(call, name)), "},{", "},\n{"))
	}
	// Output:
	// [{"id":"2","channel":"/service/greet","successful":true},
	// {"id":"2","channel":"/service/greet","data":{"hello":"Kim Customer"}},
	// {"channel":"/service/news","data":{"weather":"fine"}}]
	// [{"id":"2","channel":"/service/greet","successful":false,"error":"400::Who is it?"}]
}
