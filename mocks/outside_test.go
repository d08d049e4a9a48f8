package mocks_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// guides are what users read; the code of each is a package with tests that has to
// work as it stands, and of which these pass.
func guides() map[string][]string {
	return map[string][]string{
		"testing-your-integration.md": {"TestCreate", "TestCreateWaitsWhenItIsTold", "TestCreateRefused", "TestWhatBecomesOfIt"},
		"client.md":                   {"TestShow", "TestFollow", "TestNobodyComes", "TestAdvice"},
	}
}

var (
	goBlocks = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	fileName = regexp.MustCompile(`^// ([a-z_]+\.go)\n`)
)

// A guide's code is tested as its readers would: in a module of its own that only
// requires this one, with nothing but what is in the module cache.
func TestOutsideThisModule(t *testing.T) {
	t.Parallel()
	for guide, tests := range guides() {
		t.Run(guide, func(t *testing.T) {
			t.Parallel()
			testGuide(t, guide, tests)
		})
	}
}

func testGuide(t *testing.T, guide string, tests []string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs", guide))
	if err != nil {
		t.Fatal(err)
	}
	files, last := map[string]string{}, ""
	for _, block := range goBlocks.FindAllStringSubmatch(string(text), -1) {
		code := block[1]
		if name := fileName.FindStringSubmatch(code); name != nil {
			last, code = name[1], code[len(name[0]):]
		}
		files[last] += code + "\n"
	}
	if len(files) != 2 || files[""] != "" {
		t.Fatalf("the guide has %d files, want two, with their names", len(files))
	}

	// What this module requires, so that no version has to be asked for.
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, requires, ok := strings.Cut(string(module), "\nrequire (")
	if !ok {
		t.Fatal("go.mod requires nothing")
	}
	files["go.mod"] = "module outside.invalid/integration\n\ngo 1.26.0\n\nrequire github.com/cobridge/cobridge v0.0.0\n\nreplace github.com/cobridge/cobridge => " + root + "\n\nrequire (" + requires
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	files["go.sum"] = string(sums)

	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	if out := run("vet", "./..."); len(bytes.TrimSpace(out)) > 0 {
		t.Logf("go vet: %s", out)
	}
	out := run("test", "-count=1", "-v", "./...")
	for _, name := range tests {
		if !bytes.Contains(out, []byte("--- PASS: "+name+" ")) {
			t.Errorf("%s did not pass:\n%s", name, out)
		}
	}
}
