package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/config"
)

// result is what one command line came to.
type result struct {
	code     int
	out, err string
}

// cli carries out a command line in this process.
func cli(t *testing.T, env []string, stdin string, args ...string) result {
	t.Helper()
	var out, err bytes.Buffer
	code := run(t.Context(), args, console{env: env, in: strings.NewReader(stdin), out: &out, err: &err})
	return result{code, out.String(), err.String()}
}

// want checks the exit code and what must stand in the output.
func (r result) want(t *testing.T, code int, out, err string) {
	t.Helper()
	if r.code != code || !strings.Contains(r.out, out) || !strings.Contains(r.err, err) {
		t.Errorf("exit code %d, output %q, errors %q; want %d, %q, %q", r.code, r.out, r.err, code, out, err)
	}
}

func writeFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	orgID  = "7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a01"
	secret = "0123456789abcdef0123456789abcdef"
)

// settings is a configuration file with an organisation and a client.
func settings(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	return writeFile(t, dir, "cobridge.yaml", `
store: bolt:`+filepath.Join(dir, "cobridge.db")+`
organisations:
  - id: `+orgID+`
    name: Example
    clients: [{id: configured, name: Configured, scopes: [users], secret: `+secret+`}]
`)
}

// demo runs the demonstration in this process until the test ends, or until the
// returned function stops it and returns its exit code.
func demo(t *testing.T, args ...string) (demoInfo, func() int) {
	t.Helper()
	read, write := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	exited := make(chan int, 1)
	var log bytes.Buffer
	go func() {
		code := run(ctx, append([]string{"demo", "--listen", "127.0.0.1:0", "--json"}, args...), console{in: strings.NewReader(""), out: write, err: &log})
		_ = write.CloseWithError(errors.New("the demo has ended"))
		exited <- code
	}()
	stop := sync.OnceValue(func() int {
		cancel()
		code := <-exited
		if t.Failed() {
			t.Logf("log of the demo:\n%s", &log)
		}
		return code
	})
	t.Cleanup(func() { stop() })
	line, err := bufio.NewReader(read).ReadBytes('\n')
	if err != nil {
		stop()
		t.Fatalf("read the demo's line: %v\n%s", err, &log)
	}
	var info demoInfo
	if err := json.Unmarshal(line, &info); err != nil {
		t.Fatalf("the demo's line is %q: %v", line, err)
	}
	return info, stop
}

// The help of every command, as users see it.
func TestHelp(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	var walk func(*cobra.Command, []string)
	walk = func(cmd *cobra.Command, path []string) {
		if cmd.Name() == "serve" || len(path) == 2 && path[0] == "config" && path[1] != "doc" {
			return // as long as docs/config.md, which is tested
		}
		r := cli(t, nil, "", append(path, "--help")...)
		if r.code != 0 || r.err != "" {
			t.Errorf("help of %q = %d, %q", path, r.code, r.err)
		}
		got.WriteString("$ " + strings.Join(append([]string{"cobridge"}, append(path, "--help")...), " ") + "\n" + r.out + "\n")
		for _, sub := range cmd.Commands() {
			walk(sub, append(slices.Clip(path), sub.Name()))
		}
	}
	walk(newRoot(console{}), nil)
	const golden = "testdata/help.golden"
	if os.Getenv("COBRIDGE_GOLDEN") != "" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("help (-want +got):\n%s", diff)
	}
}

