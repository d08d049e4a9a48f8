//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/cobridge/cobridge/bridge/devtools"
)

const (
	keyLimit     = 40 * time.Millisecond // p95
	pictureLimit = time.Second           // median
	scriptLimit  = 32 << 10              // bytes

	keys     = 200
	openings = 5

	browserTimeout = 5 * time.Minute
	scriptPath     = "/cobrowse/js/cobridge.js"
)

// seen is what a browser sees.
type seen struct {
	script   int64           // bytes of the customer script, compressed
	without  string          // why there is nothing below
	with     string          // the browser
	keys     []time.Duration // from a key to the viewer's field, sorted
	pictures []time.Duration // from opening the viewer's page to the last row, sorted
	elements int             // of that page
	failure  error
}

func (s *seen) missed() bool {
	return s.failure != nil || s.script > scriptLimit || s.without == "" && (quantile(s.keys, 0.95) > keyLimit || quantile(s.pictures, 0.5) > pictureLimit)
}

// browser measures what people wait for, in two windows of a headless browser.
func (h *harness) browser(ctx context.Context, binary, dir string) (out *seen, err error) {
	if !h.wants("browser") {
		return nil, nil //nolint:nilnil // not wanted
	}
	h.say("browser")
	ctx, cancel := context.WithTimeout(ctx, browserTimeout)
	defer cancel()
	shop, err := openSite(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = shop.server.Close() }()
	s, err := startLive(ctx, binary, filepath.Join(dir, "browser"), []string{shop.origin}, shop.origin+ordersPath)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	shop.script.Store(new(s.demo.BaseURL + scriptPath))
	out = &seen{elements: rowsElements}
	if out.script, err = scriptSize(ctx, s); err != nil {
		return nil, err
	}
	path, err := devtools.Find()
	if err != nil {
		out.without = err.Error()
		h.say(out.without)
		return out, nil
	}
	b, err := devtools.Start(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.Close()) }() //nolint:contextcheck // it closes whatever the context says
	if out.with, err = b.Version(ctx); err != nil {
		return nil, err
	}
	out.keys, out.failure = measureKeys(ctx, s, b, shop)
	if out.failure == nil {
		out.pictures, out.failure = measurePictures(ctx, s, b, shop)
	}
	return out, nil
}

// scriptSize returns how many bytes the customer script has for a browser that
// takes gzip; what is served was compressed as well as gzip can.
func scriptSize(ctx context.Context, s *service) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.demo.BaseURL+scriptPath, http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("get the script: %w", err)
	}
	request.Header.Set("Accept-Encoding", "gzip") // and nobody unpacks it
	response, err := s.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("get the script: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	if coding := response.Header.Get("Content-Encoding"); response.StatusCode != http.StatusOK || coding != "gzip" {
		return 0, fmt.Errorf("get the script: status %d, coding %q", response.StatusCode, coding)
	}
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return 0, fmt.Errorf("get the script: %w", err)
	}
	return n, nil
}

// shared is a page that a customer shares.
type shared struct {
	page    *devtools.Page
	session string
	joinURL string // for the agent
}

// share opens a page of the shop, shares it as a customer does, and lets an agent
// in who was told the nine digits.
func share(ctx context.Context, s *service, b *devtools.Browser, address string) (out shared, err error) {
	customer, err := b.NewPerson(ctx)
	if err != nil {
		return out, err
	}
	if out.page, err = customer.Open(ctx, address, devtools.View{}); err != nil {
		return out, err
	}
	if err := out.page.Wait(ctx, `window.Cobridge?.state === 'off'`); err != nil {
		return out, err
	}
	if _, err := out.page.Eval(ctx, `(Cobridge.start().then((made) => { window.made = made; }), true)`); err != nil {
		return out, err
	}
	if err := out.page.Press(ctx, "Allow"); err != nil {
		return out, err
	}
	if err := out.page.Wait(ctx, `window.made && ['waiting', 'live'].includes(Cobridge.state)`); err != nil {
		return out, err
	}
	digits, err := out.page.Eval(ctx, `made.sessionToken`)
	if err != nil {
		return out, err
	}
	conversations, err := s.conversations(ctx, 1)
	if err != nil {
		return out, err
	}
	body, err := json.Marshal(map[string]any{
		"sessionToken": digits, "conversationId": conversations[0], "participant": map[string]string{"userId": liveUser(0), "role": "agent"},
	})
	if err != nil {
		return out, err
	}
	var attached createdSession
	if _, err := s.call(ctx, http.MethodPost, sessionsPath+"/attach", jsonHeader, body, http.StatusCreated, &attached); err != nil {
		return out, err
	}
	out.session = attached.ID
	for _, p := range attached.Participants {
		if p.Role == "agent" {
			out.joinURL = p.JoinURL
		}
	}
	return out, nil
}

// inFrames looks for an element in the pictures of the viewer's page.
const inFrames = `[...document.querySelectorAll('iframe')].map((f) => f.contentDocument?.getElementById('%s')).find(Boolean)`

