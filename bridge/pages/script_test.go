package pages_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/pages"
	"github.com/cobridge/cobridge/cobrowse/webui"
)

// readDist returns a file of the bundles.
func readDist(t *testing.T, name string) string {
	t.Helper()
	data, err := fs.ReadFile(webui.Dist(), name)
	if err != nil {
		t.Fatalf("read dist: %v", err)
	}
	return string(data)
}

// versioned returns the path of the script of which there is only one version.
func versioned(t *testing.T) string {
	t.Helper()
	p, err := pages.New(pages.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p.ScriptPath()
}

// plain asks for no content coding; net/http would else ask for gzip by itself.
var plain = map[string]string{"Accept-Encoding": "identity"}

func TestScript(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, kind := range map[string]string{
		"cobridge.js": "text/javascript; charset=utf-8", "cobridge-control.js": "text/javascript; charset=utf-8", "cobridge-lint.js": "text/javascript; charset=utf-8", "LEGAL.txt": "text/plain; charset=utf-8",
	} {
		want := readDist(t, name)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := request(t, method, h.base+"/cobrowse/js/"+name, "", plain)
			if a.StatusCode != http.StatusOK || method == http.MethodGet && a.body != want {
				t.Errorf("%s %s = %d with %d bytes, want 200 with %d", method, name, a.StatusCode, len(a.body), len(want))
			}
			for header, want := range map[string]string{
				"Content-Type": kind, "Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin",
				"X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding", "Content-Encoding": "",
				"Content-Location": strings.TrimPrefix(strings.Replace(versioned(t), "cobridge.js", name, 1), "/cobrowse/js/"),
			} {
				if got := a.Header.Get(header); got != want {
					t.Errorf("%s %s: %s = %q, want %q", method, name, header, got, want)
				}
			}
		}
	}
	for _, path := range []string{"x.js", "manifest.json", "join.js", "cobridge.js.gz", "..%2Fcobridge.js", "", "zzzzzzzzzzzz/cobridge.js", "0123/cobridge.js", "0123456789ab/join.js"} {
		if a := get(t, h.base+"/cobrowse/js/"+path); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", path, a.StatusCode)
		}
	}
}

func TestScriptVersion(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := versioned(t)
	if !regexp.MustCompile(`^/cobrowse/js/[0-9a-f]{12}/cobridge\.js$`).MatchString(path) {
		t.Fatalf("ScriptPath = %q", path)
	}
	for _, name := range []string{"cobridge.js", "cobridge-control.js", "cobridge-lint.js"} {
		a := request(t, http.MethodGet, h.base+strings.Replace(path, "cobridge.js", name, 1), "", plain)
		if a.StatusCode != http.StatusOK || a.body != readDist(t, name) {
			t.Errorf("%s = %d with %d bytes", name, a.StatusCode, len(a.body))
		}
		if got, want := a.Header.Get("Cache-Control"), "public, max-age=31536000, immutable"; got != want {
			t.Errorf("%s: Cache-Control = %q, want %q", name, got, want)
		}
		if got := a.Header.Get("Access-Control-Allow-Origin") + a.Header.Get("Cross-Origin-Resource-Policy"); got != "*cross-origin" {
			t.Errorf("%s: CORS and CORP = %q", name, got)
		}
	}
	// A page that names another version gets the one that is here, and asks again next time.
	a := get(t, h.base+"/cobrowse/js/0123456789ab/cobridge.js")
	if a.StatusCode != http.StatusFound || a.Header.Get("Location") != "../cobridge.js" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("another version = %d %v, want 302 to ../cobridge.js", a.StatusCode, a.Header)
	}
}

func TestNotModified(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, path := range []string{"/cobrowse/js/cobridge.js", versioned(t), "/cobrowse/assets/LEGAL.txt"} {
		first := get(t, h.base+path)
		tag := first.Header.Get("ETag")
		if first.StatusCode != http.StatusOK || tag == "" {
			t.Fatalf("%s = %d with entity tag %q", path, first.StatusCode, tag)
		}
		for header, want := range map[string]int{
			tag: 304, strings.TrimPrefix(tag, "W/"): 304, `"x", ` + tag: 304, "*": 304, `"x"`: 200, "": 200, strings.Trim(strings.TrimPrefix(tag, "W/"), `"`): 200,
		} {
			a := request(t, http.MethodGet, h.base+path, "", map[string]string{"If-None-Match": header})
			if a.StatusCode != want || want == http.StatusNotModified && (a.body != "" || a.Header.Get("ETag") != tag || a.Header.Get("Cache-Control") != first.Header.Get("Cache-Control")) {
				t.Errorf("%s, If-None-Match %s = %d %v, want %d", path, header, a.StatusCode, a.Header, want)
			}
		}
	}
}

func TestContentCoding(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := readDist(t, "cobridge.js")
	for header, coding := range map[string]string{
		"br": "br", "gzip": "gzip", "gzip, deflate, br": "br", "gzip;q=1, br;q=0.5": "gzip", "br;q=0, gzip": "gzip", "GZIP": "gzip", "*": "br", "*;q=0.1, br;q=0": "gzip",
		"identity": "", "deflate": "", "": "", "gzip;q=0": "", "identity, gzip;q=0.5": "", "gzip;q=x": "", "br;q=7": "", ",;": "",
	} {
		a := request(t, http.MethodGet, h.base+"/cobrowse/js/cobridge.js", "", map[string]string{"Accept-Encoding": header})
		if got := a.Header.Get("Content-Encoding"); got != coding || a.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: %q, want %q", header, got, coding)
		}
		switch coding {
		case "gzip":
			r, err := gzip.NewReader(strings.NewReader(a.body))
			if err != nil {
				t.Fatalf("Accept-Encoding %q: %v", header, err)
			}
			if data, err := io.ReadAll(r); err != nil || string(data) != want {
				t.Errorf("Accept-Encoding %q: unpacks to other %d bytes, %v", header, len(data), err)
			}
		case "br":
			if !bytes.Equal([]byte(a.body), []byte(readDist(t, "cobridge.js.br"))) {
				t.Errorf("Accept-Encoding %q: other bytes than dist has", header)
			}
		default:
			if a.body != want {
				t.Errorf("Accept-Encoding %q: other bytes than dist has", header)
			}
		}
	}
}

// The script is for customers' pages: where viewers are, it is not.
func TestScriptIsNotOnTheViewersOrigin(t *testing.T) {
	t.Parallel()
	var viewer string
	h := newHouse(t, func(c *config.Config) {
		_, port, _ := strings.Cut(c.Listen, ":")
		viewer = "viewer.localhost:" + port
		c.ViewerBaseURL = "http://" + viewer
	})
	for path, want := range map[string]int{"/cobrowse/js/cobridge.js": 404, versioned(t): 404, "/cobrowse/assets/LEGAL.txt": 200} {
		if a := request(t, http.MethodGet, h.base+path, viewer, nil); a.StatusCode != want {
			t.Errorf("%s = %d, want %d", path, a.StatusCode, want)
		}
	}
}
