package config

import (
	"fmt"
	"net"
	"net/url"
)

// Warnings returns what is allowed and hardly meant, one sentence each. Call it
// on a configuration that is completed by [Config.At].
func (c Config) Warnings() []string {
	var all []string
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		base = &url.URL{} // Validate has said so
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		all = append(all, fmt.Sprintf("baseUrl %s is plain http on a host that is not this machine: tokens travel readable.", c.BaseURL))
	}
	switch {
	case c.ViewerBaseURL == "":
		all = append(all, "viewerBaseUrl is not set: the viewer pages share the origin of the API.")
	case originOf(c.ViewerBaseURL) == originOf(c.BaseURL):
		all = append(all, "viewerBaseUrl has the origin of the API: give the viewer pages one of their own.")
	}
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && !loopback(host) {
		if c.BaseURL == "" || loopback(base.Hostname()) {
			all = append(all, "listen is open to other machines, but baseUrl leads to this one: set baseUrl.")
		}
		if c.AdminListen == "" {
			all = append(all, "adminListen is not set: /metrics is as public as the API.")
		}
	}
	if len(c.Organisations) == 0 {
		all = append(all, "organisations is empty: nobody can use the service, unless its store has some from an earlier start.")
	}
	if c.TLS.SelfSigned && !c.Demo {
		all = append(all, "tls.selfSigned is for tests and first steps: browsers warn of such certificates.")
	}
	if c.Limits.TokenPerMinute == 0 && !c.Demo {
		all = append(all, "limits.tokenPerMinute is 0: a client may send as many requests as it likes.")
	}
	if c.Limits.FailedLoginsPerMinute == 0 && !c.Demo {
		all = append(all, "limits.failedLoginsPerMinute is 0: secrets may be guessed at any speed.")
	}
	return append(append(append(all, c.legacyWarnings()...), c.directoryWarnings()...), c.clusterWarnings()...)
}

// plainHost returns the host of a plain http URL.
func plainHost(address string) (string, bool) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" {
		return "", false
	}
	return u.Hostname(), true
}

// loopback reports whether a host name or address is this machine's own.
func loopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}
