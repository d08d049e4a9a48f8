package live_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/client/live"
)

func TestSelectors(t *testing.T) {
	t.Parallel()
	page := live.Page{URL: shop, HTML: `<form id=f class="a b"><p id=p><input id=i name=first data-x="one two" lang="en-GB"></p><input id=j name=second></form><input id=k>`}
	for text, want := range map[string][]string{
		"input":                      {"i", "j", "k"},
		"#i":                         {"i"},
		"form input":                 {"i", "j"},
		"form > input":               {"j"},
		".a.b":                       {"f"},
		"form.a #i, #k":              {"i", "k"},
		"*[name]":                    {"i", "j"},
		`[name="first"]`:             {"i"},
		"input[name^=sec]":           {"j"},
		"[name$='st']":               {"i"},
		"[data-x~=two]":              {"i"},
		"[lang|=en]":                 {"i"},
		"[name*=con]":                {"j"},
		"INPUT#k":                    {"k"},
		"p > p":                      nil,
		"html > body > form > p > *": {"i"},
	} {
		if got, err := live.Matches(page, text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s names %q (%v), want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a:hover", "a + b", "a ~ b", "#", ".", "[x", "a,,b", "a >", "> a", "[]", "a)"} {
		if got, err := live.Matches(page, text); err == nil {
			t.Errorf("%q is read, and names %q", text, got)
		}
	}
}

func FuzzSelector(f *testing.F) {
	for _, seed := range []string{"input", "form > input[name='a']", "#a.b, c d", "[x~=y", "a:b", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := live.Matches(checkout, text); err != nil && got != nil {
			t.Errorf("%q is refused and names %q", text, got)
		}
	})
}

// Whatever a service sends as a picture, the viewer takes it or asks for another.
func FuzzPicture(f *testing.F) {
	recorded, err := live.Recorded(checkout)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		`[{"type":3,"data":{"source":0,"removes":[{"id":5}],"adds":[{"parentId":4,"nextId":null,"node":{"type":3,"textContent":"x","id":90}}],"texts":[],"attributes":[{"id":4,"attributes":{"class":null,"hidden":true}}]}}]`,
		`[{"type":3,"data":{"source":5,"id":20,"text":"x","isChecked":true}}]`, `[{"type":3,"data":{"source":3,"id":1,"x":1e300,"y":-1}}]`,
		`[{"type":2,"data":{"node":{"type":2,"tagName":"INPUT","id":1,"attributes":{"value":7}}}}]`, `{}`, `[null]`, `[{"type":3,"data":{"source":0,"adds":[{"parentId":91,"node":{"id":91,"type":2}}]}}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, events []byte) {
		p, err := live.Apply(recorded, events)
		if err == nil && strings.Contains(p.Text, "\n\n") {
			t.Errorf("the text has an empty line: %q", p.Text)
		}
	})
}

// What leaves a page never has what may not leave it, however the page is written.
func FuzzPage(f *testing.F) {
	for _, seed := range []string{
		"", `<form><select><option>`, `<input type=PASSWORD>`, `<textarea autocomplete="cc-csc">`, `<svg><script>`, `<table><input type=hidden>`, `<div contenteditable>`, "<a href=\"javascript:\x00\">",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, around string) {
		const secret = "planted-secret"
		recorded, err := live.Recorded(live.Page{URL: shop, HTML: around + `<input type="password" value="` + secret + `">`})
		if err != nil || strings.Contains(around, secret) || strings.ContainsAny(around, `<"'`) && !strings.Contains(string(recorded), `"tagName":"input"`) {
			t.Skip() // it has swallowed the field
		}
		p, err := live.Apply(recorded)
		if err != nil {
			t.Fatalf("what was recorded cannot be shown: %v", err)
		}
		for _, field := range p.Fields {
			if strings.Contains(field.Value, secret) {
				t.Errorf("%q lets the password out", around)
			}
		}
	})
}
