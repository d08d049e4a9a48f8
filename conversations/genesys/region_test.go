package genesys_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/conversations/genesys"
)

func TestRegionOf(t *testing.T) {
	t.Parallel()
	for _, r := range genesys.Regions() {
		for _, name := range []string{r.ID, strings.ReplaceAll(r.ID, "_", "-"), strings.ToUpper(r.ID), r.Domain} {
			if got, ok := genesys.RegionOf(name); !ok || got != r {
				t.Errorf("RegionOf(%q) = %v, %t; want %v", name, got, ok, r)
			}
		}
		if r.APIURL() != "https://api."+r.Domain || r.LoginURL() != "https://login."+r.Domain {
			t.Errorf("%s has %s and %s", r.ID, r.APIURL(), r.LoginURL())
		}
	}
	if got, ok := genesys.RegionOf("mars_1"); ok {
		t.Errorf("RegionOf(mars_1) = %v", got)
	}
	if got := len(genesys.Regions()); got != 18 {
		t.Errorf("%d regions, want 18", got)
	}
}

// The login's address follows from the API's as in the official SDKs.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ region, base, login, want string }{
		{"eu_central_1", "", "", "https://login.mypurecloud.de/oauth/token"},
		{"", "https://api.mypurecloud.com/", "", "https://login.mypurecloud.com/oauth/token"},
		{"", "https://org.mypurecloud.com", "", "https://org.mypurecloud.com/oauth/token"},
		{"", "http://127.0.0.1:8081/gateway/", "", "http://127.0.0.1:8081/gateway/oauth/token"},
		{"", "http://127.0.0.1:8081", "http://127.0.0.1:8082/login", "http://127.0.0.1:8082/login/oauth/token"},
	} {
		var asked string
		d, err := genesys.New(genesys.Config{
			Region: tt.region, BaseURL: tt.base, LoginURL: tt.login, ClientID: clientID, ClientSecret: secret, Organisation: org, Log: slog.New(slog.DiscardHandler),
			Retries: -1, Clock: func() time.Time { return t0 }, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				asked = r.URL.String()
				return nil, errors.New("nowhere")
			}),
		})
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		_, err = d.User(t.Context(), org, ann)
		wantFailure(t, err, genesys.ReasonUnreachable)
		d.Close()
		if asked != tt.want {
			t.Errorf("%+v: token asked for at %s", tt, asked)
		}
	}
	good := genesys.Config{BaseURL: "https://api.cloud.example", ClientID: clientID, ClientSecret: secret, Organisation: org, Log: slog.New(slog.DiscardHandler)}
	for name, spoil := range map[string]func(*genesys.Config){
		"no address":        func(c *genesys.Config) { c.BaseURL = "" },
		"both":              func(c *genesys.Config) { c.Region = "us_east_1" },
		"unknown region":    func(c *genesys.Config) { c.Region, c.BaseURL = "mars_1", "" },
		"credentials in it": func(c *genesys.Config) { c.BaseURL = "https://user:pass@api.cloud.example" },
		"a query":           func(c *genesys.Config) { c.BaseURL += "?x=1" },
		"another scheme":    func(c *genesys.Config) { c.LoginURL = "ftp://login.cloud.example" },
		"no client":         func(c *genesys.Config) { c.ClientID = "" },
		"no secret":         func(c *genesys.Config) { c.ClientSecret = "" },
		"no organisation":   func(c *genesys.Config) { c.Organisation = "" },
	} {
		cfg := good
		spoil(&cfg)
		if d, err := genesys.New(cfg); err == nil {
			d.Close()
			t.Errorf("%s: New accepts it", name)
		} else if strings.Contains(err.Error(), "pass") {
			t.Errorf("%s: %v shows the password", name, err)
		}
	}
}

// Each reason has its advice, which nothing secret can be part of.
func TestEveryReasonHasAdvice(t *testing.T) {
	t.Parallel()
	for _, r := range genesys.Reasons() {
		if advice := r.Advice(); advice == genesys.Reason("").Advice() || !strings.HasSuffix(advice, ".") {
			t.Errorf("%s: %q", r, advice)
		}
	}
}
