package live

import (
	"fmt"
	"slices"
	"strings"
)

// selector is a list of CSS selectors, of which one has to match: names, ids,
// classes and attributes, inside (a b) or directly in (a > b) others.
type selector []complexSelector

// complexSelector is a chain of compounds; the last one is the element's own.
type complexSelector []compound

type compound struct {
	direct bool // in the one before, and not merely inside it
	name   string
	id     string
	class  []string
	attrs  []attrTest
}

type attrTest struct {
	name, op, value string
}

// parseSelector reads a selector. Pseudo-classes and siblings are not known here.
func parseSelector(text string) (selector, error) {
	var all selector
	p := &selectorReader{rest: strings.TrimSpace(text)}
	for {
		one, err := p.complex()
		if err != nil {
			return nil, fmt.Errorf("selector %q: %w", text, err)
		}
		all = append(all, one)
		if p.rest == "" {
			return all, nil
		}
		p.rest = strings.TrimSpace(p.rest[1:]) // the comma
	}
}

type selectorReader struct{ rest string }

func (p *selectorReader) complex() (complexSelector, error) {
	var chain complexSelector
	direct := false
	for {
		one, err := p.compound()
		if err != nil {
			return nil, err
		}
		one.direct = direct
		chain = append(chain, one)
		trimmed := strings.TrimLeft(p.rest, " \t\n")
		switch {
		case trimmed == "" || trimmed[0] == ',':
			p.rest = trimmed
			return chain, nil
		case trimmed[0] == '>':
			direct, p.rest = true, strings.TrimLeft(trimmed[1:], " \t\n")
		case trimmed != p.rest:
			direct, p.rest = false, trimmed
		default:
			return nil, fmt.Errorf("%q is not understood", p.rest)
		}
	}
}

func (p *selectorReader) compound() (compound, error) {
	var c compound
	before := p.rest
	if name := p.word(); name != "" {
		c.name = strings.ToLower(name)
	} else {
		p.rest = strings.TrimPrefix(p.rest, "*")
	}
	for p.rest != "" {
		switch p.rest[0] {
		case '#':
			p.rest = p.rest[1:]
			if c.id = p.word(); c.id == "" {
				return c, fmt.Errorf("no id at %q", before)
			}
		case '.':
			p.rest = p.rest[1:]
			class := p.word()
			if class == "" {
				return c, fmt.Errorf("no class at %q", before)
			}
			c.class = append(c.class, class)
		case '[':
			test, err := p.attr()
			if err != nil {
				return c, err
			}
			c.attrs = append(c.attrs, test)
		default:
			if p.rest == before {
				return c, fmt.Errorf("%q is not understood", p.rest)
			}
			return c, nil
		}
	}
	if p.rest == before {
		return c, fmt.Errorf("%q is not understood", before)
	}
	return c, nil
}

func (p *selectorReader) word() string {
	n := strings.IndexFunc(p.rest, func(r rune) bool {
		return r < 0x80 && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	})
	if n < 0 {
		n = len(p.rest)
	}
	word := p.rest[:n]
	p.rest = p.rest[n:]
	return word
}

func (p *selectorReader) attr() (attrTest, error) {
	inside, after, ok := strings.Cut(p.rest[1:], "]")
	if !ok {
		return attrTest{}, fmt.Errorf("%q has no end", p.rest)
	}
	p.rest = after
	name, value, has := strings.Cut(inside, "=")
	t := attrTest{name: strings.ToLower(strings.TrimSpace(name))}
	if has {
		t.op = "="
		if n := len(t.name); n > 0 && strings.IndexByte("^$*~|", t.name[n-1]) >= 0 {
			t.op, t.name = t.name[n-1:]+"=", t.name[:n-1]
		}
		value = strings.TrimSpace(value)
		if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		t.value = value
	}
	if t.name == "" {
		return t, fmt.Errorf("%q names no attribute", inside)
	}
	return t, nil
}

func (s selector) matches(n *node) bool {
	return n != nil && n.kind == kindElement && slices.ContainsFunc(s, func(c complexSelector) bool { return c.matches(n) })
}

func (c complexSelector) matches(n *node) bool {
	last := c[len(c)-1]
	if !last.matches(n) {
		return false
	}
	if len(c) == 1 {
		return true
	}
	for up := n.parent; up != nil && up.kind == kindElement; up = up.parent {
		if c[:len(c)-1].matches(up) {
			return true
		}
		if last.direct {
			break
		}
	}
	return false
}

func (c compound) matches(n *node) bool {
	if c.name != "" && c.name != n.name || c.id != "" && c.id != n.attrs["id"] {
		return false
	}
	classes := strings.Fields(n.attrs["class"])
	for _, class := range c.class {
		if !slices.Contains(classes, class) {
			return false
		}
	}
	for _, t := range c.attrs {
		have, ok := n.attrs[t.name]
		if !ok || !t.fits(have) {
			return false
		}
	}
	return true
}

func (t attrTest) fits(have string) bool {
	switch t.op {
	case "=":
		return have == t.value
	case "^=":
		return t.value != "" && strings.HasPrefix(have, t.value)
	case "$=":
		return t.value != "" && strings.HasSuffix(have, t.value)
	case "*=":
		return t.value != "" && strings.Contains(have, t.value)
	case "~=":
		return slices.Contains(strings.Fields(have), t.value)
	case "|=":
		return have == t.value || strings.HasPrefix(have, t.value+"-")
	default:
		return true
	}
}

// find returns the element that a name stands for: a selector, or the bare name or
// id of a field.
func (t *tree) find(name string) (*node, error) {
	s, err := parseSelector(name)
	if err != nil {
		return nil, err
	}
	var found, named *node
	t.root.each(func(n *node) bool {
		if n.isField() && (n.attrs["name"] == name || n.attrs["id"] == name) && named == nil {
			named = n
		}
		if s.matches(n) && found == nil {
			found = n
		}
		return true
	})
	if named != nil {
		return named, nil
	}
	if found == nil {
		return nil, fmt.Errorf("%q is not on the page", name)
	}
	return found, nil
}