// measureKeys types into a field and takes the time until the viewer's has the
// value. Both times are taken in the pages, whose clock is the machine's: when the
// browser got the key, and when the value is set in the picture.
func measureKeys(ctx context.Context, s *service, b *devtools.Browser, shop *site) ([]time.Duration, error) {
	customer, err := share(ctx, s, b, shop.origin+ordersPath)
	if err != nil {
		return nil, fmt.Errorf("share: %w", err)
	}
	agent, err := b.NewPerson(ctx)
	if err != nil {
		return nil, err
	}
	viewer, err := agent.Open(ctx, customer.joinURL, devtools.View{})
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	field := fmt.Sprintf(inFrames, "field")
	if err := viewer.Wait(ctx, field); err != nil {
		return nil, fmt.Errorf("see the page: %w", err)
	}
	if _, err := viewer.Eval(ctx, `(() => {
		const field = `+field+`;
		const value = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value');
		window.values = [];
		Object.defineProperty(field, 'value', {
			configurable: true,
			get() { return value.get.call(this); },
			set(to) { value.set.call(this, to); values.push([to.length, performance.timeOrigin + performance.now()]); },
		});
		return true;
	})()`); err != nil {
		return nil, err
	}
	if _, err := customer.page.Eval(ctx, `(() => {
		window.keys = [];
		addEventListener('keydown', (e) => keys.push(performance.timeOrigin + e.timeStamp), true);
		document.getElementById('field').focus();
		return true;
	})()`); err != nil {
		return nil, err
	}
	for i := range keys {
		select {
		case <-time.After(humanPause(i)):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err := customer.page.Type(ctx, string('a'+rune(i%26))); err != nil {
			return nil, fmt.Errorf("type: %w", err)
		}
	}
	if err := viewer.Wait(ctx, `values.some(([length]) => length >= `+strconv.Itoa(keys)+`)`); err != nil {
		return nil, fmt.Errorf("see what was typed: %w", err)
	}
	typed, err := numbers(ctx, customer.page, `keys`)
	if err != nil {
		return nil, err
	}
	// For each key the first value that has it.
	set, err := numbers(ctx, viewer, `Array.from({ length: `+strconv.Itoa(keys)+` }, (_, i) => values.find(([length]) => length > i)[1])`)
	if err != nil {
		return nil, err
	}
	if len(typed) != keys || len(set) != keys {
		return nil, fmt.Errorf("%d keys came and %d were seen, want %d", len(typed), len(set), keys)
	}
	var took []time.Duration
	for i := range typed {
		took = append(took, millis(set[i]-typed[i]))
	}
	slices.Sort(took)
	_, err = customer.page.Eval(ctx, `Cobridge.stop()`)
	return took, errors.Join(err, agent.Close()) //nolint:contextcheck // it closes whatever the context says
}

// humanPause is the time before the next key: 80 to 160 ms, not in step with the
// screen.
func humanPause(i int) time.Duration { return time.Duration(80+(i*37)%81) * time.Millisecond }

// measurePictures opens a large page as a viewer, several times, each in a browser
// that has nothing of it, and takes the time until its last row is there.
func measurePictures(ctx context.Context, s *service, b *devtools.Browser, shop *site) ([]time.Duration, error) {
	customer, err := share(ctx, s, b, shop.origin+rowsPath)
	if err != nil {
		return nil, fmt.Errorf("share: %w", err)
	}
	var took []time.Duration
	for range openings {
		var token struct {
			JoinURL string `json:"joinUrl"`
		}
		path := sessionsPath + "/" + customer.session + "/participants/" + liveUser(0) + "/tokens"
		if _, err := s.call(ctx, http.MethodPost, path, jsonHeader, nil, http.StatusOK, &token); err != nil {
			return nil, err
		}
		one, err := openPicture(ctx, b, shop.origin, token.JoinURL)
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	slices.Sort(took)
	return took, nil
}

// openPicture opens a viewer's page and returns how long after the start of its
// navigation the last row was there.
func openPicture(ctx context.Context, b *devtools.Browser, origin, address string) (time.Duration, error) {
	agent, err := b.NewPerson(ctx)
	if err != nil {
		return 0, err
	}
	viewer, err := agent.Open(ctx, origin+blankPath, devtools.View{})
	if err != nil {
		return 0, err
	}
	look := `if (top === window) {
		const look = () => {
			if (` + fmt.Sprintf(inFrames, lastRow) + `) window.firstPicture = performance.now();
			else setTimeout(look, 4);
		};
		look();
	}`
	if err := viewer.Call(ctx, "Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": look}, nil); err != nil {
		return 0, err
	}
	if err := viewer.Navigate(ctx, address); err != nil {
		return 0, err
	}
	if err := viewer.Wait(ctx, `window.firstPicture > 0`); err != nil {
		return 0, fmt.Errorf("see the page: %w", err)
	}
	took, err := viewer.Eval(ctx, `firstPicture`)
	if err != nil {
		return 0, err
	}
	ms, _ := took.(float64)
	return millis(ms), agent.Close() //nolint:contextcheck // it closes whatever the context says
}

// numbers returns an array of the page.
func numbers(ctx context.Context, p *devtools.Page, expression string) ([]float64, error) {
	value, err := p.Eval(ctx, expression)
	if err != nil {
		return nil, err
	}
	list, _ := value.([]any)
	out := make([]float64, 0, len(list))
	for _, v := range list {
		if n, ok := v.(float64); ok {
			out = append(out, n)
		}
	}
	return out, nil
}

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
