package devtools_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/devtools"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// patience is how long a test waits for what must come, on a busy machine.
const patience = 60 * time.Second

const pageText = `<!doctype html><title>t</title><input id="in" autofocus><div id="host"></div><script>
const root = document.getElementById('host').attachShadow({ mode: 'closed' });
const button = document.createElement('button');
button.textContent = 'Say yes';
button.onclick = (e) => { window.said = e.isTrusted; };
root.append(button);
fetch('/asked');
</script>`

func TestAPageIsDriven(t *testing.T) {
	t.Parallel()
	path := testenv.Need(t, testenv.Chromium)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(pageText))
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := devtools.Start(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	person, err := b.NewPerson(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	page, err := person.Open(ctx, server.URL, devtools.View{Hear: func(e devtools.Event) {
		var params struct{ Request struct{ URL string } }
		if e.Method == "Network.requestWillBeSent" && json.Unmarshal(e.Params, &params) == nil {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, params.Request.URL)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{page.Press(ctx, "Say yes"), page.Wait(ctx, `window.said === true`)} {
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := page.Eval(ctx, `document.getElementById('in').focus()`); err != nil {
		t.Error(err)
	}
	if err := page.Type(ctx, "héllo"); err != nil {
		t.Error(err)
	}
	if err := page.Wait(ctx, `document.getElementById('in').value === 'héllo'`); err != nil {
		t.Error(err)
	}
	if _, err := page.Eval(ctx, `nonsense()`); err == nil {
		t.Error("a failing expression is none")
	}
	brief, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if err := page.Press(brief, "Say no"); err == nil {
		t.Error("a button that is not there was pressed")
	}
	if shot, err := page.Screenshot(ctx); err != nil || string(shot[1:4]) != "PNG" {
		t.Errorf("Screenshot = %d bytes, %v", len(shot), err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.Contains(asked, server.URL+"/asked") {
		t.Errorf("heard of %q, want the page's request too", asked)
	}
}
