package config_test

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/cobridge/cobridge/bridge/config"
)

// file writes a configuration file and returns its path.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cobridge.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// flags parses a command line that has a flag for each key.
func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	set.Bool("other", true, "a flag that is no key")
	config.AddFlags(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return set
}

// problemsOf returns the problems of a failed load as lines.
func problemsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	failed, ok := errors.AsType[*config.Error](err)
	if !ok {
		t.Fatalf("error is %T (%v), want *config.Error", err, err)
	}
	lines := make([]string, len(failed.Problems))
	for i, p := range failed.Problems {
		lines[i] = p.String()
	}
	return lines
}

func TestDefaultIsValid(t *testing.T) {
	t.Parallel()
	got, err := config.Load(config.Sources{Flags: flags(t)})
	if err != nil {
		t.Fatalf("Load = %v", err)
	}
	if diff := cmp.Diff(config.Default(), got); diff != "" {
		t.Errorf("Load of nothing differs from Default (-want +got):\n%s", diff)
	}
}

// Each layer overrides the one before it, key by key.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	path := file(t, "join: {tokenLifetime: 1m}\nlisten: 127.0.0.1:1\nlog: {level: debug, format: json}\n")
	environ := []string{"PATH=/bin", "COBRIDGE_JOIN_TOKEN_LIFETIME=2m", "COBRIDGE_LISTEN=127.0.0.1:2", "COBRIDGE_SESSION_ONE_SESSION_PER_AGENT=false"}
	cfg, err := config.Load(config.Sources{File: path, Env: environ, Flags: flags(t, "--join-token-lifetime=3m", "--tls-self-signed", "--other=false")})
	if err != nil {
		t.Fatalf("Load = %v", err)
	}
	want := config.Default()
	want.Join.TokenLifetime = 3 * time.Minute
	want.Listen = "127.0.0.1:2"
	want.Log = config.Log{Level: "debug", Format: "json"}
	want.Session.OneSessionPerAgent = false
	want.TLS.SelfSigned = true
	if diff := cmp.Diff(want, cfg); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

func TestFileFromEnvironment(t *testing.T) {
	t.Parallel()
	path := file(t, "retention: {history: 30d}\n")
	cfg, err := config.Load(config.Sources{Env: []string{"COBRIDGE_CONFIG=" + path}})
	if err != nil {
		t.Fatalf("Load = %v", err)
	}
	if got, want := cfg.Retention.History, 30*24*time.Hour; got != want {
		t.Errorf("retention.history = %s, want %s", got, want)
	}
	if _, err := config.Load(config.Sources{Env: []string{"COBRIDGE_CONFIG=" + path + ".not"}}); err == nil {
		t.Error("Load with a file that does not exist = nil, want an error")
	}
}

