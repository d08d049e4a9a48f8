package testenv_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/testenv"
)

// recorder is a testing.TB that notes how the test would have ended.
type recorder struct {
	testing.TB

	skipped, failed string
}

func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// need calls Need as a test of its own would, and returns when that test ended.
func need(t *testing.T, name string) (path string, r *recorder) {
	t.Helper()
	r = &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		path = testenv.Need(r, name)
	}()
	<-done
	return path, r
}

// only makes dir the whole PATH and puts programs that run the given script
// lines in it.
func only(t *testing.T, programs map[string]string) (dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the programs of this test are shell scripts")
	}
	dir = t.TempDir()
	for name, line := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+line+"\n"), 0o755); err != nil {
			t.Fatalf("write %s: %v", name, err)
		}
	}
	t.Setenv("PATH", dir)
	return dir
}

func TestNeedReturnsTheFirstThatWorks(t *testing.T) {
	dir := only(t, map[string]string{
		"chromium-browser": "echo 'install the snap' >&2; exit 1",
		"google-chrome":    `test "$1" = --version`,
	})
	for _, require := range []string{"", "python-httpx,chromium"} {
		t.Setenv("COBRIDGE_REQUIRE", require)
		path, r := need(t, testenv.Chromium)
		if want := filepath.Join(dir, "google-chrome"); path != want || r.skipped != "" || r.failed != "" {
			t.Errorf("COBRIDGE_REQUIRE=%q: Need = %q (skipped %q, failed %q), want %q", require, path, r.skipped, r.failed, want)
		}
	}
}

func TestNeedWithoutTheComponent(t *testing.T) {
	only(t, map[string]string{"chromium": "exit 1"})
	for name, tt := range map[string]struct {
		require, component string
		skipped, failed    string // parts of the message; "" means it did not end that way
	}{
		"nothing is required":       {"", testenv.Chromium, "Debian package chromium", ""},
		"another is required":       {"python-httpx", testenv.Chromium, "chromium is missing", ""},
		"it is required":            {"chromium", testenv.Chromium, "", "chromium is required here"},
		"it is one of the required": {"python-httpx, chromium", testenv.Chromium, "", "chromium is required here"},
		"the list has a mistake":    {"chromum", testenv.Chromium, "", `"chromum"`},
		"the test has a mistake":    {"", "chromum", "", `"chromum"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("COBRIDGE_REQUIRE", tt.require)
			path, r := need(t, tt.component)
			if path != "" {
				t.Errorf("Need = %q, want no path", path)
			}
			if (r.skipped != "") != (tt.skipped != "") || !strings.Contains(r.skipped, tt.skipped) {
				t.Errorf("skipped with %q, want %q", r.skipped, tt.skipped)
			}
			if (r.failed != "") != (tt.failed != "") || !strings.Contains(r.failed, tt.failed) {
				t.Errorf("failed with %q, want %q", r.failed, tt.failed)
			}
		})
	}
}

// The real components of this machine: what make test requires must be found.
func TestNeedFindsWhatIsRequiredHere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{testenv.Chromium, testenv.Node, testenv.PythonHTTPX} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if path := testenv.Need(t, name); !filepath.IsAbs(path) {
				t.Errorf("Need(%s) = %q, want an absolute path", name, path)
			}
		})
	}
}
