package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/testenv"
)

// The examples of docs/mock-server.md are run as they stand there, with the binary, by
// the tools of their languages.
func TestMockGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/mock-server.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, block := range regexp.MustCompile("(?ms)^```(?:js|python|go)\n(?://|#) (\\S+)\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		files[block[1]] = block[2]
	}
	if len(files) != 3 {
		t.Fatalf("the guide has %d examples, want 3", len(files))
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		file    string
		command func(t *testing.T) []string
		more    map[string]string
		want    []string // in the output
	}{
		{
			"cobrowse.test.js", func(t *testing.T) []string {
				t.Helper()
				return []string{testenv.Need(t, testenv.Node), "--test", "--test-reporter=tap", "cobrowse.test.js"}
			},
			map[string]string{"package.json": `{"type":"module"}`},
			[]string{"# pass 3", "# fail 0"},
		},
		{
			"test_cobrowse.py", func(t *testing.T) []string {
				t.Helper()
				return []string{testenv.Need(t, testenv.PythonHTTPX), "-W", "error", "-m", "unittest", "-v", "test_cobrowse"}
			},
			nil,
			[]string{"Ran 4 tests", "OK"},
		},
		{
			"cobrowse_test.go", func(*testing.T) []string { return []string{"go", "test", "-v", "-count=1", "."} },
			map[string]string{"go.mod": "module guide.invalid/cobrowse\n\ngo 1.26\n"},
			[]string{"--- PASS: TestCreate ", "--- PASS: TestCreateWaitsWhenItIsTold "},
		},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			args := tt.command(t)
			dir := t.TempDir()
			if files[tt.file] == "" {
				t.Fatalf("the guide has no %s", tt.file)
			}
			write := func(name, content string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(tt.file, files[tt.file])
			for name, content := range tt.more {
				write(name, content)
			}
			cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "COBRIDGE="+path, "GOWORK=off", "GOFLAGS=-mod=mod", "GOTOOLCHAIN=local", "PYTHONDONTWRITEBYTECODE=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("the output has no %q:\n%s", want, out)
				}
			}
		})
	}
}
