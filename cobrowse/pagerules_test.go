package cobrowse_test

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
)

// goodPatterns, each with addresses that it matches and, after "", others.
func goodPatterns() map[string][]string {
	return map[string][]string{
		`.*`: {"https://shop.example/", "https://shop.example/?a#b"},
		`https://shop\.example/checkout.*`: {
			"https://shop.example/checkout", "https://shop.example/checkout?step=2", "https://shop.example/checkout#done",
			"", "https://shopXexample/checkout", "x https://shop.example/checkout", "https://shop.example/", "https://shop.example/#https://shop.example/checkout",
		},
		`https?://[a-z0-9.-]+(:\d{1,5})?/(pay|card)/[^/?]+(\?.*)?`: {"http://a.example:8080/pay/1?x", "https://a.example/card/a", "", "https://a.example/pay/", "https://A.example/pay/1"},
		`a|b`:             {"a", "b", "", "ab", "ac", "xb"},
		`^a$`:             {"a", "", "b"},
		`\ba\b[^\/\]\-]*`: {"a", "a.b", "", "a/b", "a]", "a-"},
		`a{2}b{1,}c{0,2}`: {"aab", "aabbbcc", "", "ab", "aabccc"},
		`a*?b+?c??`:       {"b", "aabbc", "", "a"},
		`(?:a(b|))+`:      {"a", "aba", "", "b"},
		`\x41\_\:\-\/`:    {"A_:-/", "", "a_:-/"},
		`[\w-]+[+--]`:     {"a-b,", "a+", "", "a"},
		`[\d\D][^\s]\S`:   {"abc", "", "ab"},
		`[a-c-e]`:         {"b", "-", "e", "", "d"},
		`.*\.(?:x|)`:      {"a.x", "a.", "", "a"},
	}
}

func TestURLPattern(t *testing.T) {
	t.Parallel()
	for pattern, addresses := range goodPatterns() {
		if err := cobrowse.CheckURLPattern(pattern); err != nil {
			t.Errorf("CheckURLPattern(%q) = %v", pattern, err)
		}
		want := true
		for _, address := range addresses {
			if address == "" {
				want = false
				continue
			}
			if got := (cobrowse.PageRule{URLPattern: pattern}).Matches(address); got != want {
				t.Errorf("%q matches %q: %v, want %v", pattern, address, got, want)
			}
		}
	}
	if !(cobrowse.PageRule{URLPattern: "("}).Matches("a") {
		t.Error("a rule whose pattern is none leaves pages out")
	}
}

// Those of the customer script's own test.
func TestAddressesThatServersReadAlike(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, rest string
		want          bool
	}{
		{`/checkout(/.*)?(\?.*)?`, "%63heckout", true},
		{`/checkout(/.*)?(\?.*)?`, "/checkout", true},
		{`/checkout(/.*)?(\?.*)?`, "checkout%2Fcard", true},
		{`/checkout(/.*)?(\?.*)?`, ";x/checkout", true},
		{`/checkout(/.*)?(\?.*)?`, "checkout;jsessionid=1?a", true},
		{`/checkout(/.*)?(\?.*)?`, "checkout/;a=b//card", true},
		{`/checkout(/.*)?(\?.*)?`, "CHECKOUT", false},
		{`/checkout(/.*)?(\?.*)?`, "basket?x=//checkout", false},
		{`/checkout(/.*)?(\?.*)?`, "%2563heckout", false},
		{`/checkout(/.*)?(\?.*)?`, "%", false},
		{`/checkout(/.*)?(\?.*)?`, "#/checkout", false},
		{`.*/app[^#]*#/orders.*`, "app#/orders/1", true},
		{`.*/app[^#]*#/orders.*`, "app?x#/%6Frders", true},
		{`.*/app[^#]*#/orders.*`, "app#/order", false},
		{`.*[?]step=2`, "basket?%73tep=2", true},
		{`.*[?]step=2`, "basket%3Fstep=2", false},
		{`.*/gr%C3%BCn`, "gr%c3%bcn", true},
		{`.*/a%2Db`, "a%2Db", true},
		{`.*/a%2Db`, "a-b", false},
		{`.*/a_o`, "%61%5f%6F", true},
	} {
		pattern := tt.pattern
		if pattern[0] == '/' {
			pattern = `https://shop\.example` + pattern
		}
		if got := (cobrowse.PageRule{URLPattern: pattern}).Matches("https://shop.example/" + tt.rest); got != tt.want {
			t.Errorf("%q matches %q: %v, want %v", pattern, tt.rest, got, tt.want)
		}
	}
}

