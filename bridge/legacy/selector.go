package legacy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const maxSelectorDepth = 8 // of :not(:is(…))

// checkSelector returns nil for a list of CSS selectors that browsers understand, as
// far as can be said without one. It refuses the extensions of jQuery, which would
// make the customer script refuse to share, and pseudo-elements, which match no
// element.
func checkSelector(selector string) error {
	if strings.TrimSpace(selector) == "" {
		return errors.New("it is empty")
	}
	if len([]rune(selector)) > 1000 {
		return errors.New("it has more than 1000 characters")
	}
	p := selectorParser{rest: strings.TrimSpace(selector)}
	if err := p.list(0, false); err != nil {
		return err
	}
	if p.rest != "" {
		return fmt.Errorf("unexpected %s", quote(p.rest))
	}
	return nil
}

// The tokens of selectors (W3C Selectors Level 4, section 18). Escapes are those of
// one character that is no digit of a code.
var (
	selectorIdent  = regexp.MustCompile(`^(?:--|-?(?:[A-Za-z_]|[^\x00-\x7f]|\\[^\n\r\f0-9A-Fa-f]|\\[0-9A-Fa-f]{1,6}\s?))(?:[\w-]|[^\x00-\x7f]|\\[^\n\r\f0-9A-Fa-f]|\\[0-9A-Fa-f]{1,6}\s?)*`)
	selectorString = regexp.MustCompile(`^(?:"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')`)
	selectorSpace  = regexp.MustCompile(`^[ \t\n\r\f]+`)
	selectorCombi  = regexp.MustCompile(`^[ \t\n\r\f]*[>+~][ \t\n\r\f]*`)
	selectorTest   = regexp.MustCompile(`^[~|^$*]?=`)
	selectorCase   = regexp.MustCompile(`^[ \t\n\r\f]*[iIsS]`)
	selectorNth    = regexp.MustCompile(`^(?i:\s*(?:odd|even|[+-]?\d*n(?:\s*[+-]\s*\d+)?|[+-]?\d+)\s*)`)
)

// plainPseudo are the pseudo-classes without arguments that current browsers know.
func plainPseudo() []string {
	return []string{
		"active", "any-link", "autofill", "checked", "default", "defined", "disabled", "empty", "enabled", "first-child", "first-of-type", "focus",
		"focus-visible", "focus-within", "fullscreen", "hover", "in-range", "indeterminate", "invalid", "last-child", "last-of-type", "link", "modal",
		"only-child", "only-of-type", "optional", "out-of-range", "placeholder-shown", "read-only", "read-write", "required", "root", "scope", "target", "valid",
		"visited",
	}
}

type selectorParser struct{ rest string }

// take takes what a pattern matches at the start of the rest; "" if it does not.
func (p *selectorParser) take(pattern *regexp.Regexp) string {
	found := pattern.FindString(p.rest)
	p.rest = p.rest[len(found):]
	return found
}

func (p *selectorParser) has(c byte) bool { return p.rest != "" && p.rest[0] == c }

func (p *selectorParser) space() { p.take(selectorSpace) }

// list reads selectors with commas between them. Relative ones may begin with a
// combinator.
func (p *selectorParser) list(depth int, relative bool) error {
	if depth > maxSelectorDepth {
		return errors.New("it is nested too deep")
	}
	for {
		p.space()
		if relative {
			p.take(selectorCombi)
		}
		if err := p.complex(depth); err != nil {
			return err
		}
		if !p.has(',') {
			return nil
		}
		p.rest = p.rest[1:]
	}
}

func (p *selectorParser) complex(depth int) error {
	for {
		if err := p.compound(depth); err != nil {
			return err
		}
		combined := p.take(selectorCombi) != ""
		if !combined {
			p.space()
			combined = p.rest != "" && !p.has(',') && !p.has(')')
		}
		if !combined {
			return nil
		}
	}
}

func (p *selectorParser) compound(depth int) error {
	before := p.rest
	if p.has('*') {
		p.rest = p.rest[1:]
	} else {
		p.take(selectorIdent)
	}
	for p.rest != "" {
		switch p.rest[0] {
		case '#', '.':
			p.rest = p.rest[1:]
			if p.take(selectorIdent) == "" {
				return fmt.Errorf("no name at %s", quote(before))
			}
		case '[':
			if err := p.attribute(); err != nil {
				return err
			}
		case ':':
			if err := p.pseudo(depth); err != nil {
				return err
			}
		default:
			if len(p.rest) == len(before) {
				return fmt.Errorf("unexpected %s", quote(p.rest))
			}
			return nil
		}
	}
	if before == "" {
		return errors.New("a selector is missing")
	}
	return nil
}

func (p *selectorParser) attribute() error {
	at := p.rest
	p.rest = p.rest[1:]
	p.space()
	if p.take(selectorIdent) == "" {
		return fmt.Errorf("no attribute name at %s", quote(at))
	}
	p.space()
	if p.take(selectorTest) != "" {
		p.space()
		if p.take(selectorString) == "" && p.take(selectorIdent) == "" {
			return fmt.Errorf("no value, or one that needs quotes, at %s", quote(at))
		}
		p.take(selectorCase)
		p.space()
	}
	if !p.has(']') {
		return fmt.Errorf("no ] for %s", quote(at))
	}
	p.rest = p.rest[1:]
	return nil
}

func (p *selectorParser) pseudo(depth int) error {
	at := p.rest
	p.rest = p.rest[1:]
	if p.has(':') {
		return fmt.Errorf("%s is no element", quote(at))
	}
	name := strings.ToLower(p.take(selectorIdent))
	if !p.has('(') {
		if !slices.Contains(plainPseudo(), name) {
			return fmt.Errorf(":%s is not CSS", name)
		}
		return nil
	}
	p.rest = p.rest[1:]
	switch name {
	case "is", "not", "where", "has":
		if err := p.list(depth+1, name == "has"); err != nil {
			return err
		}
	case "nth-child", "nth-last-child", "nth-of-type", "nth-last-of-type":
		if p.take(selectorNth) == "" {
			return fmt.Errorf("not understood: %s", quote(at))
		}
	case "lang", "dir":
		p.space()
		if p.take(selectorIdent) == "" && p.take(selectorString) == "" {
			return fmt.Errorf("not understood: %s", quote(at))
		}
		p.space()
	default:
		return fmt.Errorf(":%s() is not CSS", name)
	}
	if !p.has(')') {
		return fmt.Errorf("no ) for %s", quote(at))
	}
	p.rest = p.rest[1:]
	return nil
}