// values has for each key outside of lists a value that is good and not the
// default: what a variable or a flag has, and what it must become.
func values() map[string]struct {
	text string
	want any
} {
	type value = struct {
		text string
		want any
	}
	return map[string]value{
		"listen": {"127.0.0.1:9", "127.0.0.1:9"}, "adminListen": {"127.0.0.1:10", "127.0.0.1:10"}, "adminToken": {"s", config.Secret("s")}, "adminTokenFile": {"f", "f"},
		"baseUrl": {"https://a.example/x", "https://a.example/x"}, "viewerBaseUrl": {"https://v.example", "https://v.example"},
		"tls.certFile": {"c.pem", "c.pem"}, "tls.keyFile": {"k.pem", "k.pem"}, "tls.selfSigned": {"true", true}, "tls.hsts": {"false", false},
		"tls.names": {"a.example, b.example", []string{"a.example", "b.example"}}, "trustedProxies": {"10.0.0.0/8,192.0.2.1/32", []string{"10.0.0.0/8", "192.0.2.1/32"}},
		"store": {"bolt:x.db", "bolt:x.db"}, "log.level": {"warn", "warn"}, "log.format": {"json", "json"},
		"oauth.issuer": {"https://i.example", "https://i.example"}, "oauth.signingAlgorithm": {"RS256", "RS256"}, "oauth.invalidClientStatus": {"400", 400}, "oauth.keyLifetime": {"30d", 30 * 24 * time.Hour},
		"join.tokenLifetime": {"90s", 90 * time.Second}, "session.defaultTimeout": {"20m", 20 * time.Minute}, "session.neverJoined": {"30m", 30 * time.Minute},
		"session.grace": {"60s", time.Minute}, "session.maxDuration": {"1d", 24 * time.Hour}, "session.oneSessionPerAgent": {"false", false},
		"session.maxViewers": {"7", 7}, "retention.history": {"1d12h", 36 * time.Hour}, "retention.conversations": {"48h", 48 * time.Hour},
		"limits.tokenPerMinute": {"0", 0}, "limits.addressPerMinute": {"1", 1}, "limits.failedLoginsPerMinute": {"2", 2}, "limits.startsPerMinute": {"3", 3},
		"limits.bodyBytes": {"131072", 131072}, "limits.connections": {"32", 32}, "limits.streamsPerAddress": {"4", 4}, "limits.pageFramesPerSecond": {"0", 0}, "limits.pageBytesPerSecond": {"524288", 524288},
		"shutdown.drain":      {"0s", time.Duration(0)},
		"cluster.advertise":   {"https://10.0.0.7:8443", "https://10.0.0.7:8443"},
		"cluster.caFile":      {"nodes.pem", "nodes.pem"},
		"cluster.heartbeat":   {"1s", time.Second},
		"cluster.deadAfter":   {"20s", 20 * time.Second},
		"legacy.organisation": {orgID, orgID}, "legacy.allowedOrigins": {"https://a.example,https://b.example", []string{"https://a.example", "https://b.example"}}, "legacy.access.knowledge": {"open", "open"},
		"legacy.enabled": {"true", true}, "legacy.deployment": {siteID, siteID}, "legacy.basePath": {"/gcb/cobrowse", "/gcb/cobrowse"}, "legacy.serverName": {"cob-a", "cob-a"}, "legacy.serverUrl": {"https://a.example/cobrowse", "https://a.example/cobrowse"},
		"legacy.deskOrigins": {"https://d.example", []string{"https://d.example"}}, "legacy.access.create": {"open", "open"}, "legacy.access.get": {"basic", "basic"}, "legacy.access.customer": {"bearer", "bearer"},
		"legacy.access.agent": {"origin", "origin"}, "legacy.access.controller": {"basic", "basic"}, "legacy.access.history": {"open", "open"}, "legacy.logSessionToken": {"true", true}, "legacy.callbackPolling": {"true", true},
		"legacy.domRestrictions.source": {"dom.xml", "dom.xml"}, "legacy.domRestrictions.every": {"1m", time.Minute}, "legacy.upstream.url": {"https://old.example/cobrowse", "https://old.example/cobrowse"},
		"webhooks.allowHttp": {"true", true}, "webhooks.allowNetworks": {"10.0.0.0/8,fd00::/8", []string{"10.0.0.0/8", "fd00::/8"}}, "webhooks.retryDelays": {"1s,2m", []string{"1s", "2m"}},
		"webhooks.timeout": {"5s", 5 * time.Second}, "webhooks.workers": {"8", 8}, "webhooks.perWebhook": {"2", 2}, "webhooks.perOrganisation": {"3", 3}, "webhooks.outbox": {"100", 100},
		"webhooks.keepDead": {"3d", 72 * time.Hour}, "webhooks.disableAfter": {"0", time.Duration(0)},
		"directory": {"genesyscloud", "genesyscloud"}, "genesysCloud.region": {"eu_central_1", "eu_central_1"}, "genesysCloud.baseUrl": {"https://api.example", "https://api.example"},
		"genesysCloud.loginUrl": {"https://login.example", "https://login.example"}, "genesysCloud.clientId": {"c", "c"}, "genesysCloud.clientSecret": {"s", config.Secret("s")},
		"genesysCloud.clientSecretFile": {"f", "f"}, "genesysCloud.organisation": {orgID, orgID}, "genesysCloud.timeout": {"2s", 2 * time.Second}, "genesysCloud.poll": {"1m", time.Minute},
		"legacy.upstream.timeout": {"2s", 2 * time.Second}, "legacy.upstream.import": {"true", true}, "legacy.upstream.user": {"u", "u"}, "legacy.upstream.password": {"p", config.Secret("p")},
		"legacy.knowledge.enabled": {"true", true}, "legacy.knowledge.basePath": {"/knowmgt/gks-server/v1", "/knowmgt/gks-server/v1"}, "legacy.knowledge.bareSessions": {"true", true},
		"legacy.knowledge.profile": {"9.0", "9.0"}, "legacy.knowledge.tenants": {"2,acme", []string{"2", "acme"}}, "legacy.knowledge.idleTimeout": {"1h", time.Hour},
	}
}

