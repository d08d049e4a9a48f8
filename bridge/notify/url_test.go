package notify_test

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/notify"
)

func urlRule(allowHTTP bool) notify.URLRule {
	return notify.URLRule{AllowHTTP: allowHTTP, Address: func(a netip.Addr) error {
		if a.Unmap().IsLoopback() {
			return errors.New("no")
		}
		return nil
	}}
}

func TestURLRule(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, want string }{
		{"https://example.org", ""},
		{"https://example.org:8443/hooks/1?key=value", ""},
		{"https://93.184.216.34/", ""},
		{"https://EXAMPLE.org/ä", ""},
		{"http://example.org/", "scheme"},
		{"ftp://example.org/", "format"},
		{"file:///etc/passwd", "format"},
		{"https:example.org", "format"},
		{"//example.org", "format"},
		{"", "format"},
		{"https://", "format"},
		{"https:///path", "format"},
		{"https://:443/", "format"},
		{"https://a b/", "format"},
		{"https://example.org/\r\nHost: x", "format"},
		{`https://example.org\@evil.example/`, "format"},
		{"https://user@example.org/", "credentials"},
		{"https://user:password@example.org/", "credentials"},
		{"https://example.org/#", "fragment"},
		{"https://example.org/#x", "fragment"},
		{"https://example.org:0/", "port"},
		{"https://example.org:65536/", "port"},
		{"https://127.0.0.1/", "address"},
		{"https://[::1]/", "address"},
		{"https://[::ffff:127.0.0.1]:8443/", "address"},
		{"https://example.org/" + strings.Repeat("x", 2048), "too.long"},
	} {
		if got, _ := urlRule(false).Check(tt.url); got != tt.want {
			t.Errorf("Check(%.60q) = %q, want %q", tt.url, got, tt.want)
		}
	}
	if got, _ := urlRule(true).Check("http://example.org/"); got != "" {
		t.Errorf("Check of http where it is allowed = %q", got)
	}
}

// FuzzURLRule: what is let through has a host and nothing that could mean another one.
func FuzzURLRule(f *testing.F) {
	for _, seed := range []string{"https://example.org/hooks", "https://u:p@example.org", "http://[::1]:80/", "https://a\\b", "https://127.0.0.1#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if detail, _ := urlRule(true).Check(text); detail != "" {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsAny(text, " \r\n\t\\#") {
			t.Errorf("%q was let through", text)
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && a.Unmap().IsLoopback() {
			t.Errorf("%q leads to this machine", text)
		}
	})
}
