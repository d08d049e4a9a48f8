package pages_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/bridge/testenv"
)

// patience is how long a test waits for what must come, on a busy machine.
const patience = 40 * time.Second

// chrome is a headless Chromium, driven over its DevTools protocol
// (https://chromedevtools.github.io/devtools-protocol/).
type chrome struct {
	conn *websocket.Conn

	mu      sync.Mutex
	nextID  int
	waiting map[int]chan reply
	pages   map[string]*page // by session of the protocol
	closed  error
}

type reply struct {
	ID        int             `json:"id"`
	Method    string          `json:"method"`
	SessionID string          `json:"sessionId"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	Error     *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func startChrome(t *testing.T) *chrome {
	t.Helper()
	path := testenv.Need(t, testenv.Chromium)
	dir, err := os.MkdirTemp("", "chromium") //nolint:usetesting // its children may outlive the test for a moment, and write
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--user-data-dir="+dir, "about:blank")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	lines := bufio.NewScanner(stderr)
	address := ""
	for address == "" && lines.Scan() {
		_, address, _ = strings.Cut(lines.Text(), "DevTools listening on ")
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	b := &chrome{waiting: map[int]chan reply{}, pages: map[string]*page{}}
	var reading sync.WaitGroup
	t.Cleanup(func() {
		if b.conn != nil {
			// Asked to close, it takes its children along.
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			_ = b.call(ctx, "", "Browser.close", struct{}{}, nil)
			cancel()
			reading.Wait()
			_ = b.conn.Close()
		} else {
			_ = cmd.Process.Kill()
		}
		<-drained
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	})
	if address == "" {
		t.Fatal("chromium does not listen")
	}
	conn, response, err := (&websocket.Dialer{HandshakeTimeout: patience}).DialContext(t.Context(), address, nil)
	if err != nil {
		t.Fatalf("dial chromium: %v", err)
	}
	_ = response.Body.Close()
	b.conn = conn
	reading.Go(b.read)
	return b
}

func (b *chrome) read() {
	for {
		var r reply
		if err := b.conn.ReadJSON(&r); err != nil {
			b.mu.Lock()
			b.closed = err
			for _, ch := range b.waiting {
				close(ch)
			}
			clear(b.waiting)
			b.mu.Unlock()
			return
		}
		b.mu.Lock()
		if ch, ok := b.waiting[r.ID]; ok && r.ID > 0 {
			delete(b.waiting, r.ID)
			ch <- r
		} else if p := b.pages[r.SessionID]; p != nil {
			p.hear(r)
		}
		b.mu.Unlock()
	}
}

// call sends one command and decodes its result.
func (b *chrome) call(ctx context.Context, session, method string, params, result any) error {
	ch := make(chan reply, 1)
	b.mu.Lock()
	b.nextID++
	id := b.nextID
	err := b.closed
	if err == nil {
		b.waiting[id] = ch
		err = b.conn.WriteJSON(map[string]any{"id": id, "method": method, "params": params, "sessionId": session})
	}
	b.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case r, ok := <-ch:
		switch {
		case !ok:
			return errors.New(method + ": the browser has gone")
		case r.Error != nil:
			return errors.New(method + ": " + r.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(r.Result, result)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	}
}

// profile is one person's browser: cookies and storage of its own.
type profile struct {
	t       *testing.T
	browser *chrome
	context string
}

func (b *chrome) person(t *testing.T) *profile {
	t.Helper()
	var created struct {
		ID string `json:"browserContextId"`
	}
	if err := b.call(t.Context(), "", "Target.createBrowserContext", struct{}{}, &created); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Else its pages would go on trying to connect.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = b.call(ctx, "", "Target.disposeBrowserContext", map[string]any{"browserContextId": created.ID}, nil)
	})
	return &profile{t: t, browser: b, context: created.ID}
}

// page is one tab.
type page struct {
	t       *testing.T
	browser *chrome
	session string

	mu       sync.Mutex
	problems []string // exceptions, violations of the policy, errors on the console
	requests []string
}

// look is how a page is shown; zero values are a desktop in light colours.
type look struct {
	width, height int
	dark          bool
	language      string
	block         string // addresses that never answer, with * as wildcard
}

func (p *profile) open(address string, l look) *page {
	p.t.Helper()
	var target struct {
		ID string `json:"targetId"`
	}
	var attached struct {
		ID string `json:"sessionId"`
	}
	b, ctx := p.browser, p.t.Context()
	if err := b.call(ctx, "", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": p.context}, &target); err != nil {
		p.t.Fatal(err)
	}
	if err := b.call(ctx, "", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached); err != nil {
		p.t.Fatal(err)
	}
	tab := &page{t: p.t, browser: b, session: attached.ID}
	b.mu.Lock()
	b.pages[tab.session] = tab
	b.mu.Unlock()
	if l.width == 0 {
		l.width, l.height = 1280, 800
	}
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	if l.language == "" {
		l.language = "en"
	}
	for _, c := range []struct {
		method string
		params map[string]any
	}{
		{"Page.enable", nil},
		{"Runtime.enable", nil},
		{"Log.enable", nil},
		{"Network.enable", nil},
		{"Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]any{"Accept-Language": l.language}}},
		{"Emulation.setDeviceMetricsOverride", map[string]any{"width": l.width, "height": l.height, "deviceScaleFactor": 1, "mobile": false}},
		{"Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{
			{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
		}}},
		{"Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}},
	} {
		tab.call(c.method, c.params, nil)
	}
	if l.block != "" {
		// Held, not failed: the page goes on waiting.
		tab.call("Fetch.enable", map[string]any{"patterns": []map[string]any{{"urlPattern": l.block}}}, nil)
	}
	tab.navigate(address)
	return tab
}

func (p *page) call(method string, params map[string]any, result any) {
	p.t.Helper()
	if params == nil {
		params = map[string]any{}
	}
	if err := p.browser.call(p.t.Context(), p.session, method, params, result); err != nil {
		p.t.Fatal(err)
	}
}

func (p *page) navigate(address string) {
	p.t.Helper()
	p.call("Page.navigate", map[string]any{"url": address}, nil)
	p.wait(`document.readyState === "complete" && location.protocol.startsWith("http")`)
}

// reload reloads as the person would.
func (p *page) reload() {
	p.t.Helper()
	p.eval(`window.beforeReload = true`)
	p.call("Page.reload", nil, nil)
	p.wait(`document.readyState === "complete" && !window.beforeReload`)
}

// hear notes what the browser complains about. The browser's mu is held.
func (p *page) hear(r reply) {
	var e struct {
		Entry struct {
			Source, Level, Text, URL string
		}
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Type    string
		Args    []struct{ Value any }
		Request struct{ URL string }
		URL     string
	}
	if err := json.Unmarshal(r.Params, &e); err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case r.Method == "Network.requestWillBeSent":
		p.requests = append(p.requests, e.Request.URL)
	case r.Method == "Network.webSocketCreated":
		p.requests = append(p.requests, e.URL)
	case r.Method == "Log.entryAdded" && e.Entry.Source != "network": // of which a refused request is one
		p.problems = append(p.problems, e.Entry.Source+": "+e.Entry.Text)
	case r.Method == "Runtime.exceptionThrown":
		p.problems = append(p.problems, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case r.Method == "Runtime.consoleAPICalled" && e.Type == "error":
		p.problems = append(p.problems, fmt.Sprint("console: ", e.Args))
	}
}

// quiet fails the test if the browser had something to complain about, or talked
// to anybody but the given origins.
func (p *page) quiet(origins ...string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.problems {
		p.t.Errorf("the browser complains: %s", problem)
	}
	for _, request := range p.requests {
		known := strings.HasPrefix(request, "data:")
		for _, origin := range origins {
			known = known || strings.HasPrefix(request, origin+"/") || strings.HasPrefix(request, strings.Replace(origin, "http", "ws", 1)+"/")
		}
		if !known {
			p.t.Errorf("the page asked for %s", request)
		}
	}
}

func (p *page) try(expression string) (any, error) {
	var got struct {
		Result struct {
			Value any `json:"value"`
		} `json:"result"`
		ExceptionDetails *struct {
			Text      string `json:"text"`
			Exception struct {
				Description string `json:"description"`
			} `json:"exception"`
		} `json:"exceptionDetails"`
	}
	err := p.browser.call(p.t.Context(), p.session, "Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true,
	}, &got)
	if err == nil && got.ExceptionDetails != nil {
		err = errors.New(got.ExceptionDetails.Text + " " + got.ExceptionDetails.Exception.Description)
	}
	return got.Result.Value, err
}

// eval returns what an expression is in the page.
func (p *page) eval(expression string) any {
	p.t.Helper()
	value, err := p.try(expression)
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// wait waits until an expression is true in the page, also over navigations.
func (p *page) wait(expression string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	var err error
	for time.Now().Before(deadline) {
		var value any
		value, err = p.try(`new Promise((done) => {
			const until = Date.now() + 2000;
			const look = () => { (` + expression + `) ? done(true) : Date.now() > until ? done(false) : setTimeout(look, 10); };
			look();
		})`)
		if err == nil && value == true {
			return
		}
	}
	text, _ := p.try(`document.body.dataset.screen + " | " + document.body.innerText`)
	p.t.Fatalf("waited for %s in vain (%v); the page shows: %v", expression, err, text)
}

// key presses a key.
func (p *page) key(key string, code int) {
	p.t.Helper()
	for _, kind := range []string{"keyDown", "keyUp"} {
		event := map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
		if key == "Enter" && kind == "keyDown" {
			event["text"] = "\r"
		}
		p.call("Input.dispatchKeyEvent", event, nil)
	}
}

func (p *page) screenshot() []byte {
	p.t.Helper()
	var shot struct {
		Data string `json:"data"`
	}
	p.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	data, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}
