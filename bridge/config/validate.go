package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate reports everything that is wrong as one [*Error]. [Load] has done it
// already; configurations that were put together otherwise need it.
func (c Config) Validate() error {
	var found problems
	c.check(&found)
	return found.err()
}

func (c Config) check(found *problems) {
	checkAddress(found, "listen", c.Listen)
	if c.AdminListen != "" {
		checkAddress(found, "adminListen", c.AdminListen)
		if _, port, _ := net.SplitHostPort(c.AdminListen); c.AdminListen == c.Listen && port != "0" {
			found.add("adminListen", "%s, want another address than listen", c.AdminListen)
		}
	}
	switch n := len(c.AdminToken); {
	case n == 0 && c.AdminTokenFile != "":
		found.add("adminTokenFile", "no secret in it")
	case n > 0 && (n < minSecretLen || n > maxSecretLen):
		found.add("adminToken", "%d characters, want %d..%d", n, minSecretLen, maxSecretLen)
	}
	checkBaseURL(found, "baseUrl", c.BaseURL, true)
	checkBaseURL(found, "viewerBaseUrl", c.ViewerBaseURL, false)
	c.TLS.check(found)
	for i, cidr := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			found.add(fmt.Sprintf("trustedProxies[%d]", i), "%q, want a network such as 10.0.0.0/8 or 192.0.2.7/32", cidr)
		}
	}
	c.checkStore(found)
	oneOf(found, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(found, "log.format", c.Log.Format, "text", "json")
	if c.OAuth.Issuer != "" {
		if err := checkBase(c.OAuth.Issuer, true); err != nil {
			found.add("oauth.issuer", "%q, %v", c.OAuth.Issuer, err)
		}
	}
	oneOf(found, "oauth.signingAlgorithm", c.OAuth.SigningAlgorithm, "EdDSA", "RS256")
	if c.OAuth.KeyLifetime != 0 {
		within(found, "oauth.keyLifetime", c.OAuth.KeyLifetime, day, 3650*day)
	}
	if s := c.OAuth.InvalidClientStatus; s != 400 && s != 401 {
		found.add("oauth.invalidClientStatus", "%d, want 401 or 400", s)
	}
	c.checkRules(found)
	c.checkLimits(found)
	c.checkOrganisations(found)
	c.checkLegacy(found)
	c.checkDirectory(found)
	c.checkWebhooks(found)
	c.checkCluster(found)
}

func (c Config) checkRules(found *problems) {
	within(found, "join.tokenLifetime", c.Join.TokenLifetime, 10*time.Second, 15*time.Minute)
	within(found, "session.defaultTimeout", c.Session.DefaultTimeout, time.Minute, 480*time.Minute)
	if c.Session.DefaultTimeout%time.Minute != 0 {
		found.add("session.defaultTimeout", "%s, want whole minutes", formatDuration(c.Session.DefaultTimeout))
	}
	within(found, "session.neverJoined", c.Session.NeverJoined, time.Minute, day)
	within(found, "session.grace", c.Session.Grace, 5*time.Second, 30*time.Minute)
	within(found, "session.maxDuration", c.Session.MaxDuration, time.Minute, 7*day)
	within(found, "session.maxViewers", c.Session.MaxViewers, 1, 100)
	within(found, "retention.history", c.Retention.History, time.Hour, 3650*day)
	within(found, "retention.conversations", c.Retention.Conversations, time.Hour, 3650*day)
	within(found, "shutdown.drain", c.Shutdown.Drain, 0, 5*time.Minute)
}

func (c Config) checkLimits(found *problems) {
	const most = 1_000_000
	within(found, "limits.tokenPerMinute", c.Limits.TokenPerMinute, 0, most)
	within(found, "limits.addressPerMinute", c.Limits.AddressPerMinute, 0, most)
	within(found, "limits.failedLoginsPerMinute", c.Limits.FailedLoginsPerMinute, 0, most)
	within(found, "limits.startsPerMinute", c.Limits.StartsPerMinute, 0, most)
	within(found, "limits.bodyBytes", c.Limits.BodyBytes, 64<<10, 64<<20)
	within(found, "limits.connections", c.Limits.Connections, 16, most)
	within(found, "limits.streamsPerAddress", c.Limits.StreamsPerAddress, 1, most)
	if n := c.Limits.PageFramesPerSecond; n != 0 { // fewer than the script sends of a page on which somebody types
		within(found, "limits.pageFramesPerSecond", n, 10, most)
	}
	if n := c.Limits.PageBytesPerSecond; n != 0 { // eight times as many hold a full frame
		within(found, "limits.pageBytesPerSecond", n, 512<<10, 1<<30)
	}
}

