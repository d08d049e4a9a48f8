package cobrowse

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/cobridge/cobridge/conversations"
)

// Bounds of the page rules of one deployment.
const (
	maxPageRules    = 200
	maxURLPattern   = 1000      // characters
	maxPageRuleText = 128 << 10 // bytes of all of them together: they go to every page that is shared
)

// PageRule restricts what is shared of the pages whose address matches. Of several
// that match all hold, beside the rules of the deployment.
type PageRule struct {
	URLPattern        string   // what [CheckURLPattern] takes
	MaskSelectors     []string // CSS selectors whose content never leaves the page
	ReadonlySelectors []string // CSS selectors that a viewer cannot change or click
}

// Matches reports whether r holds on a page: its pattern matches the whole address,
// with the query, with or without the fragment, as it stands or as many servers read
// it: %63 as c, //a as /a, /a;b as /a. A pattern that is none matches every page.
func (r PageRule) Matches(address string) bool {
	pattern, err := compileURLPattern(r.URLPattern)
	return err != nil || slices.ContainsFunc(formsOfAddress(address), pattern.MatchString)
}

var (
	addressParts   = regexp.MustCompile(`(?s)^(\w+://[^/?#]*)?([^?#]*)([^#]*)(.*)$`)
	addressCode    = regexp.MustCompile(`(?i)%[\da-f]{2}`)
	pathParameters = regexp.MustCompile(`;[^/]*`)
	pathSlashes    = regexp.MustCompile(`/{2,}`)
)

// formsOfAddress returns an address with its fragment and without, and both in the one
// form that servers make of several. The customer script does the same.
func formsOfAddress(address string) []string {
	part := addressParts.FindStringSubmatch(address)
	path := pathParameters.ReplaceAllString(decodeAddress(part[2]), "")
	read := part[1] + pathSlashes.ReplaceAllString(path, "/") + decodeAddress(part[3])
	return []string{address, strings.TrimSuffix(address, part[4]), read, read + decodeAddress(part[4])}
}

// decodeAddress decodes what is printable ASCII, and would not begin another part.
func decodeAddress(part string) string {
	return addressCode.ReplaceAllStringFunc(part, func(code string) string {
		text, err := url.PathUnescape(code)
		if err != nil || text <= " " || text > "~" || strings.ContainsAny(text, "#%?") {
			return strings.ToUpper(code)
		}
		return text
	})
}

func compileURLPattern(pattern string) (*regexp.Regexp, error) {
	return regexp.Compile("^(?:" + pattern + ")$")
}

// PageRules returns the rules by address that hold on pages of d.
func (d Deployment) PageRules() []PageRule {
	return slices.Concat(d.Rules.PageRules, d.Restrictions)
}

func clonePageRules(rules []PageRule) []PageRule {
	rules = slices.Clone(rules)
	for i, r := range rules {
		rules[i].MaskSelectors, rules[i].ReadonlySelectors = slices.Clone(r.MaskSelectors), slices.Clone(r.ReadonlySelectors)
	}
	return rules
}

func samePageRules(a, b []PageRule) bool {
	return slices.EqualFunc(a, b, func(a, b PageRule) bool {
		return a.URLPattern == b.URLPattern && slices.Equal(a.MaskSelectors, b.MaskSelectors) && slices.Equal(a.ReadonlySelectors, b.ReadonlySelectors)
	})
}

// SetPageRules sets the restrictions of a deployment that come from elsewhere than
// its own settings, and reports whether they are others than before; if not, nothing
// is written. They stay when the deployment is replaced. It fails with CodeNotFound
// or, with one detail per problem, CodeConstraintValidation.
func (s *Service) SetPageRules(ctx context.Context, org conversations.OrgID, id DeploymentID, rules []PageRule) (changed bool, err error) {
	var bad problems
	checkPageRules(&bad, "pageRules", rules)
	if err := bad.err("The page rules"); err != nil {
		return false, err
	}
	s.deploymentWrite.Lock()
	defer s.deploymentWrite.Unlock()
	d, err := s.Deployment(ctx, org, id)
	if err != nil {
		return false, err
	}
	if samePageRules(d.Restrictions, rules) {
		return false, nil
	}
	d.Restrictions = clonePageRules(rules)
	if err := s.deployments.PutDeployment(ctx, d); err != nil {
		return false, fmt.Errorf("store deployment: %w", err)
	}
	s.forgetDefaults(org)
	return true, nil
}

func checkSelectors(bad *problems, field string, list []string) {
	if len(list) > maxSelectors {
		bad.add(field, "size")
	}
	for i, selector := range list {
		if strings.TrimSpace(selector) == "" || len([]rune(selector)) > maxSelector {
			bad.addf("size", "%s[%d]", field, i)
		}
	}
}

