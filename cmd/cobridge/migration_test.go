package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/cobridge/cobridge/bridge/testenv"
)

// readMigration returns docs/migration.md.
func readMigration(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// step is a block of commands of a page, and what the page says that it prints.
type step struct{ commands, prints string }

// steps returns the commands of a page that are followed by what they print.
func steps(page string) []step {
	var all []step
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)```\n\n```text\n(.*?)```").FindAllStringSubmatch(page, -1) {
		all = append(all, step{m[1], m[2]})
	}
	return all
}

// yamlBlocks returns the configurations of a page.
func yamlBlocks(page string) []string {
	var all []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1) {
		all = append(all, m[1])
	}
	return all
}

// tightened is the profile after the last step of the page.
func tightened(t *testing.T, page, profile, section string) string {
	t.Helper()
	head, _, _ := strings.Cut(profile, "\nlegacy:\n")
	for _, change := range [][2]string{
		{"\ntrustedProxies:", "\nviewerBaseUrl: https://agents.example\ntrustedProxies:"},
		{`showSelectors: [input, textarea, select, "[contenteditable]"]`, `showSelectors: ["#search", ".quantity"]`},
	} {
		changed := strings.Replace(head, change[0], change[1], 1)
		if changed == head || !strings.Contains(page, strings.TrimSuffix(strings.TrimSpace(change[1]), "\ntrustedProxies:")) {
			t.Errorf("the profile has no %q, or the page does not say %q", change[0], change[1])
		}
		head = changed
	}
	return head + "\n" + section
}

// reader is a shell that goes through a page from top to bottom.
type reader struct {
	in     io.WriteCloser
	out    *bufio.Reader
	errors strings.Builder
}

const endOfStep = "--- end of the step ---"

func newReader(t *testing.T, dir string) *reader {
	t.Helper()
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{}
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Dir, cmd.Stderr = dir, &r.errors
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "COBRIDGE_") })
	cmd.Env = append(cmd.Env, "LC_ALL=C", "PATH="+filepath.Dir(program)+string(os.PathListSeparator)+os.Getenv("PATH"))
	if r.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.out = bufio.NewReader(out)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		kill.Stop()
		_ = r.in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return r
}

// follow pastes a block, and checks what it prints.
func (r *reader) follow(t *testing.T, s step, names *strings.Replacer) {
	t.Helper()
	if _, err := fmt.Fprintf(r.in, "%s\necho '%s'\n", names.Replace(s.commands), endOfStep); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	for {
		line, err := r.out.ReadString('\n')
		if line == endOfStep+"\n" {
			break
		}
		printed.WriteString(line)
		if err != nil {
			t.Fatalf("the shell has ended (%v, %s) in\n%s\nafter\n%s", err, &r.errors, s.commands, &printed)
		}
	}
	if want := names.Replace(s.prints); printed.String() != want {
		t.Errorf("\n%s\nprints (%s)\n%s\nwant\n%s", s.commands, &r.errors, &printed, want)
	}
}

// oldNode stands in for the old server that is still there: two records, and one
// live session. It returns the address of its application, and the origin that the
// latest question about a live session came from.
func oldNode(t *testing.T) (app string, origin *atomic.Value) {
	t.Helper()
	origin = &atomic.Value{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		id := filepath.Base(r.URL.Path)
		switch r.URL.Path {
		case "/cobrowse/rest/history/sessions/0b5c3a52-2f6e-11ef-9c1e-0242ac120002", "/cobrowse/rest/history/sessions/0b5c3a53-2f6e-11ef-9c1e-0242ac120002":
			end := time.Now().Add(-time.Hour).UnixMilli()
			_, _ = fmt.Fprintf(w, `{"id":%q,"sessionToken":"407215938","creationTime":%d,"activationTime":%d,"deactivationTime":%d,"pages":[]}`, id, end-9000, end-8000, end)
		case "/cobrowse/rest/live/sessions/407215939":
			origin.Store(r.Header.Get("Origin"))
			_, _ = io.WriteString(w, `{"sessionToken":"407215939","sessionServerName":"old-node"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + "/cobrowse", origin
}

// freeAddress returns an address of this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// docs/migration.md is followed from top to bottom, with the program, by its own two
// configurations. Only addresses and paths are those of this machine.
func TestMigrationPage(t *testing.T) {
	t.Parallel()
	testenv.Need(t, testenv.Curl)
	testenv.Need(t, testenv.JQ)
	page := readMigration(t)
	before, after, found := strings.Cut(page, "\n## 8. ")
	install, use, found2 := strings.Cut(before, "\n## 4. ")
	files := yamlBlocks(page)
	if !found || !found2 || len(files) != 2 || len(steps(install)) != 1 || len(steps(use)) < 4 || len(steps(after)) != 1 {
		t.Fatal("the page has other parts than it had: a profile, a check of it, steps to use it, the tightened end of the file and a check of that")
	}
	dir := t.TempDir()
	config := writeFile(t, dir, "cobridge.yaml", files[0])
	restrictions := writeFile(t, dir, "domrestrictions.xml", `<domRestrictions/>`)
	old, asker := oldNode(t)
	address := freeAddress(t)
	names := strings.NewReplacer("https://cob.example", "http://"+address, "https://old-cob.example/cobrowse", old)
	shell := newReader(t, dir)
	shell.follow(t, steps(install)[0], strings.NewReplacer()) // by the file as it stands there

	serve := func(more ...string) *process {
		p := start(t, append([]string{
			"serve", "--config", config, "--listen", address, "--admin-listen", "127.0.0.1:0", "--base-url", "http://" + address,
			"--store", "bolt:" + filepath.Join(dir, "cobridge.db"), "--legacy-dom-restrictions-source", restrictions, "--log-format", "json",
		}, more...)...)
		p.until(t, `"listening"`)
		return p
	}
	p := serve("--legacy-upstream-url", old)
	for _, s := range steps(use) {
		shell.follow(t, s, names)
	}
	if line := p.until(t, "Session created. Token: "); !regexp.MustCompile(`Session created\. Token: \d{9} Id: [0-9a-f-]{36}`).MatchString(line) {
		t.Errorf("the log line is %s", line)
	}
	checkElsewhere(t, "http://"+address, old, asker)
	p.signal(t, syscall.SIGTERM)
	if _, code := p.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}

	if !strings.Contains(after, "`cobridge config check` has no warning left") {
		t.Error("the page does not say any more that there is no warning left")
	}
	writeFile(t, dir, "cobridge.yaml", tightened(t, page, files[0], files[1]))
	cli(t, nil, "", "config", "check", "--config", config).want(t, 0, "The configuration is good.", "")
	if warned := cli(t, nil, "", "config", "check", "--config", config).err; warned != "" {
		t.Errorf("the tightened configuration warns: %s", warned)
	}
	p = serve()
	shell.follow(t, steps(after)[0], names)
	if line := p.until(t, "Session created. Token: "); !strings.Contains(line, "Token: ********* Id: ") {
		t.Errorf("the log line is %s", line)
	}
}

