package maskproof

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestTheSearchFindsWhatLeaks(t *testing.T) {
	t.Parallel()
	s := Secret{ID: "S1", Where: "somewhere", text: "Q7ZK0X4PWV2LMT9B"}
	for name, c := range map[string]struct {
		leak string
		as   string // "" = not found
	}{
		"whole":           {`{"v":"` + s.text + `"}`, "as it is"},
		"beginning":       {"x" + s.text[:8] + "x", "as it is"},
		"piece":           {"x" + s.text[5:13] + "x", "as it is"},
		"too little":      {s.text[:7] + "x", ""},
		"other":           {"Q7ZK0X4QWV2LMT9C", ""},
		"backwards":       {"B9TML2VWP4X0KZ7Q", "backwards"},
		"lower case":      {strings.ToLower(s.text), "in lower case"},
		"hex":             {hex.EncodeToString([]byte(s.text)), "in hexadecimal"},
		"base64":          {base64.StdEncoding.EncodeToString([]byte(s.text)), "in base64"},
		"base64, shifted": {base64.StdEncoding.EncodeToString([]byte("a" + s.text + "b")), "in base64"},
		"base64, again":   {base64.URLEncoding.EncodeToString([]byte("ab" + s.text + "cde")), "in base64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tap := newTap()
			tap.add("frames", []byte("nothing here"))
			tap.add("frames", []byte(c.leak))
			tap.add("log", []byte("nor here"))
			found := tap.search(s)
			switch {
			case c.as == "" && len(found) > 0:
				t.Errorf("found %+v in %q", found, c.leak)
			case c.as != "" && (len(found) != 1 || found[0].As != c.as || found[0].Where != "frames" || found[0].Count != 1):
				t.Errorf("found %+v, want it %s in one of the frames", found, c.as)
			}
		})
	}
}

func TestAReportTellsALeak(t *testing.T) {
	t.Parallel()
	p, err := NewPage("http://site.example", "https://cobridge.example/cobrowse/js/cobridge.js", "d")
	if err != nil {
		t.Fatal(err)
	}
	if len(p.secrets) < 60 {
		t.Errorf("%d secrets, want those of the page", len(p.secrets))
	}
	recorder := httptest.NewRecorder()
	p.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/proof", nil))
	for _, s := range p.secrets {
		_, keyed := p.typed[""]
		for _, k := range p.typed {
			keyed = keyed || k == s
		}
		if got := strings.Count(recorder.Body.String(), s.text); got != 1 && !keyed {
			t.Errorf("secret %s is %d times on the page, want once", s.Where, got)
		}
	}
	tap := newTap()
	report := func() Report { return newReport(Config{Page: p, Now: time.Now}, time.Now(), 1, tap) }
	if r := report(); r.Passed() || r.Valid() {
		t.Error("a proof that has seen nothing passes")
	}
	for _, kind := range []string{sentFrames, viewerFrames, viewerPicture} {
		tap.add(kind, []byte("<p>"+p.control+"</p>"))
	}
	if r := report(); !r.Passed() {
		t.Errorf("a good proof fails: %+v", r)
	}
	tap.add(sentFrames, []byte("value "+p.secrets[3].text))
	r := report()
	if r.Passed() || r.Leaks() != 1 {
		t.Errorf("Leaks = %d, want the one that was sent", r.Leaks())
	}
	var page strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if text := page.String(); !strings.Contains(text, "1 of ") || strings.Contains(text, p.secrets[3].text) || !strings.Contains(text, html.EscapeString(p.secrets[3].Where)) {
		t.Error("the report hides the leak, or has the secret")
	}
}
