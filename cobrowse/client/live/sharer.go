package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
)

// Sharer shows a page. It is what the customer's script is in a browser, with the
// page and the customer in one: its methods are what a customer does.
type Sharer struct {
	*stream

	// What is below is guarded by the stream's lock.
	policy  *policy
	rules   rules
	page    Page
	tree    *tree
	address *url.URL
	title   string
	left    int // scrolled by
	top     int
	focused int // node
	private int // node of which was told that it is private and has the focus
	history []Page
	at      int // in history

	epoch  uint32
	seq    uint64
	ring   []sent // not acknowledged
	broken bool   // viewers cannot follow until the next full frame
	paused bool   // by the customer
	hidden bool   // nothing is shown for now, for whatever reason

	toldPaused bool // the server believes so
}

// sent is an ev frame that may have to be sent again.
type sent struct {
	seq  uint64
	text []byte
}

// mostRing bounds the frames that are kept until they are acknowledged.
const mostRing = 200

// Share lets the sharer of a session in and shows a page. It returns when the server
// has let it in; nobody need look yet, see [Sharer.WaitPeer]. The customer agrees to
// sharing by calling it.
//
// It fails with an [*Error]: join.token.used, join.token.expired and others of the API,
// or the name of a close code; not.a.sharer if the session shows somebody else's page.
func Share(ctx context.Context, o Options, page Page) (*Sharer, error) {
	s := &Sharer{epoch: 1}
	s.stream = newStream(o, s)
	if err := s.load(page); err != nil {
		return nil, err
	}
	s.history = []Page{page}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// load makes a page the one that is shown; the lock is held, or nobody has it yet.
func (s *Sharer) load(page Page) error {
	t, address, err := page.build()
	if err != nil {
		return err
	}
	s.page, s.tree, s.address, s.left, s.top, s.focused, s.private = page, t, address, 0, 0, 0, 0
	if s.title = page.Title; s.title == "" {
		s.title = t.title()
	}
	return nil
}

func (s *Sharer) hello(first map[string]any) {
	width, height := s.page.size()
	first["epoch"], first["sdk"], first["vw"], first["vh"] = s.epoch, sdkVersion, width, height
}

func (s *Sharer) welcomed(w welcome) error {
	if w.CobrowseRole != "sharer" {
		return &Error{Code: "not.a.sharer", Reason: "the session shows somebody else's page"}
	}
	if w.Rules != nil {
		s.rules = *w.Rules
	}
	p, err := newPolicy(s.rules)
	if err != nil {
		return &Error{Code: "rules.unreadable", Reason: err.Error()}
	}
	s.policy, s.private, s.toldPaused = p, 0, w.State == "paused"
	if err := s.say("consent", map[string]any{"kind": "sharing", "ok": true}); err != nil {
		return err
	}
	if err := s.look(); err != nil {
		return err
	}
	// What is missing is sent again; if that is not there, a new epoch begins.
	from := uint64(0)
	if w.Have.E == s.epoch {
		from = w.Have.S
	}
	s.acknowledged(from)
	again := s.seq > 0 && !s.broken && w.Have.E <= s.epoch && (len(s.ring) > 0 && s.ring[0].seq == from+1 || len(s.ring) == 0 && s.seq == from)
	if !again {
		if w.Have.E >= s.epoch || s.seq > 0 {
			s.epoch = max(s.epoch, w.Have.E) + 1
		}
		s.begin()
		return s.full()
	}
	for _, frame := range s.ring {
		if err := s.noLoss(s.writeText(frame.text)); err != nil {
			return err
		}
	}
	return nil
}

// begin starts the numbers of an epoch.
func (s *Sharer) begin() { s.seq, s.ring, s.broken = 0, nil, false }

func (s *Sharer) acknowledged(upTo uint64) {
	s.ring = slices.DeleteFunc(s.ring, func(one sent) bool { return one.seq <= upTo })
}

func (s *Sharer) frame(kind string, text []byte) error {
	switch kind {
	case "ack":
		var f struct {
			E uint32
			S uint64
		}
		if err := json.Unmarshal(text, &f); err != nil {
			return badFrame(kind, err)
		}
		if f.E == s.epoch {
			s.acknowledged(f.S)
		}
	case "need":
		return s.full()
	case "ask":
		return s.asked(text)
	case "ctl":
		return s.act(text)
	}
	return nil
}

func (s *Sharer) gone(string) {}

// look tells where the customer is: the page, or that nothing is shown of it.
func (s *Sharer) look() error {
	why := ""
	switch {
	case s.paused:
		why = "customer"
	case s.policy.paused(s.address):
		why = "page"
	}
	if s.hidden = why != ""; s.hidden {
		s.toldPaused = true
		if err := s.say("pause", map[string]any{"on": true, "why": why}); err != nil {
			return err
		}
		return s.say("page", map[string]any{"url": "", "title": ""})
	}
	if s.toldPaused {
		s.toldPaused = false
		if err := s.say("pause", map[string]any{"on": false, "why": "customer"}); err != nil {
			return err
		}
	}
	return s.say("page", map[string]any{"url": s.address.Scheme + "://" + s.address.Host + s.address.EscapedPath(), "title": cut(s.told(), 200)})
}

// told is the title as it may be told.
func (s *Sharer) told() string {
	hidden := false
	s.tree.root.each(func(n *node) bool {
		if n.kind == kindElement && n.name == "title" {
			hidden = s.policy.hidesText(n, s.policy.of(n, s.address))
			return false
		}
		return true
	})
	if hidden || s.policy.TextMode == "private" {
		return ""
	}
	return s.title
}

func (s *Sharer) record() recorder { return recorder{policy: s.policy, address: s.address} }

func (s *Sharer) now() int64 { return s.opts.Clock().UnixMilli() }

// full sends the whole page.
func (s *Sharer) full() error {
	if s.policy == nil || s.hidden {
		return nil
	}
	if s.broken { // whatever viewers have, a new epoch is right
		s.epoch++
		s.begin()
	}
	width, height := s.page.size()
	return s.ev("full", s.record().full(s.tree, width, height, s.left, s.top, s.now()))
}

// events sends changes.
func (s *Sharer) events(events ...object) error {
	if s.policy == nil || s.hidden || s.broken {
		return nil
	}
	if s.seq == 0 {
		return s.full()
	}
	return s.ev("", events)
}

// ev sends or keeps one frame of the picture.
func (s *Sharer) ev(mark string, events []object) error {
	s.seq++
	head := `{"t":"ev","e":` + strconv.FormatUint(uint64(s.epoch), 10) + `,"s":` + strconv.FormatUint(s.seq, 10) + `,"c":` + strconv.FormatInt(s.now(), 10)
	if mark != "" {
		head += `,"k":"` + mark + `"`
	}
	text := append([]byte(head+`,"b":`), encode(events)...)
	text = append(text, '}')
	s.ring = append(s.ring, sent{s.seq, text})
	if len(s.ring) > mostRing {
		s.ring = s.ring[len(s.ring)-mostRing:]
	}
	if !s.in {
		return nil // it goes when the connection is back
	}
	return s.noLoss(s.writeText(text))
}

// say sends a frame of which nothing is lost with the connection: what it says is
// said again after the next welcome.
func (s *Sharer) say(kind string, members map[string]any) error {
	if !s.in {
		return nil
	}
	return s.noLoss(s.write(kind, members))
}

// noLoss leaves a broken connection to the one who reads from it.
func (s *Sharer) noLoss(err error) error {
	if e, ok := errors.AsType[*Error](err); ok && e.Status == 0 {
		s.in = false
		if s.conn != nil {
			_ = s.conn.Close()
		}
		return nil
	}
	return err
}

// asked answers a viewer.
func (s *Sharer) asked(text []byte) error {
	var f struct {
		N                int
		From, Name, Role string
		Kind             string
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return badFrame("ask", err)
	}
	ok := s.opts.Decide != nil && s.opts.Decide(Request{Kind: f.Kind, Participant: f.From, Name: f.Name, Role: f.Role})
	s.later(Event{Kind: EventAsked, Participant: f.From, Role: f.Role, What: f.Kind, OK: ok})
	return s.say("consent", map[string]any{"kind": f.Kind, "ok": ok, "to": f.From, "n": f.N})
}

// do runs one thing that the customer does.
func (s *Sharer) do(act func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	return act()
}

// Navigate shows another page, as a link or the address bar does.
func (s *Sharer) Navigate(page Page) error {
	return s.do(func() error { return s.navigate(page) })
}

func (s *Sharer) navigate(page Page) error {
	if err := s.load(page); err != nil {
		return err
	}
	s.history = append(s.history[:s.at+1], page)
	s.at++
	return s.loaded()
}

// loaded tells of a page that has just been loaded: its nodes are others, so an
// epoch begins.
func (s *Sharer) loaded() error {
	s.epoch++
	s.begin()
	if !s.in {
		s.broken = true
		return nil
	}
	if err := s.look(); err != nil {
		return err
	}
	return s.full()
}

// Set is what the customer types into a field, chooses in a list (by value or text)
// or sets of a box ("true" or "false"). The field is named by a selector, or by its
// name or id alone.
func (s *Sharer) Set(field, value string) error {
	return s.do(func() error {
		n, err := s.tree.find(field)
		if err != nil {
			return err
		}
		if err := s.focus(n); err != nil {
			return err
		}
		if why := s.assign(n, value); why != "" {
			return fmt.Errorf("%q cannot hold %q", field, value)
		}
		return s.changedField(n)
	})
}

// Text changes what stands in an element.
func (s *Sharer) Text(element, text string) error {
	return s.do(func() error {
		n, err := s.tree.find(element)
		if err != nil {
			return err
		}
		var removes []object
		for _, c := range slices.Clone(n.children) {
			removes = append(removes, object{"parentId": n.id, "id": c.id})
			s.tree.remove(c)
		}
		fresh := &node{kind: kindText, text: text, parent: n}
		n.children = []*node{fresh}
		s.tree.add(fresh)
		if n.name == "title" {
			s.title = n.label()
		}
		r := s.record()
		if s.policy == nil {
			return nil
		}
		f := s.policy.of(n, s.address)
		if f&blocked != 0 {
			return nil
		}
		return s.events(r.mutation(s.now(), r.adds(fresh, f), removes))
	})
}

// Append adds HTML at the end of an element.
func (s *Sharer) Append(element, more string) error {
	return s.do(func() error {
		n, err := s.tree.find(element)
		if err != nil {
			return err
		}
		fresh, err := fragment(n.name, more)
		if err != nil {
			return err
		}
		var adds []object
		r := s.record()
		for _, c := range fresh {
			c.parent = n
			n.children = append(n.children, c)
			s.tree.add(c)
			c.each(func(inner *node) bool {
				inner.setDefaults()
				return true
			})
			if s.policy == nil {
				continue
			}
			f := s.policy.of(n, s.address)
			if f&blocked == 0 {
				adds = append(adds, r.adds(c, f)...)
			}
		}
		if len(adds) == 0 {
			return nil
		}
		return s.events(r.mutation(s.now(), adds, nil))
	})
}

// Scroll scrolls the page to a place, in CSS pixels.
func (s *Sharer) Scroll(left, top int) error {
	return s.do(func() error { return s.scroll(left, top) })
}

func (s *Sharer) scroll(left, top int) error {
	s.left, s.top = max(0, left), max(0, top)
	return s.events(event(eventIncremental, s.now(), object{"source": sourceScroll, "id": s.tree.root.id, "x": s.left, "y": s.top}))
}

// Value returns what a field really holds, or the text of another element: what a
// viewer has done shows here.
func (s *Sharer) Value(field string) (string, error) {
	value := ""
	err := s.do(func() error {
		n, err := s.tree.find(field)
		switch {
		case err != nil:
			return err
		case n.isBox():
			value = strconv.FormatBool(n.checked)
		case n.isField():
			value = n.value
		default:
			value = n.readText()
		}
		return nil
	})
	return value, err
}

// WaitValue waits until a field holds a value.
func (s *Sharer) WaitValue(ctx context.Context, field, value string) error {
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		got, err := s.Value(field)
		if err != nil || got == value {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait until %s is %q, it is %q: %w", field, value, got, ctx.Err())
		}
	}
}

// URL returns the address of the page that is shown.
func (s *Sharer) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address.String()
}

// Pause shows nothing until Resume.
func (s *Sharer) Pause() error { return s.setPaused(true) }

// Resume goes on after Pause.
func (s *Sharer) Resume() error { return s.setPaused(false) }

func (s *Sharer) setPaused(on bool) error {
	return s.do(func() error {
		if s.paused == on {
			return nil
		}
		s.paused = on
		if !s.in {
			return nil
		}
		if err := s.look(); err != nil {
			return err
		}
		return s.full()
	})
}

// Allow lets a participant do something (control, draw or navigate) that it has not
// asked for. In most sessions it is an answer, see [Options].Decide.
func (s *Sharer) Allow(kind, participant string) error {
	return s.send("consent", map[string]any{"kind": kind, "ok": true, "to": participant})
}

// Revoke takes back what was allowed: control, draw or navigate; "" is all of it.
func (s *Sharer) Revoke(kind string) error {
	if kind == "" {
		return s.send("revoke", nil)
	}
	return s.send("revoke", map[string]any{"kind": kind})
}