// checkElsewhere asks for a session of the old server, as desktops do.
func checkElsewhere(t *testing.T, base, old string, asker *atomic.Value) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/cobrowse/rest/live/sessions/407215939", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://desk.example")
	client := &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got struct{ SessionServerName, SessionServerURL string }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.SessionServerName != "old-node" || got.SessionServerURL != old {
		t.Errorf("a session of the old server = %d %+v (%v), want old-node at %s", resp.StatusCode, got, err, old)
	}
	if origin := asker.Load(); origin != base {
		t.Errorf("the old server was asked by %v, want %s", origin, base)
	}
}

// What docs/migration.md calls a key, a command or a flag is one.
func TestMigrationNames(t *testing.T) {
	t.Parallel()
	page := readMigration(t)
	reference, err := os.ReadFile("../../docs/config.md")
	if err != nil {
		t.Fatal(err)
	}
	keys, words, sections := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(reference), -1) {
		section, _, _ := strings.Cut(m[1], ".")
		sections[strings.TrimSuffix(section, "[]")] = true
		for key := m[1]; key != ""; {
			keys[key] = true
			i := max(strings.LastIndexByte(key, '.'), 0)
			words[strings.TrimSuffix(strings.TrimPrefix(key[i:], "."), "[]")] = true
			key = key[:i]
		}
	}
	if len(keys) < 60 {
		t.Fatalf("%d keys in config.md, are they still written so?", len(keys))
	}
	// Names of the old product and of scripts.
	for _, name := range []string{
		"sessionServerUrl", "gcbSessionServer", "serverUrl", "useChat", "secureUrl", "useSecureConnection", "allowedExternalDomains", "onReady",
		"primaryMedia", "startSession", "sendCbSessionToken", "chatAPI", "sessionHistoryId", "userToken", "disableWebSockets", "cobridgeDesk",
	} {
		words[name] = true
	}
	dotted := regexp.MustCompile(`^[a-z][A-Za-z]*(\[\])?(\.[A-Za-z]+(\[\])?)+$`)
	camel := regexp.MustCompile(`^[a-z]+([A-Z][a-zA-Z]*)+$`)
	n := 0
	for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(regexp.MustCompile("(?s)```.*?```").ReplaceAllString(page, ""), -1) {
		name, _, _ := strings.Cut(m[1], ":")
		section, _, _ := strings.Cut(name, ".")
		switch {
		case strings.HasPrefix(m[1], "cobridge "):
			checkCommand(t, m[1])
			n++
		case dotted.MatchString(name) && sections[strings.TrimSuffix(section, "[]")]:
			n++
			if !keys[name] {
				t.Errorf("the page names the key %s, which there is not", name)
			}
		case camel.MatchString(name):
			n++
			if !words[name] {
				t.Errorf("the page names %s, which is no part of a key, and no known name of the old product", name)
			}
		}
	}
	if n < 60 {
		t.Errorf("%d keys and commands in the page, are they still found?", n)
	}
}

// checkCommand checks that a command line has a command and flags that there are.
func checkCommand(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)[1:]
	cmd, rest, err := newRoot(console{}).Find(words)
	if err == nil && len(rest) > 0 && cmd.HasSubCommands() && !strings.HasPrefix(rest[0], "-") {
		err = errors.New("no such command")
	}
	if err != nil {
		t.Errorf("the page names %q: %v", line, err)
		return
	}
	for _, word := range rest {
		if name, ok := strings.CutPrefix(word, "--"); ok && flagOf(cmd, name) == nil {
			t.Errorf("the page names %q: no flag --%s", line, name)
		}
	}
}

func flagOf(cmd *cobra.Command, name string) any {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f
	}
	if f := cmd.InheritedFlags().Lookup(name); f != nil {
		return f
	}
	return nil
}
