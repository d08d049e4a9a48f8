package legacy

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/cobridge/cobridge/cobrowse"
)

// Bounds of a file of DOM restrictions.
const (
	maxRestrictions        = 1 << 20 // bytes
	maxRestrictionsDepth   = 16      // the documented structure has four levels
	maxRestrictionAttrs    = 32      // of an element; one or two are known
	maxRestrictionWarnings = 20

	// What a deployment takes, less the rule that masks all that is typed.
	maxRestrictionRules     = 199
	maxRestrictionSelectors = 500
	maxRestrictionText      = 127 << 10 // bytes of patterns and selectors
)

// Restrictions are the DOM restrictions of Co-browse: what is masked and locked on
// which pages.
type Restrictions struct {
	// PageRules has one for each set of the file and each of its addresses, in the
	// order of the file. Sets that restrict nothing are left out.
	PageRules []cobrowse.PageRule
	// Warnings say, with lines, what of the file was not understood and left out.
	Warnings []string
}

// ParseRestrictions reads a file of DOM restrictions. A file that is not well-formed,
// has a document type declaration, or has an address or a selector that cannot be
// followed, fails as a whole: the error says where, in words. What the file has beside
// the elements that are known is left out with a warning.
func ParseRestrictions(file []byte) (Restrictions, error) {
	if len(file) > maxRestrictions {
		return Restrictions{}, fmt.Errorf("the file has more than %d bytes", maxRestrictions)
	}
	if bytes.HasPrefix(file, []byte{0xfe, 0xff}) || bytes.HasPrefix(file, []byte{0xff, 0xfe}) {
		return Restrictions{}, errors.New("the file is in UTF-16, want UTF-8")
	}
	p := restrictionsParser{decoder: xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff"))))}
	p.decoder.CharsetReader = restrictionsCharset
	if err := p.document(); err != nil {
		line, _ := p.decoder.InputPos()
		return Restrictions{}, fmt.Errorf("line %d: %w", line, err)
	}
	return p.out, nil
}

// The names of elements and attributes. The elements with sets, addresses and kinds
// are documented; what stands in them is as it was found in files.
const (
	elementRestrictions = "domRestrictions"
	elementSet          = "restrictionsSet"
	elementAddress      = "uriTemplate"
	elementMasking      = "dataMasking"
	elementControl      = "domControl"
	elementElement      = "element"
	attributeType       = "type"
	attributePattern    = "pattern"
	attributeSelector   = "selector"
	addressRegexp       = "regexp"
)

type restrictionsParser struct {
	decoder *xml.Decoder
	depth   int
	size    int // bytes of patterns and selectors
	out     Restrictions
}

// element is one that was opened. Its text is known when its content was read.
type element struct {
	name  string
	attrs []xml.Attr
	text  strings.Builder
}

func (e *element) is(name string) bool { return strings.EqualFold(e.name, name) }

// value returns what an element says: in an attribute, or else in its text.
func (e *element) value(attribute string) string {
	for _, a := range e.attrs {
		if strings.EqualFold(a.Name.Local, attribute) {
			return strings.TrimSpace(a.Value)
		}
	}
	return strings.TrimSpace(e.text.String())
}

func (p *restrictionsParser) warn(format string, args ...any) {
	if len(p.out.Warnings) < maxRestrictionWarnings {
		line, _ := p.decoder.InputPos()
		p.out.Warnings = append(p.out.Warnings, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
	}
}

func (p *restrictionsParser) document() error {
	seen := false
	for {
		t, err := p.token()
		switch t := t.(type) {
		case xml.StartElement:
			if seen {
				return errors.New("a second element beside the first")
			}
			seen = true
			root := element{name: t.Name.Local, attrs: t.Attr}
			if !root.is(elementRestrictions) {
				return fmt.Errorf("the file is a %s, want %s", quote(root.name), elementRestrictions)
			}
			if err := p.content(&root, p.set); err != nil {
				return err
			}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return errors.New("text outside of the elements")
			}
		}
		switch {
		case errors.Is(err, io.EOF) && seen:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the file is empty")
		case err != nil:
			return err
		}
	}
}

// token reads on. Entities can only come from a declaration, which is refused, so
// nothing expands and nothing is fetched.
func (p *restrictionsParser) token() (xml.Token, error) {
	t, err := p.decoder.Token()
	if err != nil {
		if e, ok := errors.AsType[*xml.SyntaxError](err); ok {
			return nil, errors.New(e.Msg)
		}
		return nil, err
	}
	switch t := t.(type) {
	case xml.Directive:
		return nil, errors.New("document type declarations are refused")
	case xml.StartElement:
		if p.depth++; p.depth > maxRestrictionsDepth {
			return nil, fmt.Errorf("elements are nested more than %d deep", maxRestrictionsDepth)
		}
		if len(t.Attr) > maxRestrictionAttrs {
			return nil, fmt.Errorf("%s has more than %d attributes", quote(t.Name.Local), maxRestrictionAttrs)
		}
		for i, a := range t.Attr {
			if slices.ContainsFunc(t.Attr[:i], func(before xml.Attr) bool {
				return strings.EqualFold(before.Name.Local, a.Name.Local) && before.Name.Space == a.Name.Space
			}) {
				return nil, fmt.Errorf("%s has the attribute %s twice", quote(t.Name.Local), quote(a.Name.Local))
			}
		}
	case xml.EndElement:
		p.depth--
	}
	return t, nil
}

// content reads what is in an element, up to its end, and hands each element in it to
// child, which reads it up to its end.
func (p *restrictionsParser) content(in *element, child func(*element) error) error {
	for {
		t, err := p.token()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := child(&element{name: t.Name.Local, attrs: t.Attr}); err != nil {
				return err
			}
		case xml.CharData:
			in.text.Write(t)
		case xml.EndElement:
			return nil
		}
	}
}