func (t TLS) check(found *problems) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		found.add("tls", "certFile and keyFile belong together, one of them is missing")
	}
	if t.SelfSigned && t.CertFile != "" {
		found.add("tls.selfSigned", "true beside certFile, want one of them")
	}
	for i, name := range t.Names {
		if strings.ContainsAny(name, "/: ") && net.ParseIP(name) == nil {
			found.add(fmt.Sprintf("tls.names[%d]", i), "%q, want a host name or an address, without scheme and port", name)
		}
	}
}

// StoredInRedis reports whether the store is a Redis server, or several.
func (c Config) StoredInRedis() bool {
	kind, _, _ := strings.Cut(c.Store, "://")
	return slices.Contains([]string{"redis", "rediss", "redis+unix", "redis-sentinel", "rediss-sentinel"}, kind)
}

// checkStore looks at what can be seen without the store: the address of a Redis server
// is read when it is connected to.
func (c Config) checkStore(found *problems) {
	if c.StoredInRedis() {
		if c.TLS.SelfSigned {
			found.add("tls.selfSigned", "true, but the certificate is kept beside the store and this one has no file: want tls.certFile and tls.keyFile")
		}
		return
	}
	if _, err := c.StoreFile(); err != nil {
		found.add("store", "%v", err)
	}
}

// StoreFile returns the path of the embedded store's file. It fails for any other
// kind of store.
func (c Config) StoreFile() (string, error) {
	kind, path, found := strings.Cut(c.Store, ":")
	switch {
	case !found || kind != "bolt":
		// The text may be a URL with a password in it, so only its kind is shown.
		shown := "no scheme"
		if found {
			shown = kind + ":"
		}
		return "", fmt.Errorf("%s, want bolt:FILE or redis://HOST:PORT", shown)
	case path == "":
		return "", errors.New("bolt: without a file, want for instance bolt:cobridge.db")
	}
	return path, nil
}

// Proxies returns TrustedProxies as prefixes. Entries that are none are left out.
func (c Config) Proxies() []netip.Prefix {
	var all []netip.Prefix
	for _, cidr := range c.TrustedProxies {
		if p, err := netip.ParsePrefix(cidr); err == nil {
			all = append(all, p.Masked())
		}
	}
	return all
}

// At completes what follows from the address (host:port) that is listened on: the
// base URL and the issuer, where they are not set. An address on all interfaces
// gives localhost, since a link needs a host. Addresses lose what browsers leave
// out of an origin, so that they compare equal: the default port, a slash at the end.
func (c Config) At(listen string) Config {
	if c.BaseURL == "" {
		scheme := "http"
		if c.TLS.Enabled() {
			scheme = "https"
		}
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			host, port = "localhost", "0"
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "localhost"
		}
		c.BaseURL = scheme + "://" + net.JoinHostPort(host, port)
	}
	c.BaseURL, c.ViewerBaseURL = normal(c.BaseURL), normal(c.ViewerBaseURL)
	if c.OAuth.Issuer == "" {
		c.OAuth.Issuer = c.BaseURL
	}
	return c
}

// normal returns an http(s) URL with its origin as browsers serialise it and
// without a slash at the end.
func normal(address string) string {
	u, err := url.Parse(address)
	origin := originOf(address)
	if err != nil || origin == "" {
		return address
	}
	return origin + strings.TrimRight(u.EscapedPath(), "/")
}

func checkAddress(found *problems, path, address string) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		found.add(path, "%q, want host:port, for instance 127.0.0.1:8080", address)
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		found.add(path, "port %q, want 0 to 65535", port)
	}
}

func checkBaseURL(found *problems, path, text string, prefix bool) {
	if text == "" {
		return
	}
	if err := checkBase(text, prefix); err != nil {
		found.add(path, "%q, %v", text, err)
	}
}

// checkBase accepts an absolute http or https URL without user, query and
// fragment, and with a path only where a prefix is allowed.
func checkBase(text string, prefix bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Opaque != "" || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("want an absolute http or https URL")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return errors.New("want it without user, query and fragment")
	case !prefix && u.Path != "" && u.Path != "/":
		return errors.New("want it without a path")
	}
	return nil
}

func oneOf(found *problems, path, value string, known ...string) {
	if !slices.Contains(known, value) {
		last := len(known) - 1
		found.add(path, "%q, want %s or %s", value, strings.Join(known[:last], ", "), known[last])
	}
}

func within[T cmp.Ordered](found *problems, path string, value, least, most T) {
	if value < least || value > most {
		found.add(path, "%s, want %s..%s", plain(value), plain(least), plain(most))
	}
}

func plain(value any) string {
	if d, ok := value.(time.Duration); ok {
		return formatDuration(d)
	}
	return fmt.Sprint(value)
}
