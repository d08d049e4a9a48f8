package live

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Mask stands in place of a hidden value, whatever its length.
const Mask = "••••••••"

// wordMask stands in place of each word where texts are hidden.
const wordMask = "••••"

// rules are the deployment's, as welcome carries them.
type rules struct {
	TextMode             string      `json:"textMode"`
	MaskSelectors        []string    `json:"maskSelectors"`
	ShowSelectors        []string    `json:"showSelectors"`
	BlockSelectors       []string    `json:"blockSelectors"`
	NeverShowSelectors   []string    `json:"neverShowSelectors"`
	ReadonlySelectors    []string    `json:"readonlySelectors"`
	PauseCriteria        []pauseRule `json:"pauseCriteria"`
	PageRules            []pageRule  `json:"pageRules"`
	AllowedOrigins       []string    `json:"allowedOrigins"`
	AllowAgentNavigation bool        `json:"allowAgentNavigation"`
	AllowAgentSubmit     bool        `json:"allowAgentSubmit"`
	ControlMode          string      `json:"controlMode"`
	ControlSelectors     []string    `json:"controlSelectors"`
}

type pauseRule struct {
	URLFragment string `json:"urlFragment"`
	Condition   string `json:"condition"`
}

type pageRule struct {
	URLPattern        string   `json:"urlPattern"`
	MaskSelectors     []string `json:"maskSelectors"`
	ReadonlySelectors []string `json:"readonlySelectors"`
}

// policy is what may leave the page, as the customer's script judges it: values of
// fields stay unless a rule shows them, and no rule shows a password or the number
// of a card.
type policy struct {
	rules
	mask, show, block, never, readonly, control selector
	pages                                       []heldRule
}

type heldRule struct {
	pattern        *regexp.Regexp
	mask, readonly selector
}

// newPolicy reads rules. One that hides and cannot be read is an error: better
// nothing is shared than too much.
func newPolicy(r rules) (*policy, error) {
	p := &policy{rules: r}
	for _, list := range []struct {
		into  *selector
		first string
		more  []string
		must  bool
	}{
		{&p.mask, "[data-cb-mask]", r.MaskSelectors, true},
		{&p.show, "[data-cb-show]", r.ShowSelectors, false},
		{&p.block, "[data-cb-block]", append(r.BlockSelectors, ".rr-block"), true},
		{&p.never, "", r.NeverShowSelectors, true},
		{&p.readonly, "[data-cb-readonly]", r.ReadonlySelectors, true},
		{&p.control, "", r.ControlSelectors, false},
	} {
		all, err := parseAll(append([]string{list.first}, list.more...), list.must)
		if err != nil {
			return nil, err
		}
		*list.into = all
	}
	for _, rule := range r.PageRules {
		pattern, err := regexp.Compile("^(?:" + rule.URLPattern + ")$")
		if err != nil {
			return nil, fmt.Errorf("page rule %q: %w", rule.URLPattern, err)
		}
		held := heldRule{pattern: pattern}
		if held.mask, err = parseAll(rule.MaskSelectors, true); err != nil {
			return nil, err
		}
		if held.readonly, err = parseAll(rule.ReadonlySelectors, true); err != nil {
			return nil, err
		}
		p.pages = append(p.pages, held)
	}
	return p, nil
}

func parseAll(texts []string, must bool) (selector, error) {
	var all selector
	for _, text := range texts {
		if text == "" {
			continue
		}
		one, err := parseSelector(text)
		if err != nil && must {
			return nil, err
		}
		all = append(all, one...)
	}
	return all, nil
}

// What the rules say of an element, and of everything in it.
type flags uint8

const (
	masked flags = 1 << iota
	shown
	blocked
	edited
	locked // readonly
)

// of returns what holds for a node by its own rules and those of what it stands in.
func (p *policy) of(n *node, address *url.URL) flags {
	var f flags
	for ; n != nil; n = n.parent {
		f |= p.own(n, address)
	}
	return f
}