// at returns the value at a dotted path of a configuration.
func at(cfg config.Config, path string) any {
	v := reflect.ValueOf(cfg)
	for key := range strings.SplitSeq(path, ".") {
		for i := range v.NumField() {
			if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); tag == key {
				v = v.Field(i)
				break
			}
		}
	}
	return v.Interface()
}

// Every key has its own variable and its own flag, and both work.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	known := values()
	seen := map[string]string{}
	for _, f := range config.Fields() {
		if f.Doc == "" {
			t.Errorf("%s has no doc text", f.Path)
		}
		if f.Env == "" {
			if !strings.HasPrefix(f.Path, "organisations") {
				t.Errorf("%s has no variable", f.Path)
			}
			continue
		}
		for _, name := range []string{f.Env, f.Flag} {
			if other, ok := seen[name]; ok {
				t.Errorf("%s and %s share the name %s", f.Path, other, name)
			}
			seen[name] = f.Path
		}
		v, ok := known[f.Path]
		if !ok {
			t.Errorf("the test has no value for %s", f.Path)
			continue
		}
		delete(known, f.Path)
		for from, src := range map[string]config.Sources{
			"environment": {Env: []string{f.Env + "=" + v.text}},
			"flag":        {Flags: flags(t, "--"+f.Flag+"="+v.text)},
		} {
			// Alone, one half of a pair is a problem; the value is there nevertheless.
			got, _ := config.Load(src)
			if diff := cmp.Diff(v.want, at(got, f.Path)); diff != "" {
				t.Errorf("%s from the %s (-want +got):\n%s", f.Path, from, diff)
			}
			if reflect.DeepEqual(at(config.Default(), f.Path), v.want) {
				t.Errorf("%s: the test's value is the default", f.Path)
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(known)) {
		t.Errorf("the test has a value for %s, which is no key", path)
	}
}

func TestKeyNames(t *testing.T) {
	t.Parallel()
	for _, f := range config.Fields() {
		if f.Path == "join.tokenLifetime" {
			if got, want := f.Env+" "+f.Flag, "COBRIDGE_JOIN_TOKEN_LIFETIME join-token-lifetime"; got != want {
				t.Errorf("names = %q, want %q", got, want)
			}
			return
		}
	}
	t.Error("join.tokenLifetime is no key")
}

// A file's typing errors, wrong types and broken rules come out together.
func TestAllProblemsTogether(t *testing.T) {
	t.Parallel()
	path := file(t, `
listen: 8080
baseurl: https://a.example
join: {tokenLifetime: 0s, colour: red}
session: {defaultTimeout: 90s, maxViewers: many, grace: 15}
log: loud
organisations:
  - id: 7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a01
    name: Example
    users: [{id: x, title_of: A}]
    clients: [{id: c, name: C, scopes: [all], secret: 12345678}]
`)
	_, err := config.Load(config.Sources{
		File: path, Env: []string{"COBRIDGE_JOIN_TOKENLIFETIME=1m", "COBRIDGE_LIMITS_BODY_BYTES=big", "COBRIDGE_SERVER=http://127.0.0.1"},
		OtherEnv: []string{"COBRIDGE_SERVER"}, Flags: flags(t, "--retention-history=soon"),
	})
	want := []string{
		`environment variable COBRIDGE_JOIN_TOKENLIFETIME is no key of the configuration`,
		`baseurl: unknown key; did you mean baseUrl?`,
		`join.colour: unknown key`,
		`limits.bodyBytes: "big", want a whole number`,
		`listen: 8080, want a text; put it in quotes`,
		`log: "loud", want a section with keys`,
		`organisations[0].clients[0].secret: ***, want a text; put it in quotes`,
		`organisations[0].users[0].title_of: unknown key`,
		`retention.history: "soon", want a duration such as 90s, 15m or 14d`,
		`session.grace: 15, want a duration with its unit, such as 90s, 15m or 14d`,
		`session.maxViewers: "many", want a whole number`,
		`join.tokenLifetime: 0s, want 10s..15m`,
		`session.defaultTimeout: 1m30s, want whole minutes`,
		`organisations[0].users[0].id: "x", want a lower-case UUID`,
		`organisations[0].users[0].name: 0 characters, want 1..200`,
		`organisations[0].clients[0].scopes[0]: "all", want one of`,
		`organisations[0].clients[0].secret: 0 characters, want 32..256`,
	}
	got := problemsOf(t, err)
	for i, line := range got {
		if before, _, found := strings.Cut(line, "one of analytics"); found {
			got[i] = before + "one of"
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"not YAML":      "listen: [",
		"a key twice":   "listen: a:1\nlisten: b:2\n",
		"a list on top": "- listen\n",
	} {
		if _, err := config.Load(config.Sources{File: file(t, text)}); len(problemsOf(t, err)) == 0 {
			t.Errorf("%s: Load = nil, want a problem", name)
		}
	}
}

// A key without a value is as if it were not there.
func TestEmptyKeys(t *testing.T) {
	t.Parallel()
	cfg, err := config.Load(config.Sources{File: file(t, "join:\nlisten:\norganisations:\n")})
	if err != nil {
		t.Fatalf("Load = %v", err)
	}
	if diff := cmp.Diff(config.Default(), cfg); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

// Kubernetes and our own tests set variables with our prefix.
func TestForeignVariables(t *testing.T) {
	t.Parallel()
	environ := []string{
		"COBRIDGE_PORT=tcp://10.0.0.1:8080", "COBRIDGE_PORT_8080_TCP_ADDR=10.0.0.1", "COBRIDGE_SERVICE_HOST=10.0.0.1", "COBRIDGE_SERVICE_PORT=8080",
		"COBRIDGE_REQUIRE=chromium", "COBRIDGE_GOLDEN=rewrite",
	}
	if _, err := config.Load(config.Sources{Env: environ}); err != nil {
		t.Errorf("Load = %v, want nil", err)
	}
}

func TestSecretFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := strings.Repeat("s3cr3t", 8)
	for name, text := range map[string]string{
		"secret": secret + "\n", "empty": "\n", "huge": strings.Repeat("x", 5000),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, client, want string }{
		{"good, relative to the configuration", "secretFile: secret", ""},
		{"absolute", "secretFile: " + filepath.Join(dir, "secret"), ""},
		{"both", "secretFile: secret, secret: " + secret, "secretFile: stands beside secret"},
		{"missing", "secretFile: nowhere", "secretFile: open"},
		{"empty", "secretFile: empty", "secretFile: no secret in it"},
		{"huge", "secretFile: huge", "has 5000 bytes"},
	} {
		path := filepath.Join(dir, "cobridge.yaml")
		text := "organisations: [{id: 7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a01, name: E, clients: [{id: c, name: C, scopes: [users], " + tt.client + "}]}]"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Load(config.Sources{File: path})
		switch {
		case tt.want != "":
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: Load = %v, want %q without the secret", tt.name, err, tt.want)
			}
		case err != nil:
			t.Errorf("%s: Load = %v", tt.name, err)
		case cfg.Organisations[0].Clients[0].Secret.Reveal() != secret:
			t.Errorf("%s: the secret is not that of the file", tt.name)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\njoin: {tokenLifetime: 14d}\n")
	f.Add("organisations: [{id: x, conversations: [{participants: [{attributes: {a.b: c, 1: 2}}]}]}]")
	f.Add("tls: {names: [null, 7]}\nretention: {history: 99999d23h}")
	f.Add("1: 2\n? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := config.Load(config.Sources{File: file(t, text)})
		if err != nil {
			problemsOf(t, err) // of the right type
			return
		}
		printed, err := cfg.YAML()
		if err != nil {
			t.Fatalf("YAML = %v", err)
		}
		if len(cfg.Organisations) > 0 {
			return // secrets are not in it
		}
		again, err := config.Load(config.Sources{File: file(t, string(printed))})
		if err != nil {
			t.Fatalf("Load of what was printed = %v\n%s", err, printed)
		}
		again.TLS.Names, again.TrustedProxies = slices.Clip(again.TLS.Names), slices.Clip(again.TrustedProxies)
		if got, want := string(must(again.YAML())), string(printed); got != want {
			t.Errorf("printed again:\n%s\nwant\n%s", got, want)
		}
	})
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}