// serve has a flag for each key.
func TestServeHelp(t *testing.T) {
	t.Parallel()
	r := cli(t, nil, "", "serve", "--help")
	for _, f := range config.Fields() {
		if f.Flag != "" && !strings.Contains(r.out, "--"+f.Flag+" ") {
			t.Errorf("the help of serve has no --%s", f.Flag)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	file := settings(t)
	for _, tt := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"fly"}, 2, `unknown command "fly"`},
		{[]string{"demo", "--fast"}, 2, "unknown flag: --fast"},
		{[]string{"demo", "now"}, 2, `unknown command "now"`},
		{[]string{"demo", "--listen", "0.0.0.0:0"}, 2, "loopback only"},
		{[]string{"demo", "--listen", ":0"}, 2, "loopback only"},
		{[]string{"demo", "--listen", "8080"}, 2, "want host:port"},
		{[]string{"serve", "--join-token-lifetime", "1s", "--store", "redis://x", "--listen", "x"}, 2, "join.tokenLifetime: 1s, want 10s..15m"},
		{[]string{"serve", "--listen", "256.0.0.1:80", "--store", "bolt:" + filepath.Join(t.TempDir(), "s.db")}, 1, "listen"},
		{[]string{"serve", "--config", "/nowhere/cobridge.yaml"}, 2, "read /nowhere/cobridge.yaml"},
		{[]string{"config", "check", "--log-level", "loud"}, 2, `log.level: "loud"`},
		{[]string{"config", "fix"}, 2, `unknown command "fix"`},
		{[]string{"client", "create", "--config", file}, 2, `required flag(s) "name", "org", "scope" not set`},
		{[]string{"client", "rotate"}, 2, "accepts 1 arg(s), received 0"},
		{[]string{"client", "delete", "a", "b"}, 2, "accepts 1 arg(s), received 2"},
		{[]string{"session", "show"}, 2, "accepts 1 arg(s)"},
		{[]string{"session", "end"}, 2, "requires at least 1 arg(s)"},
		{[]string{"session", "token"}, 2, "accepts between 1 and 2 arg(s)"},
		{[]string{"session", "token"}, 2, "Usage: cobridge session token SESSION [PARTICIPANT]"},
		{[]string{"session", "create"}, 2, `required flag(s) "conversation" not set`},
		{[]string{"session", "create", "--conversation", "c", "--supervisor", "u"}, 2, "who shares?"},
		{[]string{"session", "wait", "s", "--state", "idle", "--client-id", "x", "--client-secret-file", file}, 2, `--state "idle"`},
		{[]string{"session", "fly"}, 2, "See: cobridge session --help"},
		{[]string{"session", "list", "--client-id", "x", "--client-secret-file", file, "--server", "http://127.0.0.1:1"}, 1, "connection refused"},
		{[]string{"session", "list"}, 2, "which OAuth client?"},
		{[]string{"session", "list", "--client-id", "x"}, 2, "no client secret"},
		{[]string{"session", "list", "--client-id", "x", "--client-secret-file", "/nowhere/secret"}, 1, "read secret"},
		{[]string{"session", "list", "--client-id", "x", "--client-secret-file", "-"}, 1, "empty or too long"},
		{[]string{"session", "list", "--client-id", "x", "--client-secret-file", file, "--server", "nowhere"}, 2, "base URL"},
		{[]string{"session", "list", "--client-id", "x", "--client-secret-file", file, "--ca-file", file}, 1, "has none"},
		{[]string{"history", "export", "--from", "yesterday"}, 2, `"yesterday" is no date`},
	} {
		r := cli(t, nil, "", tt.args...)
		if r.code != tt.code || !strings.Contains(r.err, tt.err) || r.out != "" {
			t.Errorf("%q: exit code %d, output %q, errors %q; want %d and %q", tt.args, r.code, r.out, r.err, tt.code, tt.err)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	cli(t, nil, "", "version").want(t, 0, "cobridge ", "")
}

func TestConfigCommands(t *testing.T) {
	t.Parallel()
	file := settings(t)
	cli(t, nil, "", "config", "doc").want(t, 0, config.Document(), "")
	r := cli(t, []string{"COBRIDGE_CONFIG=" + file, "COBRIDGE_SERVER=x", "COBRIDGE_CLIENT_ID=y"}, "", "config", "print", "--log-format=json")
	r.want(t, 0, "secret: '***'", "")
	r.want(t, 0, "format: json", "")
	if strings.Contains(r.out, secret) {
		t.Errorf("config print shows a secret:\n%s", r.out)
	}
	cli(t, nil, "", "config", "check", "--config", file).want(t, 0, "The configuration is good.", "warning: viewerBaseUrl is not set")
	wrong := cli(t, []string{"COBRIDGE_LISTN=x"}, "", "config", "check", "--limits-body-bytes", "1")
	wrong.want(t, 2, "", "environment variable COBRIDGE_LISTN is no key")
	wrong.want(t, 2, "", "limits.bodyBytes: 1, want 65536..67108864")
}

func TestClientCommands(t *testing.T) {
	t.Parallel()
	file := settings(t)
	do := func(args ...string) result {
		t.Helper()
		return cli(t, nil, "", append(append([]string{"client"}, args...), "--config", file)...)
	}
	var made struct{ ClientID, ClientSecret string }
	r := do("create", "--org", orgID, "--name", "CRM", "--scope", "cobrowse:session:read,cobrowse:session:write", "--scope", "users", "--lifetime", "1h", "--json")
	if err := json.Unmarshal([]byte(r.out), &made); err != nil || r.code != 0 || len(made.ClientSecret) != 43 {
		t.Fatalf("create = %+v, %v", r, err)
	}
	do("create", "--org", orgID, "--name", "Again", "--scope", "users", "--id", made.ClientID).want(t, 1, "", "request.conflict")
	do("create", "--org", orgID, "--name", "Text", "--scope", "users", "--id", "text").want(t, 0, "cannot be shown again", "")
	do("create", "--org", "7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0aff", "--name", "Lost", "--scope", "users").want(t, 1, "", "Organisations stand in the configuration file")
	do("create", "--org", orgID, "--name", "Wrong", "--scope", "everything").want(t, 1, "", "constraint.validation")

	list := do("list")
	for _, text := range []string{made.ClientID, "configured", "CRM", "3600s", "cobrowse:session:read cobrowse:session:write users"} {
		list.want(t, 0, text, "")
	}
	if strings.Contains(list.out, made.ClientSecret) {
		t.Error("list shows a secret")
	}
	do("list", "--json", "--org", "nobody").want(t, 0, "[]", "")

	rotated := do("rotate", made.ClientID, "--overlap", "0s")
	rotated.want(t, 0, "client secret  ", "")
	if strings.Contains(rotated.out, made.ClientSecret) {
		t.Error("rotate gives the old secret")
	}
	do("rotate", "nobody").want(t, 1, "", "not.found")
	do("rotate", "configured").want(t, 1, "", "stands in the configuration file")
	do("delete", "configured").want(t, 1, "", "stands in the configuration file")
	do("delete", made.ClientID).want(t, 0, "deleted "+made.ClientID, "")
	do("delete", made.ClientID).want(t, 1, "", "not.found")
}

// Who looks in the wrong place hears of it, and finds no empty store there.
func TestNoStoreByAccident(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "none", "cobridge.db")
	for _, args := range [][]string{
		{"client", "list"},
		{"client", "rotate", "a"},
		{"client", "delete", "a"},
		{"client", "create", "--org", orgID, "--name", "CRM", "--scope", "users"},
		{"key", "rotate"},
	} {
		cli(t, nil, "", append(args, "--store", "bolt:"+path)...).want(t, 1, "", "there is no store "+path)
	}
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("a store was made")
	}
	junk := writeFile(t, t.TempDir(), "junk.db", strings.Repeat("junk", 1250))
	cli(t, nil, "", "client", "list", "--store", "bolt:"+junk).want(t, 1, "", junk)
}

