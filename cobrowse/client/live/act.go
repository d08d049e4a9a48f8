package live

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// action is what a viewer wants done in the page.
type action struct {
	N    int    `json:"n"`
	E    uint32 `json:"e"`
	K    string `json:"k"`
	ID   int    `json:"id"`
	V    string `json:"v"`
	Key  string `json:"key"`
	X    int    `json:"x"`
	Y    int    `json:"y"`
	URL  string `json:"url"`
	From string `json:"from"`
}

// mostText bounds what one action writes, in characters.
const mostText = 4096

// act does what a viewer wants, or says why not, as the customer's script does.
func (s *Sharer) act(text []byte) error {
	var a action
	if err := json.Unmarshal(text, &a); err != nil {
		return badFrame("ctl", err)
	}
	path, then, why := "", (func() error)(nil), ""
	err := s.perform(a, &path, &then)
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		why, err = refused.Why, nil
	}
	if err != nil {
		return err
	}
	done := map[string]any{"to": a.From, "n": a.N, "ok": why == "", "path": path}
	if why != "" {
		done["why"] = why
	}
	s.later(Event{Kind: EventAction, Participant: a.From, What: a.K, OK: why == "", Why: why, Path: path})
	if err := s.say("done", done); err != nil || then == nil {
		return err
	}
	return then() // leaves the page, when the answer is on its way
}

func refuse(why string) error { return &RefusedError{Why: why} }

// perform does one action; a *RefusedError says why not.
func (s *Sharer) perform(a action, path *string, then *func() error) error {
	away := slices.Contains([]string{"back", "forward", "reload", "goto"}, a.K)
	need := Control
	if away {
		need = Navigate
	}
	switch {
	case s.hidden || !s.granted(need, a.From):
		return refuse("denied")
	case a.E != s.epoch:
		return refuse("stale")
	case away:
		return s.leave(a, then)
	}
	if a.ID == 0 {
		a.ID = s.focused
	}
	n := s.tree.byID[a.ID]
	if n != nil && n.kind == kindText {
		n = n.parent
	}
	if n == nil {
		return refuse("gone")
	}
	if n.kind == kindElement {
		*path = n.path()
		if err := s.touchable(n, a.K); err != nil {
			return err
		}
	} else if a.K != "scroll" {
		return refuse("gone")
	}
	if utf8.RuneCountInString(a.V) > mostText {
		return refuse("error")
	}
	switch a.K {
	case "click", "dbl":
		return s.click(n, then)
	case "text":
		return s.typed(n, n.value+a.V)
	case "set":
		if why := s.assign(n, a.V); why != "" {
			return refuse(why)
		}
		return errors.Join(s.focus(n), s.changedField(n))
	case "key":
		return s.press(n, a.Key, then)
	case "scroll":
		return s.scroll(a.X, a.Y)
	default:
		return refuse("error")
	}
}

// touchable refuses what viewers may not touch: the element, and the field that its
// label stands for.
func (s *Sharer) touchable(n *node, kind string) error {
	f := s.policy.of(n, s.address)
	if kind == "scroll" {
		if f&blocked != 0 {
			return refuse("masked")
		}
		return nil
	}
	for _, e := range []*node{n, s.labelled(n)} {
		if e == nil {
			continue
		}
		if s.policy.isPrivate(e, s.address) {
			return refuse("masked")
		}
		_, disabled := e.attrs["disabled"]
		_, readonly := e.attrs["readonly"]
		if s.policy.of(e, s.address)&locked != 0 || disabled || readonly && kind != "click" && kind != "dbl" {
			return refuse("readonly")
		}
		if e.fieldType() == "file" {
			return refuse("unsafe")
		}
	}
	if s.rules.ControlMode == "fieldsOnly" {
		field := n.isField() && n.fieldType() != "submit" && n.fieldType() != "image" && n.fieldType() != "button" && n.fieldType() != "reset"
		for up := n; up != nil && !field; up = up.parent {
			field = up.name == "label" || up.name == "option" || up.attrs["role"] == "tab" || s.policy.control.matches(up)
		}
		if !field {
			return refuse("denied")
		}
	}
	return nil
}

