package live_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/cobrowse/client/live"
)

// body is a page with one element, number 3, in which a hostile sharer may put things.
const bombBody = `[{"type":2,"data":{"node":{"type":0,"id":1,"childNodes":[{"type":2,"id":2,"tagName":"html","childNodes":[{"type":2,"id":3,"tagName":"body"}]}]}}}]`

// bomb is a mutation with n nodes, numbered from first, of which add tells parent and next.
func bomb(first, n int, add func(id int) (parent int, next string)) []byte {
	var b bytes.Buffer
	b.WriteString(`[{"type":3,"data":{"source":0,"adds":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		parent, next := add(first + i)
		fmt.Fprintf(&b, `{"parentId":%d,"nextId":%s,"node":{"type":2,"id":%d,"tagName":"i"}}`, parent, next, first+i)
	}
	b.WriteString(`]}}]`)
	return b.Bytes()
}

func wantTooLarge(t *testing.T, err error) {
	t.Helper()
	if e, ok := errors.AsType[*live.Error](err); !ok || e.Code != "tooLarge" {
		t.Errorf("a picture = %v, want tooLarge", err)
	}
}

// A page that grows into the depth would take the program's stack, which no program survives.
func TestDepthOfAPicture(t *testing.T) {
	t.Parallel()
	_, err := live.Apply([]byte(bombBody), bomb(4, 5000, func(id int) (int, string) { return id - 1, "null" }))
	wantTooLarge(t, err)
}

func TestSizeOfAPicture(t *testing.T) {
	t.Parallel()
	batches := [][]byte{[]byte(bombBody)}
	const each = 50_000
	for i := range 6 {
		batches = append(batches, bomb(4+i*each, each, func(int) (int, string) { return 3, "null" }))
	}
	_, err := live.Apply(batches...)
	wantTooLarge(t, err)
	// The same numbers again and again are as many nodes.
	batches = batches[:1]
	for range 6 {
		batches = append(batches, bomb(4, each, func(int) (int, string) { return 3, "null" }))
	}
	_, err = live.Apply(batches...)
	wantTooLarge(t, err)
}

// Additions that wait for each other are done in one go.
func TestAdditionsInTheWorstOrder(t *testing.T) {
	t.Parallel()
	const n = 30_000
	began := time.Now()
	_, err := live.Apply([]byte(bombBody), bomb(4, n, func(id int) (int, string) {
		if id == 3+n {
			return 3, "null"
		}
		return 3, strconv.Itoa(id + 1)
	}))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("%d additions took %v", n, took)
	}
}

// A picture has as many fields as anybody looks for.
func TestFieldsOfAPicture(t *testing.T) {
	t.Parallel()
	p, err := live.Apply([]byte(bombBody), bytes.ReplaceAll(bomb(4, 10_000, func(int) (int, string) { return 3, "null" }), []byte(`"i"`), []byte(`"input"`)))
	if err != nil || len(p.Fields) != 2000 {
		t.Errorf("%d fields, %v, want the first 2000", len(p.Fields), err)
	}
}

// A service that leads elsewhere does not get the join token sent there.
func TestTokenStaysWithTheService(t *testing.T) {
	t.Parallel()
	var came atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { came.Store(true) }))
	t.Cleanup(elsewhere.Close)
	service := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(service.Close)
	_, err := live.View(t.Context(), live.Options{BaseURL: service.URL, Token: "a.b.c"})
	if e, ok := errors.AsType[*live.Error](err); !ok || e.Status != http.StatusTemporaryRedirect {
		t.Errorf("View = %v, want the status of the redirect", err)
	}
	if came.Load() {
		t.Error("the token was sent elsewhere")
	}
}

// hostileStream is a service that sends one frame to whoever comes.
func hostileStream(t *testing.T, frame string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := websocket.Upgrader{Subprotocols: []string{"cobridge.v1"}}
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, _, err := conn.ReadMessage(); err == nil && conn.WriteMessage(websocket.TextMessage, []byte(frame)) == nil {
			_, _, _ = conn.ReadMessage() // until the other side has enough
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// Lists of participants are compared with each other: one with very many would take hours.
func TestParticipantsWithoutEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	peers := strings.Repeat(`{"id":"somebody","connected":false},`, 100_000)
	base := hostileStream(t, `{"t":"peers","list":[`+peers+`{"id":"me","connected":true}]}`)
	_, err := live.View(ctx, live.Options{BaseURL: base, SessionID: "s", Token: "a.b.c"})
	wantTooLarge(t, err)
}
