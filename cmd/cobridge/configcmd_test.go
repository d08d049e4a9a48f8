package main

import (
	"net"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/config"
)

// The directory of a demonstration is tried, with good and with bad settings.
func TestConfigCheckOnline(t *testing.T) {
	t.Parallel()
	info, _ := demo(t)
	file := func(secret, base string) string {
		return writeFile(t, t.TempDir(), "cobridge.yaml", `
directory: genesyscloud
genesysCloud: {baseUrl: "`+base+`", clientId: `+info.ClientID+`, clientSecret: `+secret+`}
organisations: [{id: `+orgID+`, name: Example}]
`)
	}
	good := file(config.DemoClientSecret, info.BaseURL)
	cli(t, nil, "", "config", "check", "--config", good).want(t, 0, "The configuration is good.", "")
	online := cli(t, nil, "", "config", "check", "--online", "--config", good)
	online.want(t, 0, "ok      read users' permissions", "")
	if strings.Contains(online.out, "FAILED") || !strings.Contains(online.out, "The configuration is good.") {
		t.Errorf("output is %q", online.out)
	}

	wrong := cli(t, nil, "", "config", "check", "--online", "--config", file("some-other-secret-of-nobody", info.BaseURL))
	wrong.want(t, 1, "FAILED  access token: The Genesys Cloud service refuses the OAuth client; check genesysCloud.clientId, clientSecret", "1 of 1 checks failed")
	if strings.Contains(wrong.out+wrong.err, "some-other-secret") || strings.Contains(wrong.out, "good") {
		t.Errorf("output is %q and %q", wrong.out, wrong.err)
	}

	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + ln.Addr().String()
	_ = ln.Close()
	cli(t, nil, "", "config", "check", "--online", "--config", file("some-other-secret-of-nobody", nobody)).
		want(t, 1, "cannot be reached; check genesysCloud.region or baseUrl", "1 of 1 checks failed")

	cli(t, nil, "", "config", "check", "--online", "--config", settings(t)).want(t, 0, "names no other service", "")
}