// labelled is the field that a label around n stands for.
func (s *Sharer) labelled(n *node) *node {
	label := n.closest("label")
	if label == nil {
		return nil
	}
	var field *node
	find := func(root *node, fits func(*node) bool) {
		root.each(func(c *node) bool {
			if field == nil && c.isField() && fits(c) {
				field = c
			}
			return field == nil
		})
	}
	if id := label.attrs["for"]; id != "" {
		find(s.tree.root, func(c *node) bool { return c.attrs["id"] == id })
		return field
	}
	find(label, func(*node) bool { return true })
	return field
}

func (s *Sharer) click(n *node, then *func() error) error {
	if link := n.closest("a", "area"); link != nil && link.attrs["href"] != "" {
		return s.follow(link.attrs["href"], then)
	}
	button := n.closest("button", "input")
	if button != nil && button.closest("form") != nil && !s.rules.AllowAgentSubmit {
		t := strings.ToLower(button.attrs["type"])
		if button.name == "button" && (t == "" || t == "submit") || button.name == "input" && (t == "submit" || t == "image") {
			return refuse("submit")
		}
	}
	field := n
	if !field.isField() {
		field = s.labelled(n)
	}
	if err := s.focus(n); err != nil || field == nil || !field.isBox() {
		return err
	}
	if field.fieldType() == "checkbox" || !field.checked {
		s.check(field, !field.checked)
		return s.changedField(field)
	}
	return nil
}

// check sets a box; of radio buttons with one name, one is on.
func (s *Sharer) check(field *node, on bool) {
	if on && field.fieldType() == "radio" {
		s.tree.root.each(func(c *node) bool {
			if c.isField() && c.fieldType() == "radio" && c.attrs["name"] == field.attrs["name"] && c.closest("form") == field.closest("form") {
				c.checked = false
			}
			return true
		})
	}
	field.checked = on
}

// follow goes where a link or the viewer leads, if that is allowed.
func (s *Sharer) follow(href string, then *func() error) error {
	to, err := s.address.Parse(href)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" {
		return refuse("unsafe")
	}
	origin := func(u *url.URL) string { return u.Scheme + "://" + u.Host }
	if origin(to) != origin(s.address) && !slices.Contains(s.rules.AllowedOrigins, origin(to)) {
		return refuse("offsite")
	}
	*then = func() error {
		if s.opts.Site == nil {
			return nil
		}
		if page, ok := s.opts.Site(to.String()); ok {
			return s.navigate(page)
		}
		return nil
	}
	return nil
}

// leave is the browser's own way to other pages.
func (s *Sharer) leave(a action, then *func() error) error {
	if !s.rules.AllowAgentNavigation {
		return refuse("denied")
	}
	move := map[string]int{"back": -1, "forward": 1, "reload": 0}
	if a.K == "goto" {
		return s.follow(a.URL, then)
	}
	to := s.at + move[a.K]
	*then = func() error {
		if to < 0 || to >= len(s.history) {
			return nil
		}
		s.at = to
		if err := s.load(s.history[to]); err != nil {
			return err
		}
		return s.loaded()
	}
	return nil
}

// assign gives a field a value and returns why it cannot.
func (s *Sharer) assign(n *node, value string) (why string) {
	switch {
	case n.name == "select":
		options := n.options()
		i := slices.IndexFunc(options, func(o *node) bool {
			own, ok := o.attrs["value"]
			return o.label() == value || ok && own == value
		})
		if number, ok := strings.CutPrefix(value, "#"); ok { // viewers see labels, not values
			if at, err := strconv.Atoi(number); err == nil {
				i = at
			}
		}
		if i < 0 || i >= len(options) {
			return "error"
		}
		if _, disabled := options[i].attrs["disabled"]; disabled {
			return "error"
		}
		n.choose(options[i])
	case n.isBox():
		s.check(n, value == "true")
	case n.isText() || n.fieldType() == "range" || n.fieldType() == "color":
		if most, err := strconv.Atoi(n.attrs["maxlength"]); err == nil && most >= 0 {
			if letters := []rune(value); len(letters) > most {
				value = string(letters[:most])
			}
		}
		n.value = value
	default:
		return "error"
	}
	return ""
}