func checkPageRules(bad *problems, field string, rules []PageRule) {
	size := 0
	for i, r := range rules {
		at := fmt.Sprintf("%s[%d]", field, i)
		if len(r.URLPattern) > maxURLPattern {
			bad.add(at+".urlPattern", "size")
		} else if err := CheckURLPattern(r.URLPattern); err != nil {
			bad.add(at+".urlPattern", "pattern")
		}
		checkSelectors(bad, at+".maskSelectors", r.MaskSelectors)
		checkSelectors(bad, at+".readonlySelectors", r.ReadonlySelectors)
		size += len(r.URLPattern)
		for _, selector := range slices.Concat(r.MaskSelectors, r.ReadonlySelectors) {
			size += len(selector)
		}
	}
	if len(rules) > maxPageRules || size > maxPageRuleText {
		bad.add(field, "size")
	}
}

// CheckURLPattern returns nil for a regular expression that means the same to Go and
// to the browsers in which it is matched: literals, escapes of punctuation and of
// \d \w \s (and their opposites) \b \B \t \n \r \f \v \xHH, the dot, classes,
// groups, alternatives, ^ $ and the quantifiers * + ? {n,m}, greedy or not. Flags,
// names, look-around, back references, POSIX and Unicode classes are refused, and so
// is what is not printable ASCII, which no address that a browser tells has: it
// writes ü as %C3%BC. It has at most 1000 characters. The error says what is wrong, in words.
func CheckURLPattern(pattern string) error {
	if pattern == "" {
		return errors.New("the pattern is empty")
	}
	if len(pattern) > maxURLPattern {
		return fmt.Errorf("the pattern has more than %d characters", maxURLPattern)
	}
	if _, err := compileURLPattern(pattern); err != nil {
		if why, ok := errors.AsType[*syntax.Error](err); ok {
			return fmt.Errorf("%s: %s", why.Code, why.Expr)
		}
		return err
	}
	// Parentheses that close those that are put around it are none.
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil {
		return errors.New("unexpected )")
	}
	p := patternScan{rest: pattern}
	for p.rest != "" {
		if err := p.next(); err != nil {
			return err
		}
	}
	return nil
}

// patternScan goes through a pattern that Go understands and looks for what browsers
// understand otherwise, or not at all.
type patternScan struct {
	rest       string
	repeatable bool // what was just read may have a quantifier
}

var (
	quantifier = regexp.MustCompile(`^(?:[*+?]|\{\d+(?:,\d*)?\})\??`)
	escaped    = regexp.MustCompile(`^\\(?:[dDwWsSbBtnrfv]|x[0-9A-Fa-f]{2}|[!-/:-@\[-` + "`" + `{-~])`)
)

func (p *patternScan) next() error {
	c := p.rest[0]
	switch {
	case c <= ' ' || c > '~':
		return errors.New("only printable ASCII can be matched; write other characters as addresses have them, such as %C3%BC")
	case c == '\\':
		return p.escape()
	case c == '[':
		return p.class()
	case c == '(':
		start := "("
		if strings.HasPrefix(p.rest, "(?") {
			if start = "(?:"; !strings.HasPrefix(p.rest, start) {
				return errors.New("flags and names of groups are not supported: (?")
			}
		}
		p.take(len(start), false)
		return nil
	case strings.IndexByte("*+?{", c) >= 0:
		if m := quantifier.FindString(p.rest); m == "" {
			return errors.New("a brace that is no quantifier has to be escaped")
		} else if !p.repeatable {
			return fmt.Errorf("nothing to repeat before %s", m)
		} else {
			p.take(len(m), false)
		}
		return nil
	case c == '}' || c == ']':
		return fmt.Errorf("%c has to be escaped", c)
	}
	p.take(1, strings.IndexByte("|^$", c) < 0)
	return nil
}

func (p *patternScan) take(n int, repeatable bool) {
	p.rest, p.repeatable = p.rest[n:], repeatable
}

func (p *patternScan) escape() error {
	m := escaped.FindString(p.rest)
	if m == "" {
		return fmt.Errorf("the escape %s is not supported", p.rest[:min(2, len(p.rest))])
	}
	p.take(len(m), m != `\b` && m != `\B`)
	return nil
}

func (p *patternScan) class() error {
	start := "["
	if strings.HasPrefix(p.rest, "[^") {
		start = "[^"
	}
	p.take(len(start), false)
	for first := true; ; first = false {
		switch c := p.rest[0]; { // Go has seen that it ends
		case c <= ' ' || c > '~':
			return errors.New("only printable ASCII can be matched")
		case c == ']' && first:
			return errors.New("] has to be escaped")
		case c == ']':
			p.take(1, true)
			return nil
		case c == '[':
			return errors.New("[ within a class has to be escaped")
		case c == '\\':
			if err := p.escape(); err != nil {
				return err
			}
		default:
			p.take(1, true)
		}
	}
}
