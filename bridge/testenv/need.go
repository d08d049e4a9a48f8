package testenv

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// The components a test can ask for. Each name also stands in COBRIDGE_REQUIRE
// in the Makefile, and its package in .ci/setup.
const (
	Chromium    = "chromium"     // Chromium or Chrome, able to run headless
	Node        = "node"         // Node.js 20 or later
	PythonHTTPX = "python-httpx" // a Python 3 that can import httpx
	Curl        = "curl"         // for commands that documents say to paste
	JQ          = "jq"           // the same
	Redis       = "redis"        // redis-server 7.0 or later, or valkey-server 7.2 or later
)

// component says how to find a program: the first candidate that runs wins.
type component struct {
	candidates []string // names on PATH, or absolute paths
	probe      []string // arguments that make a working one exit with 0
	hint       string   // where to get it
}

func components() map[string]component {
	return map[string]component{
		// Running it tells the browser from Ubuntu's shim of the same name, which
		// only prints how to install the snap.
		Chromium: {
			candidates: []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"},
			probe:      []string{"--version"},
			hint:       "install the Debian package chromium, or Google Chrome",
		},
		Node: {
			candidates: []string{"node", "nodejs"},
			probe:      []string{"-e", "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)"},
			hint:       "install the Debian packages nodejs and npm, version 20 or later",
		},
		// Debian's python3-httpx belongs to /usr/bin/python3, which need not be
		// the python3 that stands first on PATH.
		PythonHTTPX: {
			candidates: []string{"python3", "/usr/bin/python3"},
			probe:      []string{"-c", "import httpx"},
			hint:       "install the Debian package python3-httpx",
		},
		Curl: {candidates: []string{"curl"}, probe: []string{"--version"}, hint: "install the Debian package curl"},
		JQ:   {candidates: []string{"jq"}, probe: []string{"--version"}, hint: "install the Debian package jq"},
		Redis: {
			candidates: []string{"redis-server", "valkey-server"}, probe: []string{"--version"},
			hint: "install the Debian package redis-server or valkey-server",
		},
	}
}

// probeLimit bounds one start of a candidate. A browser's first start on a cold
// and busy machine takes several seconds.
const probeLimit = 30 * time.Second

// Need returns the path of the named component's program. When no candidate
// works it skips the test, or fails it when COBRIDGE_REQUIRE, a list of names
// separated by commas, has the component. A name that is no component fails the
// test wherever it stands, so that a typing error cannot bring the skips back.
func Need(t testing.TB, name string) string {
	t.Helper()
	known := components()
	c, ok := known[name]
	if !ok {
		t.Fatalf("testenv: %q is no component", name)
	}
	must := required(t, name)
	for _, candidate := range c.candidates {
		if path, err := exec.LookPath(candidate); err == nil && works(t.Context(), path, c.probe) {
			return path
		}
	}
	missing(t, must, name, c.hint)
	return ""
}

// required reports whether COBRIDGE_REQUIRE has the component, and fails the
// test when it has one that is none.
func required(t testing.TB, name string) bool {
	t.Helper()
	known := components()
	list := strings.FieldsFunc(os.Getenv("COBRIDGE_REQUIRE"), func(r rune) bool { return r == ',' || r == ' ' })
	for _, r := range list {
		if _, ok := known[r]; !ok {
			t.Fatalf("testenv: COBRIDGE_REQUIRE has %q, which is no component", r)
		}
	}
	return slices.Contains(list, name)
}

// missing ends the test.
func missing(t testing.TB, must bool, name, hint string) {
	t.Helper()
	if must {
		t.Fatalf("%s is required here and missing: %s", name, hint)
	}
	t.Skipf("%s is missing: %s", name, hint)
}

func works(ctx context.Context, path string, probe []string) bool {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	return exec.CommandContext(ctx, path, probe...).Run() == nil
}