func TestURLPatternThatIsNone(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"", "(", ")", "a)(b", "a)|(b", "[", "[]", "[]a]", "[^]a]", "a]", "a}", "a{", "a{,3}", "a{x}", "{1}", "*", "a**", "a*+", "a{2}{3}", "a{2}*", "^*", "$+", `\b?`, "|*", "(*a)", "(?:+)",
		"(?i)a", "(?P<n>a)", "(?<n>a)", "(?=a)", "(?!a)", "(?<=a)", "(?s:.)", `\1`, `\0`, `\07`, `\A`, `\z`, `\Z`, `\Qa\E`, `\pL`, `\p{Lu}`, `\PL`, `\C`, `\a`, `\e`, `\h`, `\x4`, `\x{41}`, `\u0041`, `\cA`, `\k`,
		"[[:alpha:]]", "[a[b]]", `[\b]`, `[\p{L}]`, `[a-\d]`, "ä", `\ä`, "[ä]", " ", "a b", "a\n", "a\\", "a\x00", "\xff", "a{1001}",
	} {
		if err := cobrowse.CheckURLPattern(pattern); err == nil {
			t.Errorf("CheckURLPattern(%q) = nil, want an error", pattern)
		}
	}
}

// scriptMatch asks a JavaScript engine what the customer script asks.
const scriptMatch = `
const ask = JSON.parse(require('fs').readFileSync(0, 'utf8'));
console.log(JSON.stringify(ask.map(({pattern, address}) => {
	try { return [address, address.split('#')[0]].some((form) => new RegExp('^(?:' + pattern + ')$').test(form)); } catch (error) { return String(error); }
})));`

type question struct {
	Pattern string `json:"pattern"`
	Address string `json:"address"`
}

// inJavaScript answers questions with node.
func inJavaScript(t *testing.T, ask []question) []any {
	t.Helper()
	node := testenv.Need(t, testenv.Node)
	in, err := json.Marshal(ask)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "-e", scriptMatch)
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("node: %v", err)
	}
	var answers []any
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(ask) {
		t.Fatalf("node answers %d of %d questions (%v)", len(answers), len(ask), err)
	}
	return answers
}

// A pattern that is taken means the same to Go and to JavaScript: those of the tables,
// and every one of up to four pieces that are put together here.
func TestURLPatternInJavaScript(t *testing.T) {
	t.Parallel()
	pieces := []string{"a", "-", ".", `\d`, `\b`, "[", "^", "]", "(", "(?:", ")", "|", "*", "?", "{1}", "{", "}", "$", `\-`}
	var patterns []string
	var grow func(string, int)
	grow = func(start string, left int) {
		if cobrowse.CheckURLPattern(start) == nil {
			patterns = append(patterns, start)
		}
		for _, piece := range pieces {
			if left > 0 {
				grow(start+piece, left-1)
			}
		}
	}
	grow("", 4)
	if len(patterns) < 1000 {
		t.Fatalf("%d patterns are taken, want some thousand", len(patterns))
	}
	addresses := []string{"", "a", "-", "aa", "a-", "-a", "1", "a1", "^", "]", ")", "aaa", "a#b"}
	var ask []question
	for _, p := range patterns {
		for _, a := range addresses {
			ask = append(ask, question{p, a})
		}
	}
	for p, list := range goodPatterns() {
		for _, a := range list {
			ask = append(ask, question{p, a})
		}
	}
	for i, got := range inJavaScript(t, ask) {
		if want := (cobrowse.PageRule{URLPattern: ask[i].Pattern}).Matches(ask[i].Address); got != want {
			t.Errorf("%q on %q: JavaScript says %v, Go %v", ask[i].Pattern, ask[i].Address, got, want)
		}
	}
}

func FuzzURLPattern(f *testing.F) {
	for pattern := range goodPatterns() {
		f.Add(pattern, "https://shop.example/pay")
	}
	f.Add(`a)(b`, "ab")
	f.Fuzz(func(t *testing.T, pattern, address string) {
		if len(pattern) > 1000 {
			return
		}
		if cobrowse.CheckURLPattern(pattern) != nil {
			return
		}
		if strings.ContainsFunc(pattern, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q is taken, which is not printable ASCII", pattern)
		}
		_ = cobrowse.PageRule{URLPattern: pattern}.Matches(address)
	})
}

