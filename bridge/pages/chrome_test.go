package pages_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/devtools"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// patience is how long a test waits for what must come, on a busy machine.
const patience = 40 * time.Second

// chrome is a headless Chromium.
type chrome struct{ *devtools.Browser }

func startChrome(t *testing.T) *chrome {
	t.Helper()
	b, err := devtools.Start(t.Context(), testenv.Need(t, testenv.Chromium))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	return &chrome{b}
}

// profile is one person's browser: cookies and storage of its own.
type profile struct {
	*devtools.Person

	t *testing.T
}

func (b *chrome) person(t *testing.T) *profile {
	t.Helper()
	p, err := b.NewPerson(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // else its pages would go on trying to connect
	return &profile{Person: p, t: t}
}

// page is one tab, which fails its test when something goes wrong.
type page struct {
	*devtools.Page

	t *testing.T

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
	tab := &page{t: p.t}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	var err error
	tab.Page, err = p.Open(ctx, address, devtools.View{
		Width: l.width, Height: l.height, Dark: l.dark, Language: l.language, Hold: l.block, Hear: tab.hear,
	})
	if err != nil {
		p.t.Fatalf("open %s: %v", strings.SplitN(address, "?", 2)[0], err) // a query may have a token
	}
	return tab
}

func (p *page) call(method string, params map[string]any) {
	p.t.Helper()
	if err := p.Call(p.t.Context(), method, params, nil); err != nil {
		p.t.Fatal(err)
	}
}

func (p *page) navigate(address string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.Navigate(ctx, address); err != nil {
		p.t.Fatal(err)
	}
}

// reload reloads as the person would.
func (p *page) reload() {
	p.t.Helper()
	p.eval(`window.beforeReload = true`)
	p.call("Page.reload", nil)
	p.wait(`document.readyState === "complete" && !window.beforeReload`)
}

// hear notes what the browser complains about.
func (p *page) hear(r devtools.Event) {
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

func (p *page) try(expression string) (any, error) { return p.Eval(p.t.Context(), expression) }

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
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if err := p.Wait(ctx, expression); err != nil {
		text, _ := p.try(`document.body.dataset.screen + " | " + document.body.innerText`)
		p.t.Fatalf("%v; the page shows: %v", err, text)
	}
}

// key presses a key.
func (p *page) key(key string, code int) {
	p.t.Helper()
	if err := p.Key(p.t.Context(), key, code); err != nil {
		p.t.Fatal(err)
	}
}

func (p *page) screenshot() []byte {
	p.t.Helper()
	data, err := p.Screenshot(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return data
}
