package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Viewer sees what a sharer shows. It is what the viewer's page is in a browser, with
// the agent or supervisor in front of it: its methods are what they do.
type Viewer struct {
	*stream

	// What is below is guarded by the stream's lock.
	screen  screen
	title   string
	url     string
	epoch   uint32
	next    uint64 // number of the frame that comes next
	rebuild int    // frames until the picture is whole again
	whole   bool
	asking  bool // for the picture
	number  int  // of the newest question or action
	waiting map[int]func(outcome)
}

// outcome is what came of a question or an action.
type outcome struct {
	ok  bool
	why string
}

// View lets a viewer of a session in. It returns when the server has let it in; a
// picture need not be there yet, see [Viewer.WaitText] and [Viewer.WaitPicture].
//
// It fails with an [*Error]: join.token.used, join.token.expired and others of the API,
// or the name of a close code; not.a.viewer for the one whose page is shown.
func View(ctx context.Context, o Options) (*Viewer, error) {
	v := &Viewer{waiting: map[int]func(outcome){}}
	v.stream = newStream(o, v)
	if err := v.open(ctx); err != nil {
		return nil, err
	}
	return v, nil
}

func (v *Viewer) hello(map[string]any) {}

func (v *Viewer) welcomed(w welcome) error {
	if w.CobrowseRole == "sharer" {
		return &Error{Code: "not.a.viewer", Reason: "this participant's own page is shown"}
	}
	v.whole, v.asking, v.rebuild = false, false, 0
	// What was under way may have been done, or not.
	for n, done := range v.waiting {
		delete(v.waiting, n)
		done(outcome{why: "lost"})
	}
	return nil
}

func (v *Viewer) gone(string) {}

func (v *Viewer) frame(kind string, text []byte) error {
	var f struct {
		E          uint32
		S          uint64
		K          string
		B          json.RawMessage
		From       uint64
		Frames     int
		URL, Title string
	}
	switch kind {
	case "sync", "ev", "skip", "page", "answer", "done":
	default:
		return nil
	}
	if kind == "sync" || kind == "ev" || kind == "skip" || kind == "page" {
		if err := json.Unmarshal(text, &f); err != nil {
			return badFrame(kind, err)
		}
	}
	switch kind {
	case "sync":
		v.epoch, v.next, v.rebuild, v.whole, v.asking = f.E, f.From, f.Frames, false, false
	case "skip":
		return v.count(f.E, f.S)
	case "ev":
		return v.ev(f.E, f.S, f.K == "full", f.B)
	case "page":
		v.url, v.title = f.URL, f.Title
		v.later(Event{Kind: EventPage, URL: f.URL, Title: f.Title})
	default:
		var d struct {
			N   int
			OK  bool
			Why string
		}
		if err := json.Unmarshal(text, &d); err != nil {
			return badFrame(kind, err)
		}
		if done := v.waiting[d.N]; done != nil {
			delete(v.waiting, d.N)
			done(outcome{d.OK, d.Why})
		}
	}
	return nil
}

// count notes the number of a frame; a gap asks for the picture.
func (v *Viewer) count(epoch uint32, number uint64) error {
	if epoch != v.epoch || number != v.next {
		return v.need()
	}
	v.next++
	return nil
}

func (v *Viewer) ev(epoch uint32, number uint64, full bool, events json.RawMessage) error {
	switch {
	case epoch == v.epoch && number == v.next && (v.whole || v.rebuild > 0):
	case full && (epoch > v.epoch || !v.whole && epoch == v.epoch):
		v.epoch, v.rebuild = epoch, 0 // a page that begins
	default:
		return v.need()
	}
	v.next = number + 1
	if err := v.screen.apply(events); err != nil {
		if _, ok := errors.AsType[*Error](err); ok {
			return err // asked for again it would be the same
		}
		v.rebuild = 0
		return v.need()
	}
	if v.rebuild--; v.rebuild <= 0 {
		v.rebuild, v.whole, v.asking = 0, true, false
		v.later(Event{Kind: EventPicture, URL: v.screen.href})
	}
	return nil
}

// need asks for the picture, once until it comes.
func (v *Viewer) need() error {
	v.whole = false
	if v.asking {
		return nil
	}
	v.asking = true
	return v.write("need", nil)
}

// Picture returns what is seen now; the zero value before there is a picture.
func (v *Viewer) Picture() Picture {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.picture()
}

func (v *Viewer) picture() Picture {
	p := v.screen.picture()
	p.Epoch = v.epoch
	if v.url != "" {
		p.URL = v.url
	}
	if v.title != "" {
		p.Title = v.title
	}
	return p
}

// WaitPicture waits until the picture is whole and is as ok wants it, and returns it.
func (v *Viewer) WaitPicture(ctx context.Context, ok func(Picture) bool) (Picture, error) {
	var p Picture
	err := v.wait(ctx, "the picture", func() (bool, error) {
		if !v.whole {
			return false, nil
		}
		p = v.picture()
		return ok(p), nil
	})
	if err != nil {
		return v.Picture(), err
	}
	return p, nil
}