// The store belongs to one process; serve refuses what the demo leaves in it.
func TestDemoAndItsStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := "bolt:" + filepath.Join(dir, "cobridge.db")
	first, stop := demo(t, "--data", dir)
	cli(t, nil, "", "client", "list", "--store", store).want(t, 1, "", "in use by another process")
	if code := stop(); code != 0 {
		t.Fatalf("exit code of the demo = %d, want 0", code)
	}
	second, stop := demo(t, "--data", dir)
	first.BaseURL, first.CustomerURL, first.JoinURLs = second.BaseURL, second.CustomerURL, second.JoinURLs // another port
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("second start (-first +second):\n%s", diff)
	}
	if code := stop(); code != 0 {
		t.Fatalf("exit code of the demo = %d, want 0", code)
	}
	cli(t, nil, "", "serve", "--listen", "127.0.0.1:0", "--store", store).want(t, 1, "", "well known: cobridge client delete "+config.DemoClientID)
	cli(t, nil, "", "client", "delete", config.DemoClientID, "--store", store).want(t, 0, "deleted", "")
}

// Without --data nothing is left behind.
func TestDemoLeavesNothing(t *testing.T) {
	t.Parallel()
	dir, remove, err := demoDir("")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "cobridge.db", "x")
	remove()
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat of the temporary directory = %v, want that it is gone", err)
	}
}

// unwritable is a console that nobody reads.
type unwritable struct{}

func (unwritable) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestDemoNobodyReads(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	code := run(t.Context(), []string{"demo", "--listen", "127.0.0.1:0"}, console{out: unwritable{}, err: &log})
	if code != 1 || !strings.Contains(log.String(), io.ErrClosedPipe.Error()) {
		t.Errorf("exit code %d, errors %q, want 1 and why", code, &log)
	}
}
