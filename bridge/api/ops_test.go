package api_test

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/api"
)

func TestOperations(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const open = "Authorization:"
	if got := h.want(t, http.StatusOK, http.MethodGet, "/healthz", "", open).body; got != `{"status":"ok"}` {
		t.Errorf("/healthz = %s", got)
	}
	if got := h.want(t, http.StatusOK, http.MethodGet, "/readyz", "", open).body; got != `{"status":"ready","checks":{"store":"ok"}}` {
		t.Errorf("/readyz = %s", got)
	}
	if got := h.want(t, http.StatusFound, http.MethodGet, "/", "", open).header.Get("Location"); got != "/gateway/docs" {
		t.Errorf("/ leads to %q, want the page of the document behind the prefix", got)
	}
	for _, path := range []string{"/healthz", "/readyz", "/docs", "/version"} {
		if got := h.want(t, http.StatusOK, http.MethodHead, path, "", open).body; got != "" {
			t.Errorf("HEAD %s has the body %q", path, got)
		}
	}
	if got := h.want(t, http.StatusOK, http.MethodGet, "/version", "", open).body; !strings.Contains(got, `"version":"0.1.0"`) {
		t.Errorf("/version = %s", got)
	}
	failing := newHouse(t, func(d *api.Deps) {
		d.Checks = append(d.Checks, api.Check{Name: "bus", Run: func(context.Context) error { return errors.New("secret address") }})
	})
	if got := failing.want(t, http.StatusServiceUnavailable, http.MethodGet, "/readyz", "", open).body; got != `{"status":"notReady","checks":{"bus":"failed","store":"ok"}}` {
		t.Errorf("/readyz = %s", got)
	}
}

func TestDocsPage(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	page := h.want(t, http.StatusOK, http.MethodGet, "/docs", "")
	if csp := page.header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "script-src 'self'") {
		t.Errorf("Content-Security-Policy = %q, want one without inline code", csp)
	}
	for line := range strings.Lines(page.body) {
		if strings.Contains(line, "http") || strings.Contains(line, "<style") || strings.Contains(line, "<script>") {
			t.Errorf("the page is not self-contained: %s", line)
		}
	}
	if a := h.do(t, http.MethodGet, "/docs/", ""); a.status != http.StatusMovedPermanently || a.header.Get("Location") != "../docs" {
		t.Errorf("/docs/ = %d to %q, want 301 to ../docs", a.status, a.header.Get("Location"))
	}
	document := h.want(t, http.StatusOK, http.MethodGet, "/openapi.yaml", "").body
	for _, want := range []string{"  - url: /gateway\n", "tokenUrl: /gateway/oauth/token\n"} {
		if !strings.Contains(document, want) {
			t.Errorf("the served document lacks %q", want)
		}
	}
}

// The embedded files are what SOURCE says, whether a client takes gzip or not.
func TestDocsAssets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	source, err := os.ReadFile("../../docs/swagger-ui/SOURCE")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"swagger-ui-bundle.js", "swagger-ui.css"} {
		packed := h.part(t, "/docs/"+name, "Accept-Encoding: gzip, br")
		unpacked, err := gzip.NewReader(strings.NewReader(packed.body))
		if err != nil || packed.header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: Content-Encoding %q, %v", name, packed.header.Get("Content-Encoding"), err)
		}
		text, err := io.ReadAll(unpacked)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		if !strings.Contains(string(source), hex.EncodeToString(sum[:])+"  "+name) {
			t.Errorf("%s has the sum %x, which SOURCE does not have", name, sum)
		}
		plain := h.part(t, "/docs/"+name, "Accept-Encoding: identity")
		if plain.body != string(text) || plain.header.Get("Content-Encoding") != "" {
			t.Errorf("%s without gzip has %d bytes, want %d", name, len(plain.body), len(text))
		}
		if again := h.part(t, "/docs/"+name, "If-None-Match: "+plain.header.Get("ETag")); again.status != http.StatusNotModified || again.body != "" {
			t.Errorf("%s with its ETag = %d and %d bytes, want 304 and none", name, again.status, len(again.body))
		}
	}
	for _, name := range []string{"page.js", "page.css"} {
		if a := h.part(t, "/docs/"+name); a.status != http.StatusOK || a.body == "" {
			t.Errorf("%s = %d", name, a.status)
		}
	}
}

// part gets what the document does not describe.
func (h *house) part(t *testing.T, path string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "cobridge.example"
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	resp, err := h.app.Test(req, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}