func (s *Sharer) typed(n *node, value string) error {
	if !n.isText() {
		return refuse("error")
	}
	s.assign(n, value)
	return errors.Join(s.focus(n), s.changedField(n))
}

// press is what a browser does for a key. The caret is always at the end.
func (s *Sharer) press(n *node, key string, then *func() error) error {
	letters := []rune(n.value)
	switch key {
	case "Backspace":
		if n.isText() && len(letters) > 0 {
			return s.typed(n, string(letters[:len(letters)-1]))
		}
	case "Enter":
		if n.name == "textarea" {
			return s.typed(n, n.value+"\n")
		}
		if n.name == "a" || n.name == "button" || n.name == "summary" {
			return s.click(n, then)
		}
	case "Tab":
		return s.focus(s.next(n))
	case "Escape", "Delete", "Home", "End", "ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight":
	default:
		return refuse("denied")
	}
	return nil
}

// next is the element that Tab leads to.
func (s *Sharer) next(n *node) *node {
	var first, found *node
	passed := false
	s.tree.root.each(func(c *node) bool {
		if c.kind == kindElement && (c.isField() && c.fieldType() != "hidden" || c.name == "button" || c.name == "a" && c.attrs["href"] != "") {
			if first == nil {
				first = c
			}
			if passed && found == nil {
				found = c
			}
			passed = passed || c == n
		}
		return true
	})
	if found == nil {
		return first
	}
	return found
}

// focus moves the focus; of a private field is told that it has it, and no more.
func (s *Sharer) focus(n *node) error {
	if n == nil || !n.isField() && n.name != "a" && n.name != "button" || s.focused == n.id {
		return nil
	}
	was := s.focused
	s.focused = n.id
	if s.policy == nil || s.hidden {
		return nil
	}
	secret := 0
	if s.policy.isPrivate(n, s.address) && s.policy.of(n, s.address)&blocked == 0 {
		secret = n.id
	}
	if secret != s.private && s.in {
		id := secret
		if id == 0 {
			id = s.private
		}
		s.private = secret
		if err := s.say("focus", map[string]any{"e": s.epoch, "id": id, "masked": secret != 0}); err != nil {
			return err
		}
	}
	const focusType, blurType = 5, 6
	mouse := func(kind, id int) object {
		return event(eventIncremental, s.now(), object{"source": sourceMouse, "type": kind, "id": id, "x": 0, "y": 0})
	}
	var events []object
	if old := s.tree.byID[was]; old != nil && !s.policy.isPrivate(old, s.address) {
		events = append(events, mouse(blurType, was))
	}
	if secret == 0 {
		events = append(events, mouse(focusType, n.id))
	}
	if len(events) == 0 {
		return nil
	}
	return s.events(events...)
}

// changedField tells viewers what a field holds now, and radio buttons beside it.
func (s *Sharer) changedField(n *node) error {
	if s.policy == nil || s.policy.of(n, s.address)&blocked != 0 {
		return nil
	}
	r := s.record()
	events := []object{r.input(n, s.now())}
	if n.fieldType() == "radio" {
		s.tree.root.each(func(c *node) bool {
			if c != n && c.isField() && c.fieldType() == "radio" && c.attrs["name"] == n.attrs["name"] && c.closest("form") == n.closest("form") {
				events = append(events, r.input(c, s.now()))
			}
			return true
		})
	}
	return s.events(events...)
}
