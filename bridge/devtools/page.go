package devtools

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Event is what the browser tells of a page: a method of the protocol, such as
// "Network.webSocketFrameSent", and its parameters.
type Event struct {
	Method string
	Params json.RawMessage
}

// View is how a page is shown; zero values are a desktop in light colours, in English.
type View struct {
	Width, Height int // CSS pixels; 1280 x 800
	Dark          bool
	Language      string // Accept-Language; "en"
	Hold          string // addresses that never answer, with * as wildcard; empty = none
	// Hear is called for each event of the page, one at a time. It must not call
	// the page. It may be nil.
	Hear func(Event)
}

// Page is one tab.
type Page struct {
	browser *Browser
	session string
	hear    func(Event)
}

// Open opens an address in a new tab and waits until it is loaded.
func (p *Person) Open(ctx context.Context, address string, v View) (*Page, error) {
	var target struct {
		ID string `json:"targetId"`
	}
	var attached struct {
		ID string `json:"sessionId"`
	}
	b := p.browser
	if err := b.call(ctx, "", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": p.context}, &target); err != nil {
		return nil, err
	}
	if err := b.call(ctx, "", "Target.attachToTarget", map[string]any{"targetId": target.ID, "flatten": true}, &attached); err != nil {
		return nil, err
	}
	page := &Page{browser: b, session: attached.ID, hear: v.Hear}
	b.mu.Lock()
	b.pages[page.session] = page
	b.mu.Unlock()
	if v.Width == 0 {
		v.Width, v.Height = 1280, 800
	}
	scheme := "light"
	if v.Dark {
		scheme = "dark"
	}
	if v.Language == "" {
		v.Language = "en"
	}
	for _, c := range []struct {
		method string
		params map[string]any
	}{
		{"Page.enable", nil},
		{"Runtime.enable", nil},
		{"Log.enable", nil},
		{"Network.enable", nil},
		{"Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]any{"Accept-Language": v.Language}}},
		{"Emulation.setDeviceMetricsOverride", map[string]any{"width": v.Width, "height": v.Height, "deviceScaleFactor": 1, "mobile": false}},
		{"Emulation.setEmulatedMedia", map[string]any{"features": []map[string]any{
			{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"},
		}}},
		{"Emulation.setFocusEmulationEnabled", map[string]any{"enabled": true}},
	} {
		if err := page.Call(ctx, c.method, c.params, nil); err != nil {
			return nil, err
		}
	}
	if v.Hold != "" {
		// Held, not failed: the page goes on waiting.
		if err := page.Call(ctx, "Fetch.enable", map[string]any{"patterns": []map[string]any{{"urlPattern": v.Hold}}}, nil); err != nil {
			return nil, err
		}
	}
	return page, page.Navigate(ctx, address)
}

// Call sends a command of the protocol to the page and decodes its result, which
// may be nil.
func (p *Page) Call(ctx context.Context, method string, params map[string]any, result any) error {
	if params == nil {
		params = map[string]any{}
	}
	return p.browser.call(ctx, p.session, method, params, result)
}

// Navigate goes to an address and waits until it is loaded.
func (p *Page) Navigate(ctx context.Context, address string) error {
	var gone struct {
		ErrorText string `json:"errorText"`
	}
	if err := p.Call(ctx, "Page.navigate", map[string]any{"url": address}, &gone); err != nil {
		return err
	}
	if gone.ErrorText != "" {
		return fmt.Errorf("open page: %s", gone.ErrorText)
	}
	return p.Wait(ctx, `document.readyState === "complete" && location.protocol.startsWith("http")`)
}

// Eval returns what a JavaScript expression is in the page, awaited, as JSON has it.
func (p *Page) Eval(ctx context.Context, expression string) (any, error) {
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
	err := p.Call(ctx, "Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true,
	}, &got)
	if err == nil && got.ExceptionDetails != nil {
		err = errors.New(got.ExceptionDetails.Text + " " + got.ExceptionDetails.Exception.Description)
	}
	return got.Result.Value, err
}

// lookAgain is the pause between looks at a page that cannot be asked, for
// instance because it is just being left.
const lookAgain = 20 * time.Millisecond

// Wait waits until an expression is true in the page, also over navigations,
// until ctx ends.
func (p *Page) Wait(ctx context.Context, expression string) error {
	for {
		// What throws later than at once, in a timer, would leave the promise open for ever.
		value, err := p.Eval(ctx, `new Promise((done, fail) => {
			const until = Date.now() + 2000;
			const look = () => {
				try { (`+expression+`) ? done(true) : Date.now() > until ? done(false) : setTimeout(look, 10); } catch (thrown) { fail(thrown); }
			};
			look();
		})`)
		if err == nil && value == true {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", expression, errors.Join(ctx.Err(), err))
		case <-time.After(lookAgain):
		}
	}
}

// Key presses a key, by its name and its Windows code.
func (p *Page) Key(ctx context.Context, key string, code int) error {
	for _, kind := range []string{"keyDown", "keyUp"} {
		event := map[string]any{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
		if key == "Enter" && kind == "keyDown" {
			event["text"] = "\r"
		}
		if err := p.Call(ctx, "Input.dispatchKeyEvent", event, nil); err != nil {
			return err
		}
	}
	return nil
}

// Type types text key by key into what has the focus.
func (p *Page) Type(ctx context.Context, text string) error {
	for _, char := range text {
		for _, event := range []map[string]any{
			{"type": "keyDown", "text": string(char), "key": string(char)}, {"type": "keyUp", "key": string(char)},
		} {
			if err := p.Call(ctx, "Input.dispatchKeyEvent", event, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// Press clicks the button with the given accessible name, also in a closed shadow
// root, where no script finds it. It waits for it until ctx ends.
func (p *Page) Press(ctx context.Context, name string) error {
	for {
		err := p.press(ctx, name)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("press %q: %w", name, errors.Join(ctx.Err(), err))
		case <-time.After(lookAgain):
		}
	}
}

func (p *Page) press(ctx context.Context, name string) error {
	var document struct {
		Root struct {
			BackendNodeID int `json:"backendNodeId"`
		} `json:"root"`
	}
	if err := p.Call(ctx, "DOM.getDocument", nil, &document); err != nil {
		return err
	}
	var found struct {
		Nodes []struct {
			Ignored          bool `json:"ignored"`
			BackendDOMNodeID int  `json:"backendDOMNodeId"`
		} `json:"nodes"`
	}
	err := p.Call(ctx, "Accessibility.queryAXTree", map[string]any{
		"backendNodeId": document.Root.BackendNodeID, "accessibleName": name, "role": "button",
	}, &found)
	if err != nil {
		return err
	}
	for _, node := range found.Nodes {
		var box struct {
			Model struct {
				Content []float64 `json:"content"`
			} `json:"model"`
		}
		if node.Ignored || p.Call(ctx, "DOM.getBoxModel", map[string]any{"backendNodeId": node.BackendDOMNodeID}, &box) != nil || len(box.Model.Content) < 8 {
			continue
		}
		c := box.Model.Content
		return p.Click(ctx, (c[0]+c[4])/2, (c[1]+c[5])/2)
	}
	return errors.New("no such button")
}

// Click clicks at a point of the viewport.
func (p *Page) Click(ctx context.Context, x, y float64) error {
	for _, kind := range []string{"mouseMoved", "mousePressed", "mouseReleased"} {
		event := map[string]any{"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
		if kind == "mouseMoved" {
			event["button"], event["clickCount"] = "none", 0
		}
		if err := p.Call(ctx, "Input.dispatchMouseEvent", event, nil); err != nil {
			return err
		}
	}
	return nil
}

// Screenshot returns a picture of what is to be seen, as PNG.
func (p *Page) Screenshot(ctx context.Context) ([]byte, error) {
	var shot struct {
		Data string `json:"data"`
	}
	if err := p.Call(ctx, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(shot.Data)
}