// WaitText waits until a text can be read on the page.
func (v *Viewer) WaitText(ctx context.Context, text string) error {
	_, err := v.WaitPicture(ctx, func(p Picture) bool { return strings.Contains(p.Text, text) })
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	return nil
}

// May returns what this participant may ask for.
func (v *Viewer) May() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.may...)
}

// Ask asks the sharer for control, draw or navigate and waits for the answer: nil
// is yes, a [*RefusedError] no.
func (v *Viewer) Ask(ctx context.Context, kind string) error {
	if err := v.request(ctx, "ask", map[string]any{"kind": kind}); err != nil {
		return err
	}
	return v.WaitGrant(ctx, kind, true) // it is told beside the answer
}

// WaitGrant waits until this participant may do something, or may not any more.
func (v *Viewer) WaitGrant(ctx context.Context, kind string, may bool) error {
	return v.wait(ctx, "a change of grants", func() (bool, error) { return v.granted(kind, v.participant) == may, nil })
}

// GiveBack ends what this participant was let do; "" is all of it.
func (v *Viewer) GiveBack(kind string) error {
	if kind == "" {
		return v.send("revoke", nil)
	}
	return v.send("revoke", map[string]any{"kind": kind})
}

// request sends a numbered frame and waits for what comes of it.
func (v *Viewer) request(ctx context.Context, kind string, members map[string]any) error {
	got := make(chan outcome, 1)
	v.mu.Lock()
	v.number++
	n := v.number
	members["n"] = n
	if kind == "ctl" {
		members["e"] = v.epoch
	}
	v.waiting[n] = func(o outcome) { got <- o }
	err := v.sendLocked(kind, members)
	v.mu.Unlock()
	if err == nil {
		select {
		case o := <-got:
			if !o.ok {
				return &RefusedError{Why: o.why}
			}
			return nil
		case <-v.done:
			err = v.Err()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	v.mu.Lock()
	delete(v.waiting, n)
	v.mu.Unlock()
	return err
}

// Fill puts a text into a field, chooses in a list or sets a box ("true" or "false"),
// under the grant control. The field is named by a selector, or by its name or id
// alone. A [*RefusedError] says why it was not done.
func (v *Viewer) Fill(ctx context.Context, field, value string) error {
	return v.at(ctx, field, map[string]any{"k": "set", "v": value})
}

// Type appends a text where the caret is in a field.
func (v *Viewer) Type(ctx context.Context, field, text string) error {
	return v.at(ctx, field, map[string]any{"k": "text", "v": text})
}

// Click clicks an element.
func (v *Viewer) Click(ctx context.Context, element string) error {
	return v.at(ctx, element, map[string]any{"k": "click"})
}

// Press presses a key in an element: Backspace, Enter, Tab and the others of
// docs/protocol.md.
func (v *Viewer) Press(ctx context.Context, element, key string) error {
	return v.at(ctx, element, map[string]any{"k": "key", "key": key})
}

// Scroll scrolls the shared page to a place, in CSS pixels.
func (v *Viewer) Scroll(ctx context.Context, left, top int) error {
	v.mu.Lock()
	if v.screen.tree == nil {
		v.mu.Unlock()
		return errors.New("there is no picture yet")
	}
	id := v.screen.tree.root.id
	v.mu.Unlock()
	return v.request(ctx, "ctl", map[string]any{"k": "scroll", "id": id, "x": left, "y": top})
}

// at does something with an element of the picture.
func (v *Viewer) at(ctx context.Context, element string, members map[string]any) error {
	v.mu.Lock()
	if v.screen.tree == nil {
		v.mu.Unlock()
		return errors.New("there is no picture yet")
	}
	n, err := v.screen.tree.find(element)
	v.mu.Unlock()
	if err != nil {
		return err
	}
	members["id"] = n.id
	return v.request(ctx, "ctl", members)
}

// Goto leads the sharer to an address, under the grant navigate.
func (v *Viewer) Goto(ctx context.Context, address string) error {
	return v.request(ctx, "ctl", map[string]any{"k": "goto", "url": address})
}

// Back is the button of the sharer's browser, under the grant navigate.
func (v *Viewer) Back(ctx context.Context) error { return v.button(ctx, "back") }

// Forward is the button of the sharer's browser.
func (v *Viewer) Forward(ctx context.Context) error { return v.button(ctx, "forward") }

// Reload is the button of the sharer's browser.
func (v *Viewer) Reload(ctx context.Context) error { return v.button(ctx, "reload") }

func (v *Viewer) button(ctx context.Context, kind string) error {
	return v.request(ctx, "ctl", map[string]any{"k": kind})
}

// Draw draws a line over the page, under the grant draw: at most 128 points, in CSS
// pixels of the page's window.
func (v *Viewer) Draw(color string, points ...[2]int) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.number++
	n := v.number
	if err := v.sendLocked("draw", map[string]any{"n": n, "k": "begin", "pts": points, "color": color, "sx": v.screen.left, "sy": v.screen.top}); err != nil {
		return err
	}
	return v.sendLocked("draw", map[string]any{"n": n, "k": "end"})
}
