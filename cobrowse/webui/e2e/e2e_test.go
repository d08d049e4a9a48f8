package e2e_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/testenv"
)

// limit ends a file of scenarios that hangs; the longest takes less than half of it.
const limit = 4 * time.Minute

// atOnce is how many browsers run at a time. Each file has one, and spends most
// of its time waiting for pages.
const atOnce = 2

// The service and the browser together: one subtest per file of scenarios.
func TestScenarios(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no signals to stop a process with")
	}
	node := testenv.Need(t, testenv.Node)
	chromium := testenv.Need(t, testenv.Chromium)
	testenv.NeedPackages(t, ".")
	binary := build(t)
	free := make(chan struct{}, atOnce)
	for _, file := range glob(t, "*.test.mjs") {
		t.Run(strings.TrimSuffix(file, ".test.mjs"), func(t *testing.T) {
			t.Parallel()
			free <- struct{}{}
			defer func() { <-free }()
			run(t, node, []string{"--test-reporter=spec", file}, "COBRIDGE_E2E_BINARY="+binary, "COBRIDGE_E2E_CHROMIUM="+chromium)
		})
	}
}

// The customer script and the viewer, part by part, without a browser.
func TestUnits(t *testing.T) {
	t.Parallel()
	node := testenv.Need(t, testenv.Node)
	for _, part := range []string{"sdk", "viewer", "gcb", "slave"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			files := glob(t, filepath.Join("..", "src", part, "test", "*.test.*js"))
			run(t, node, append([]string{"--test", "--test-reporter=spec"}, files...))
		})
	}
}

// The lock names packages and their hashes, not a machine that has them.
func TestLockNamesNoRegistry(t *testing.T) {
	t.Parallel()
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(lock, []byte(`"integrity": "sha512-`)) {
		t.Error("package-lock.json has no hashes")
	}
	for _, text := range []string{`"resolved"`, "://"} {
		if bytes.Contains(lock, []byte(text)) {
			t.Errorf("package-lock.json has %s in it", text)
		}
	}
}

// build compiles the program once, for all scenarios.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cobridge")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/cobridge")
	cmd.Dir = filepath.Join("..", "..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// run runs Node and shows what it printed when it failed. Asked to end, it takes
// the service and the browser along.
func run(t *testing.T, node string, args []string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, args...)
	cmd.Env = append(withoutOurs(os.Environ()), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	var out testenv.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil && t.Context().Err() == nil {
			t.Errorf("not done after %s", limit)
		}
		t.Fatalf("%s %s: %v\n%s", filepath.Base(node), strings.Join(args, " "), err, out.String())
	}
	if strings.Contains(out.String(), "tests 0\n") {
		t.Errorf("no test ran:\n%s", out.String())
	}
	t.Logf("%s\n%s", time.Since(begin).Round(time.Millisecond), out.String())
}

// withoutOurs drops the variables that would configure the program, and keeps
// the one that says where pictures go.
func withoutOurs(env []string) []string {
	var kept []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, "COBRIDGE_") || strings.HasPrefix(entry, "COBRIDGE_SCREENSHOTS=") {
			kept = append(kept, entry)
		}
	}
	return kept
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err == nil && len(files) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		t.Fatalf("list %s: %v", pattern, err)
	}
	return files
}