func siteRules(selector string) []cobrowse.PageRule {
	return []cobrowse.PageRule{{URLPattern: `https://shop\.example/.*`, MaskSelectors: []string{selector}, ReadonlySelectors: []string{"#b"}}}
}

func TestSetPageRules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	d, err := h.CreateDeployment(ctx, cobrowse.Deployment{OrgID: org, Name: "Shop", AllowedOrigins: []string{"https://shop.example"}, Rules: cobrowse.SharingRules{PageRules: siteRules(".own")}})
	if err != nil {
		t.Fatal(err)
	}
	set := func(rules []cobrowse.PageRule, want bool) {
		t.Helper()
		if changed, err := h.SetPageRules(ctx, org, d.ID, rules); err != nil || changed != want {
			t.Errorf("SetPageRules = %v, %v, want %v", changed, err, want)
		}
	}
	holds := func(want ...string) {
		t.Helper()
		got, err := h.Deployment(ctx, org, d.ID)
		if err != nil {
			t.Fatal(err)
		}
		var selectors []string
		for _, r := range got.PageRules() {
			selectors = append(selectors, r.MaskSelectors...)
		}
		if diff := cmp.Diff(want, selectors); diff != "" {
			t.Errorf("what holds (-want +got):\n%s", diff)
		}
	}
	holds(".own")
	mine := siteRules(".file")
	set(mine, true)
	mine[0].MaskSelectors[0] = ".changed later"
	holds(".own", ".file")
	set(siteRules(".file"), false)

	// Whoever replaces the deployment replaces what is its own.
	d.Rules.PageRules, d.Restrictions = nil, siteRules(".by hand")
	if _, err := h.UpdateDeployment(ctx, d); err != nil {
		t.Fatal(err)
	}
	holds(".file")
	if _, err := h.CreateDeployment(ctx, d); err != nil {
		t.Fatal(err)
	}
	holds(".file")
	set(nil, true)
	set(nil, false)
	holds()

	if _, err := h.SetPageRules(ctx, "another", d.ID, nil); cobridge.CodeOf(err) != cobridge.CodeNotFound {
		t.Errorf("SetPageRules of another organisation = %v, want %s", err, cobridge.CodeNotFound)
	}
	tooMany := slices.Repeat(siteRules(".x"), 201)
	tooLong := []cobrowse.PageRule{{URLPattern: ".*", MaskSelectors: slices.Repeat([]string{strings.Repeat("x", 1000)}, 140)}}
	for name, bad := range map[string]struct {
		rules []cobrowse.PageRule
		field string
	}{
		"pattern":        {[]cobrowse.PageRule{{URLPattern: "("}}, "pageRules[0].urlPattern"},
		"long pattern":   {[]cobrowse.PageRule{{URLPattern: strings.Repeat("a", 1001)}}, "pageRules[0].urlPattern"},
		"empty selector": {append(siteRules(".x"), cobrowse.PageRule{URLPattern: ".*", ReadonlySelectors: []string{" "}}), "pageRules[1].readonlySelectors[0]"},
		"too many":       {tooMany, "pageRules"},
		"too long":       {tooLong, "pageRules"},
	} {
		_, err := h.SetPageRules(ctx, org, d.ID, bad.rules)
		e, ok := errors.AsType[*cobridge.Error](err)
		if !ok || e.Code != cobridge.CodeConstraintValidation || len(e.Details) != 1 || e.Details[0].FieldName != bad.field {
			t.Errorf("%s: SetPageRules = %+v, want a detail about %s", name, err, bad.field)
		}
	}
	holds()
}

// Neither who replaces a deployment nor who sets its restrictions undoes the other.
func TestSetPageRulesRace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d, err := h.CreateDeployment(t.Context(), cobrowse.Deployment{OrgID: org, Name: "Shop", AllowedOrigins: []string{"https://shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := h.UpdateDeployment(context.WithoutCancel(t.Context()), d); err != nil {
				t.Errorf("UpdateDeployment = %v", err)
			}
		})
	}
	if _, err := h.SetPageRules(t.Context(), org, d.ID, siteRules(".file")); err != nil {
		t.Errorf("SetPageRules = %v", err)
	}
	wg.Wait()
	got, err := h.Deployment(t.Context(), org, d.ID)
	if err != nil || len(got.Restrictions) != 1 {
		t.Errorf("after all the deployment has %v (%v), want the one restriction", got.Restrictions, err)
	}
}