func (p *policy) own(n *node, address *url.URL) flags {
	if n.kind != kindElement {
		return 0
	}
	var f flags
	for _, rule := range []struct {
		selector selector
		flag     flags
	}{{p.mask, masked}, {p.never, masked}, {p.show, shown}, {p.block, blocked}, {p.readonly, locked}} {
		if rule.selector.matches(n) {
			f |= rule.flag
		}
	}
	if editable, ok := n.attrs["contenteditable"]; ok && editable != "false" {
		f |= edited
	}
	for _, held := range p.pages {
		if !held.holds(address) {
			continue
		}
		if held.mask.matches(n) {
			f |= masked
		}
		if held.readonly.matches(n) {
			f |= locked
		}
	}
	return f
}

func (h heldRule) holds(address *url.URL) bool {
	whole := address.String()
	bare, _, _ := strings.Cut(whole, "#")
	return h.pattern.MatchString(whole) || h.pattern.MatchString(bare)
}

var secretFill = regexp.MustCompile(`(?i)(^|\s)(cc-|one-time-code|(current|new)-password)`)

// isNever tells whether a field is on the list that no rule undoes.
func isNever(n *node) bool {
	if n.name == "option" || n.name == "optgroup" {
		if s := n.closest("select"); s != nil {
			n = s
		}
	}
	if !n.isField() {
		return false
	}
	t := n.fieldType()
	return t == "password" || t == "hidden" || secretFill.MatchString(n.attrs["autocomplete"])
}

// hidesValue tells whether the value of a field stays on the page.
func (p *policy) hidesValue(n *node, f flags) bool {
	return isNever(n) || f&shown == 0 || f&(masked|blocked) != 0
}

// hidesText tells whether a text stays there; n is the element around it.
func (p *policy) hidesText(n *node, f flags) bool {
	if f&(masked|blocked) != 0 {
		return true
	}
	if (p.TextMode == "private" || f&edited != 0) && f&shown == 0 {
		return true
	}
	return n != nil && n.closest("select", "textarea", "datalist") != nil && p.hidesValue(n, f)
}

// isPrivate tells whether viewers may not even touch an element.
func (p *policy) isPrivate(n *node, address *url.URL) bool {
	return isNever(n) || p.of(n, address)&(masked|blocked) != 0
}

// maskValue is what is told of a value that is hidden.
func maskValue(value string) string {
	if value == "" {
		return ""
	}
	return Mask
}

var word = regexp.MustCompile(`\S+`)

// maskText is what is told of a text that is hidden.
func (p *policy) maskText(text string, f flags, inField bool) string {
	switch {
	case strings.TrimSpace(text) == "":
		return text
	case p.TextMode == "private" && f&(masked|edited) == 0 && !inField:
		return word.ReplaceAllString(text, wordMask)
	default:
		return Mask
	}
}

// paused tells whether nothing is shared of a page with this address.
func (p *policy) paused(address *url.URL) bool {
	whole := address.String()
	origin := address.Scheme + "://" + address.Host
	var forms []string
	for _, form := range []string{whole, strings.TrimPrefix(whole, origin)} {
		forms = append(forms, form)
		if i := strings.IndexAny(form, "?#"); i >= 0 {
			forms = append(forms, form[:i])
		}
	}
	is := func(fits func(form, part string) bool, part string) bool {
		for _, form := range forms {
			if fits(form, part) {
				return true
			}
		}
		return false
	}
	for _, rule := range p.PauseCriteria {
		part, hit := rule.URLFragment, true // one that is not known pauses
		switch strings.ToLower(rule.Condition) {
		case "includes":
			hit = strings.Contains(whole, part)
		case "doesnotinclude":
			hit = !strings.Contains(whole, part)
		case "startswith":
			hit = is(strings.HasPrefix, part)
		case "endswith":
			hit = is(strings.HasSuffix, part)
		case "equals":
			hit = is(func(form, part string) bool { return form == part }, part)
		}
		if hit {
			return true
		}
	}
	return false
}
