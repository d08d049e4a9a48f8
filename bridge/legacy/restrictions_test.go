package legacy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/cobrowse"
)

// sampleRestrictions is the documented example.
func sampleRestrictions(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "restrictions.xml"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func sampleRules() []cobrowse.PageRule {
	return []cobrowse.PageRule{
		{URLPattern: `https://shop\.example/checkout.*`, MaskSelectors: []string{"#cardNumber", ".balance"}, ReadonlySelectors: []string{"button.place-order"}},
		{URLPattern: ".*", ReadonlySelectors: []string{"[type=submit]"}},
	}
}

// setOf is a file with one set for some addresses.
func setOf(pattern, mask string) string {
	return `<domRestrictions><restrictionsSet><uriTemplate type="regexp" pattern="` + pattern + `"/><dataMasking><element selector="` + mask + `"/></dataMasking></restrictionsSet></domRestrictions>`
}

func manyAttributes(n int) string {
	var list strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&list, "a%d='' ", i)
	}
	return list.String()
}

func escapeXML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\n", "&#10;").Replace(s)
}

func TestParseRestrictions(t *testing.T) {
	t.Parallel()
	mask := func(pattern string, selectors ...string) []cobrowse.PageRule {
		return []cobrowse.PageRule{{URLPattern: pattern, MaskSelectors: selectors}}
	}
	for name, tt := range map[string]struct {
		file     string
		want     []cobrowse.PageRule
		warnings []string
	}{
		"the documented example":  {file: string(sampleRestrictions(t)), want: sampleRules()},
		"no sets":                 {file: `<domRestrictions/>`},
		"no sets, with all of it": {file: "\ufeff<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"yes\"?>\n<!-- none -->\n<?editor x?>\n<domRestrictions>\n</domRestrictions>\n<!-- end -->\n"},
		"an empty set":            {file: `<domRestrictions><restrictionsSet><uriTemplate pattern=".*"/><dataMasking/></restrictionsSet></domRestrictions>`},
		"other case": {
			file: `<DOMRestrictions><RestrictionsSet><URITemplate Type="RegExp" Pattern=".*"/><DataMasking><Element Selector=".a"/></DataMasking></RestrictionsSet></DOMRestrictions>`,
			want: mask(".*", ".a"),
		},
		"a namespace": {
			file: `<x:domRestrictions xmlns:x="urn:x"><x:restrictionsSet><x:uriTemplate pattern=".*"/><x:dataMasking><x:element selector=".a"/></x:dataMasking></x:restrictionsSet></x:domRestrictions>`,
			want: mask(".*", ".a"),
		},
		"in the text": {
			file: "<domRestrictions><restrictionsSet><uriTemplate> .*/a\n</uriTemplate><dataMasking><element><![CDATA[ a > b ]]></element></dataMasking></restrictionsSet></domRestrictions>",
			want: mask(".*/a", "a > b"),
		},
		"several addresses": {
			file: `<domRestrictions><restrictionsSet><uriTemplate pattern="a"/><uriTemplate pattern="b"/><dataMasking><element selector=".a"/></dataMasking></restrictionsSet></domRestrictions>`,
			want: append(mask("a", ".a"), mask("b", ".a")...),
		},
		"several of a kind": {
			file: `<domRestrictions><restrictionsSet><dataMasking><element selector=".a"/></dataMasking><uriTemplate pattern="a"/><dataMasking><element selector=".b"/></dataMasking></restrictionsSet></domRestrictions>`,
			want: mask("a", ".a", ".b"),
		},
		"characters by number and predefined entities": {
			file: setOf("https?://a&#46;b/&amp;.*", "a&gt;b[c=&apos;&quot;&apos;]"), want: mask("https?://a.b/&.*", `a>b[c='"']`),
		},
		"Latin 1": {
			file: `<?xml version="1.0" encoding="ISO-8859-1"?>` + setOf(".*", ".stra\xdfe"), want: mask(".*", ".straße"),
		},
		"no address": {
			file: "<domRestrictions>\n<restrictionsSet><dataMasking><element selector='.a'/></dataMasking></restrictionsSet></domRestrictions>",
			want: mask(".*", ".a"), warnings: []string{"line 2: a restrictionsSet has no uriTemplate: it holds on every page"},
		},
		"what nobody knows": {
			file: `<domRestrictions version="9"><imageMasking><element selector="???"/></imageMasking><restrictionsSet name="x">
<note/><uriTemplate pattern="a" flags="i"><hint/></uriTemplate><dataMasking><element selector=".a" kind="x"/><group><element selector=".b"/></group></dataMasking>
</restrictionsSet></domRestrictions>`,
			want: mask("a", ".a"), warnings: []string{
				`line 1: "imageMasking" is not known and left out`, `line 2: "note" is not known and left out`, `line 2: "hint" is not known and left out`,
				`line 2: the attribute "flags" of a uriTemplate is not known and left out`, `line 2: the attribute "kind" of an element is not known and left out`,
				`line 2: "group" is not known and left out`,
			},
		},
		"more warnings than anybody reads": {
			file: `<domRestrictions>` + strings.Repeat("<x/>", 1000) + `</domRestrictions>`, warnings: slices.Repeat([]string{`line 1: "x" is not known and left out`}, 20),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := legacy.ParseRestrictions([]byte(tt.file))
			if err != nil {
				t.Fatalf("ParseRestrictions = %v", err)
			}
			if diff := cmp.Diff(legacy.Restrictions{PageRules: tt.want, Warnings: tt.warnings}, got); diff != "" {
				t.Errorf("restrictions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRestrictionsRefuses(t *testing.T) {
	t.Parallel()
	entity := func(declaration, use string) string {
		return `<!DOCTYPE domRestrictions [` + declaration + `]>` + setOf(".*", use)
	}
	var bomb strings.Builder
	bomb.WriteString(`<!ENTITY a0 "aaaaaaaaaa">`)
	for i := range 8 {
		_, _ = fmt.Fprintf(&bomb, `<!ENTITY a%d "%s">`, i+1, strings.Repeat(fmt.Sprintf("&a%d;", i), 10))
	}
	many := func(n int, what string) string { return strings.Repeat(what, n) }
	set := func(in string) string {
		return `<domRestrictions><restrictionsSet>` + in + `</restrictionsSet></domRestrictions>`
	}
	for name, tt := range map[string]struct{ file, want string }{
		"nothing":                       {"", "line 1: the file is empty"},
		"space":                         {" \n ", "line 2: the file is empty"},
		"text":                          {"hello", "line 1: text outside of the elements"},
		"a page with 200":               {"<!DOCTYPE html><html><body>Sign in</body></html>", "document type declarations are refused"},
		"another document":              {"<html/>", `the file is a "html", want domRestrictions`},
		"JSON":                          {`{"domRestrictions":[]}`, "text outside of the elements"},
		"cut off":                       {"<domRestrictions>\n<restrictionsSet>", "line 2: unexpected EOF"},
		"not closed":                    {"<domRestrictions><restrictionsSet></domRestrictions>", "closed by"},
		"two documents":                 {"<domRestrictions/><domRestrictions/>", "a second element"},
		"text after the end":            {"<domRestrictions/>x", "text outside"},
		"an external entity":            {entity(`<!ENTITY x SYSTEM "file:///etc/passwd">`, "&x;"), "document type declarations are refused"},
		"an external parameter entity":  {entity(`<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;`, ".a"), "document type declarations are refused"},
		"an external document type":     {`<!DOCTYPE domRestrictions SYSTEM "http://127.0.0.1:9/x.dtd">` + setOf(".*", ".a"), "document type declarations are refused"},
		"entities that grow":            {entity(bomb.String(), "&a8;"), "document type declarations are refused"},
		"a declaration within":          {"<domRestrictions><!ENTITY x 'y'></domRestrictions>", "document type declarations are refused"},
		"an entity of nobody":           {setOf(".*", "&x;"), "invalid character entity &x;"},
		"an entity of HTML":             {setOf(".*", ".a&nbsp;.b"), "invalid character entity &nbsp;"},
		"UTF-16":                        {"\xff\xfe<\x00d\x00", "UTF-16"},
		"an encoding of nobody":         {`<?xml version="1.0" encoding="EBCDIC"?><domRestrictions/>`, `the encoding "EBCDIC" is not supported`},
		"broken UTF-8":                  {setOf(".*", ".\xff"), "invalid UTF-8"},
		"a control character":           {setOf(".*", ".a\x01"), "illegal character"},
		"another version":               {`<?xml version="2.0"?><domRestrictions/>`, "version"},
		"an attribute twice":            {set(`<uriTemplate pattern="a" pattern="b"/>`), `"uriTemplate" has the attribute "pattern" twice`},
		"a hundred thousand attributes": {"<domRestrictions " + manyAttributes(100_000) + "/>", "more than 32 attributes"},
		"a long regular expression":     {setOf(many(100_000, "(a"), ".a"), "it has more than 4000 characters"},
		"too deep":                      {many(1000, "<domRestrictions>"), "nested more than 16 deep"},
		"deep in what nobody knows":     {"<domRestrictions>" + many(100_000, "<a>"), "nested more than 16 deep"},
		"too large":                     {"<domRestrictions>" + many(1<<20, " ") + "</domRestrictions>", "more than 1048576 bytes"},
		"too many sets":                 {"<domRestrictions>" + many(200, `<restrictionsSet><uriTemplate pattern="a"/><dataMasking><element selector="b"/></dataMasking></restrictionsSet>`) + "</domRestrictions>", "more than 199 addresses"},
		"too many selectors":            {set(`<uriTemplate pattern="a"/><domControl>` + many(501, `<element selector="b"/>`) + `</domControl>`), "more than 500 selectors"},
		"too long selectors":            {set(`<uriTemplate pattern="a"/><domControl>` + many(200, `<element selector=".`+many(900, "b")+`"/>`) + `</domControl>`), "more than 130048 bytes"},
		"an address of another kind":    {set(`<uriTemplate type="wildcard" pattern="*"/>`), `"wildcard" of a uriTemplate is not known`},
		"an address without a pattern":  {set(`<uriTemplate type="regexp"/>`), `the regular expression "": it is empty`},
		"an element without a selector": {set(`<dataMasking><element id="x"/></dataMasking>`), `the selector "": it is empty`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := legacy.ParseRestrictions([]byte(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseRestrictions = %+v, %v, want an error about %q", got, err, tt.want)
			}
			if err != nil && len(err.Error()) > 600 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestRestrictionPatterns(t *testing.T) {
	t.Parallel()
	addresses := []string{
		"https://shop.example/", "https://shop.example/checkout?a=b", "https://SHOP.example/Checkout", "http://shop.example:8080/a.b+c", "https://shop.example/%C3%BC",
		"https://shop.example/a/b/c", "https://shop.example/[x]", "https://shop.example/x]y", "https://shop.example/a-b_c", "https://shop.example/aa", "https://shop.example/?q={1}",
	}
	for java, want := range map[string]string{
		`https://shop\.example/checkout.*`:       `https://shop\.example/checkout.*`, // as it is
		`(?i)https://shop\.example/c.*`:          ``,
		`\Qhttps://shop.example/\E.*`:            ``,
		`\Qhttps://shop.example/?q={1}`:          ``,
		`\Ahttps://.*\z`:                         ``,
		`https://.*\Z`:                           ``,
		`(?<scheme>https?)://(?<host>[^/:]+)/.*`: ``,
		`https?://[^/]+(?::\d{1,5})?/.*`:         ``,
		`https:\/\/shop\.example\/\u0061+`:       ``,
		`https://shop\.example/\x61{2}`:          ``,
		`https://shop\.example/[\w.+-]*`:         ``,
		`https://shop\.example/[]x\[]+`:          ``,
		`https://shop\.example/[^]x]+`:           ``,
		`https://shop\.example/x]y`:              ``,
		`https://shop\.example/\p{L}+`:           ``,
		`https://shop\.example/[\p{Lu}\P{L}]*`:   ``,
		`(?s)https://shop\.example/.*`:           ``,
		`(?m)^https://shop\.example/.*$`:         ``,
		`https://shop\.example/(a|aa|[a-c]/b)?.`: ``,
		`https://shop\.example/(?:a{2}|){1,3}?`:  ``,
		`.*\bcheckout\b.*`:                       ``,
		`https://shop\.example/[\Q]\E[x]+.*`:     `-`, // a class within a class, to Java
		`https://[a-z&&[^x]]+/.*`:                `-`,
		`https://[a-c[x-z]]+/.*`:                 `-`,
		`https://[[:alpha:]]+/.*`:                `-`,
		`(?!.*public).*`:                         `-`,
		`(?=https).*`:                            `-`,
		`.*(?<!x)`:                               `-`,
		`(?>https?)://.*`:                        `-`,
		`.*+`:                                    `-`,
		`https?+://.*`:                           `-`,
		`(a)\1`:                                  `-`,
		`\0101`:                                  `-`,
		`a\b{g}b`:                                `-`,
		`(?x) https`:                             `-`,
		`\p{IsAlphabetic}+`:                      `-`,
		`\h`:                                     `-`,
		`\R`:                                     `-`,
		`\N{LATIN SMALL LETTER A}`:               `-`,
		`https://shop\.example/ü`:                `-`,
		`https://shop\.example/a b`:              `-`,
		`[ä-ü]`:                                  `-`,
		`(`:                                      `-`,
		`*`:                                      `-`,
		`a\`:                                     `-`,
		`[a`:                                     `-`,
		``:                                       `-`,
		strings.Repeat("(?i)abcdefgh", 50):       `-`, // too long when it is written out
	} {
		got, err := legacy.ParseRestrictions([]byte(setOf(escapeXML(java), ".a")))
		if want == "-" {
			if err == nil {
				t.Errorf("%q is taken as %q, want an error", java, got.PageRules[0].URLPattern)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", java, err)
			continue
		}
		rule := got.PageRules[0]
		if want != "" && rule.URLPattern != want {
			t.Errorf("%q is taken as %q, want %q", java, rule.URLPattern, want)
		}
		// Go reads these as Java does, but for the spelling of two escapes and a class.
		if strings.Contains(java, `\Q`) && !strings.Contains(java, `\E`) {
			java += `\E`
		}
		plain := regexp.MustCompile(`\A(?:` + strings.NewReplacer(`\Z`, `\z`, `\u0061`, `a`).Replace(java) + `)\z`)
		hits := 0
		for _, address := range addresses {
			if got, want := rule.Matches(address), plain.MatchString(address); got != want {
				t.Errorf("%q, taken as %q, matches %q: %v, want %v", java, rule.URLPattern, address, got, want)
			} else if got {
				hits++
			}
		}
		if hits == 0 {
			t.Errorf("%q matches none of the addresses: the test shows nothing", java)
		}
	}
}

func TestRestrictionSelectors(t *testing.T) {
	t.Parallel()
	for _, selector := range []string{
		"#cardNumber", ".balance", "[type=submit]", "*", "input", "INPUT[type='text' i]", "a.b#c[d][e|='f'][g^=h]:not(.i, .j > k):first-child", "a b>c + d~e", "a,b , c",
		`[name="card[number]"]`, `[name="a{b}"]`, `#a\:b`, `.\31 0`, `.sm\:w-1\/2`, ":is(a, b:hover) c", "div:has(> .x, + y)", "li:nth-child(2n + 1)", "li:nth-last-of-type(odd)", "li:nth-child(3)",
		"p:lang(de)", "-x-y", "--z", "überschrift.straße", "[data-x]", "[ data-x = 'y' ]", "my-element", "form :disabled", `[a="\""]`,
	} {
		got, err := legacy.ParseRestrictions([]byte(setOf(".*", escapeXML(selector))))
		if err != nil || !slices.Equal(got.PageRules[0].MaskSelectors, []string{selector}) {
			t.Errorf("%q: %v, %v", selector, got.PageRules, err)
		}
	}
	for _, selector := range []string{
		" ", ",", "a,", ",a", "a,,b", ">", "> a", "a >", "a > > b", "#", ".", "#1a", ".1", "..a", "a..b", "[", "[]", "[a", "[a=", "[a=]", "[a=1]", "[a='b]", `[a="b'"`, "[a]]", "(a)", "a)", ":not(a", ":not()", ":not",
		":", "a:", "a::before", "a:contains('x')", ":input", "input:password", "li:eq(1)", "li:first", ":visible", ":nth-child()", ":nth-child(x)", ":lang()", "a{b}", "a;b", "a/*b*/", "a/*", "@a", "<a>", "a\\", `"a"`, "a!b",
		"$x", "svg|a", "a%", "{color:red}", strings.Repeat("a", 1001), strings.Repeat(":not(", 20) + "a" + strings.Repeat(")", 20), strings.Repeat(":is(", 300),
	} {
		if got, err := legacy.ParseRestrictions([]byte(setOf(".*", escapeXML(selector)))); err == nil {
			t.Errorf("%q is taken: %v", selector, got.PageRules)
		}
	}
}

// Whatever a file is, it does no harm, and what is taken of it a deployment takes.
func FuzzParseRestrictions(f *testing.F) {
	f.Add(sampleRestrictions(f))
	f.Add([]byte(setOf(`(?i)https://[^/]+/\\Qa.b\\E.*`, "a > b:not(.c)[d='e']")))
	f.Add([]byte(`<?xml version="1.0" encoding="ISO-8859-1"?><domRestrictions><restrictionsSet/></domRestrictions>`))
	f.Add([]byte(`<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><domRestrictions>&x;</domRestrictions>`))
	f.Fuzz(func(t *testing.T, file []byte) {
		got, err := legacy.ParseRestrictions(file)
		if err != nil {
			if len(got.PageRules) > 0 {
				t.Errorf("a file that is refused (%v) has rules: %v", err, got.PageRules)
			}
			return
		}
		for _, r := range got.PageRules {
			if err := cobrowse.CheckURLPattern(r.URLPattern); err != nil {
				t.Errorf("the address %q is taken: %v", r.URLPattern, err)
			}
			if len(r.MaskSelectors)+len(r.ReadonlySelectors) == 0 {
				t.Errorf("a rule restricts nothing: %+v", r)
			}
		}
	})
}