// skip leaves an element out that nobody knows, with all that is in it.
func (p *restrictionsParser) skip(e *element) error {
	p.warn("%s is not known and left out", quote(e.name))
	return p.content(e, func(inner *element) error { return p.leave(inner) })
}

func (p *restrictionsParser) leave(e *element) error { return p.content(e, p.leave) }

func (p *restrictionsParser) set(e *element) error {
	if !e.is(elementSet) {
		return p.skip(e)
	}
	var patterns, mask, readonly []string
	err := p.content(e, func(e *element) error {
		switch {
		case e.is(elementAddress):
			pattern, err := p.address(e)
			patterns = append(patterns, pattern)
			return err
		case e.is(elementMasking):
			return p.content(e, func(e *element) error { return p.selector(e, &mask) })
		case e.is(elementControl):
			return p.content(e, func(e *element) error { return p.selector(e, &readonly) })
		}
		return p.skip(e)
	})
	if err != nil || len(mask)+len(readonly) == 0 {
		return err
	}
	if len(patterns) == 0 {
		p.warn("a %s has no %s: it holds on every page", elementSet, elementAddress)
		patterns = []string{everyPage}
	}
	for _, pattern := range patterns {
		p.out.PageRules = append(p.out.PageRules, cobrowse.PageRule{URLPattern: pattern, MaskSelectors: mask, ReadonlySelectors: readonly})
		p.size += len(pattern)
		for _, selector := range slices.Concat(mask, readonly) {
			p.size += len(selector)
		}
	}
	switch {
	case len(p.out.PageRules) > maxRestrictionRules:
		return fmt.Errorf("more than %d addresses of sets", maxRestrictionRules)
	case p.size > maxRestrictionText:
		return fmt.Errorf("addresses and selectors have more than %d bytes, those of a set once for each of its addresses", maxRestrictionText)
	case len(mask) > maxRestrictionSelectors || len(readonly) > maxRestrictionSelectors:
		return fmt.Errorf("a set has more than %d selectors of a kind", maxRestrictionSelectors)
	}
	return nil
}

// everyPage is a pattern that all addresses match.
const everyPage = ".*"

func (p *restrictionsParser) address(e *element) (string, error) {
	if err := p.content(e, p.skip); err != nil {
		return "", err
	}
	for _, a := range e.attrs {
		switch {
		case strings.EqualFold(a.Name.Local, attributeType):
			if !strings.EqualFold(strings.TrimSpace(a.Value), addressRegexp) {
				return "", fmt.Errorf("the %s %s of a %s is not known, want %s", attributeType, quote(a.Value), elementAddress, addressRegexp)
			}
		case !strings.EqualFold(a.Name.Local, attributePattern):
			p.warn("the attribute %s of a %s is not known and left out", quote(a.Name.Local), elementAddress)
		}
	}
	pattern := e.value(attributePattern)
	translated, err := translatePattern(pattern)
	if err != nil {
		return "", fmt.Errorf("the regular expression %s: %w", quote(pattern), err)
	}
	return translated, nil
}

func (p *restrictionsParser) selector(e *element, into *[]string) error {
	if !e.is(elementElement) {
		return p.skip(e)
	}
	if err := p.content(e, p.skip); err != nil {
		return err
	}
	for _, a := range e.attrs {
		if !strings.EqualFold(a.Name.Local, attributeSelector) {
			p.warn("the attribute %s of an %s is not known and left out", quote(a.Name.Local), elementElement)
		}
	}
	selector := e.value(attributeSelector)
	if err := checkSelector(selector); err != nil {
		return fmt.Errorf("the selector %s: %w", quote(selector), err)
	}
	*into = append(*into, selector)
	return nil
}

// quote shows what a file says in an error or a warning: not more of it than anybody
// reads, and nothing that a terminal acts on.
func quote(text string) string {
	if runes := []rune(text); len(runes) > 80 {
		text = string(runes[:80]) + "…"
	}
	return fmt.Sprintf("%q", text)
}

// restrictionsCharset reads the encodings besides UTF-8 that files are in.
func restrictionsCharset(charset string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(charset) {
	case "iso-8859-1", "latin1", "us-ascii", "ascii":
		raw, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		text := make([]rune, len(raw))
		for i, b := range raw {
			text[i] = rune(b)
		}
		return strings.NewReader(string(text)), nil
	default:
		return nil, fmt.Errorf("the encoding %s is not supported, want UTF-8 or ISO-8859-1", quote(charset))
	}
}
