package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// oldCobrowse stands in for an old Co-browse server with the history of n sessions.
// Some of its first answers are faults.
type oldCobrowse struct {
	url   string
	n     int
	ended time.Time // of the latest session; each other one ended a second before the next

	mu     sync.Mutex
	asked  map[int]int // how often for each session, since the last forget
	faulty map[int]bool
	good   int // answers
	// onGood is called with the number of good answers after each one; may be nil.
	onGood func(int)
	// special answers for some paths; may be nil.
	special map[string]http.HandlerFunc
}

func newOldCobrowse(t *testing.T, n int) *oldCobrowse {
	t.Helper()
	o := &oldCobrowse{n: n, ended: time.Now().Add(-time.Hour).Truncate(time.Millisecond), asked: map[int]int{}, faulty: map[int]bool{}, special: map[string]http.HandlerFunc{}}
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	o.url = server.URL + "/cobrowse"
	return o
}

// oldSession is the id of session i.
func oldSession(i int) string { return fmt.Sprintf("%08x-2f6e-11ef-9c1e-0242ac120002", i) }

// ids is a list of the first n sessions and of others that there are not.
func (o *oldCobrowse) ids(more ...string) string {
	var list strings.Builder
	list.WriteString("# sessions of last year\r\n\r\n")
	for i := range o.n {
		list.WriteString(oldSession(i) + "\r\n")
	}
	list.WriteString(strings.Join(more, "\n"))
	return list.String()
}

// forget begins to count anew what is asked for, and calls nobody any more.
func (o *oldCobrowse) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked, o.onGood = map[int]int{}, nil
}

// whenGood has fn called after each good answer, with their number.
func (o *oldCobrowse) whenGood(fn func(int)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onGood = fn
}

// checkNotAsked checks that nothing was asked for that is there.
func (o *oldCobrowse) checkNotAsked(t *testing.T, there map[string]client.HistoryRecord) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.asked {
		if _, ok := there[oldSession(i)]; ok {
			t.Errorf("session %d was asked for though it was there", i)
		}
	}
}

// ServeHTTP answers like the reference of the History REST API, once it is well.
func (o *oldCobrowse) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, ok := strings.CutPrefix(r.URL.Path, "/cobrowse/rest/history/sessions/")
	o.mu.Lock()
	special := o.special[id]
	o.mu.Unlock()
	if special != nil {
		special(w, r)
		return
	}
	var i int
	if _, err := fmt.Sscanf(id, "%08x-2f6e-11ef-9c1e-0242ac120002", &i); !ok || err != nil || i >= o.n || r.Method != http.MethodGet {
		http.Error(w, `{"error":"not_found"}`, http.StatusNotFound)
		return
	}
	o.mu.Lock()
	o.asked[i]++
	first := !o.faulty[i]
	o.faulty[i] = true
	o.mu.Unlock()
	body := o.record(i)
	if first && fault(i, body, w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_, _ = io.WriteString(w, body)
	o.mu.Lock()
	o.good++
	good, call := o.good, o.onGood
	o.mu.Unlock()
	if call != nil {
		call(good)
	}
}

func (o *oldCobrowse) record(i int) string {
	end := o.ended.Add(-time.Duration(i) * time.Second).UnixMilli()
	return fmt.Sprintf(`{"id":%q,"sessionToken":"%09d","creationTime":%d,"activationTime":%d,"deactivationTime":%d,"pages":[`+
		`{"url":"https://shop.example/cart?n=%d","enteredTimestamp":%d,"duration":60},{"url":"https://shop.example/checkout","enteredTimestamp":%d,"duration":40}]}`,
		oldSession(i), i, end-120_000, end-100_000, end, i, end-99_900, end-40_000)
}

// fault spoils the first answer about some sessions, and reports whether it did.
func fault(i int, body string, w http.ResponseWriter, r *http.Request) bool {
	switch {
	case i%991 == 500: // slow
		<-r.Context().Done()
	case i%97 == 3:
		http.Error(w, "out of order", http.StatusInternalServerError)
	case i%97 == 13:
		w.WriteHeader(http.StatusTooManyRequests)
	case i%97 == 23: // a reset
		panic(http.ErrAbortHandler)
	case i%97 == 33: // less than was announced
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1000))
		_, _ = io.WriteString(w, body)
	case i%97 == 43: // cut off
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body[:len(body)/2])
		panic(http.ErrAbortHandler)
	case i%997 == 53: // of a gateway, which no repeat asks again for
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>Please log in</html>")
	default:
		return false
	}
	return true
}
