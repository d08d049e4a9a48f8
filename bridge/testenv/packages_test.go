package testenv_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/testenv"
)

func TestNeedPackages(t *testing.T) {
	const lock = `{"packages": {"": {"name": "x"}, "node_modules/a": {"version": "1.0.0", "integrity": "sha512-A"}, "node_modules/b": {"version": "2.0.0", "optional": true}}}`
	for name, tt := range map[string]struct {
		lock, hidden, require string
		skipped, failed       string // parts of the message; "" means it did not end that way
	}{
		"all there":                   {lock: lock, hidden: lock, require: "node"},
		"an optional one is not":      {lock: lock, hidden: `{"packages": {"node_modules/a": {"version": "1.0.0", "integrity": "sha512-A"}}}`, require: "node"},
		"never installed":             {lock: lock, skipped: "run npm ci"},
		"never installed, required":   {lock: lock, require: "node", failed: "run npm ci"},
		"another version":             {lock: lock, hidden: strings.ReplaceAll(lock, "1.0.0", "1.0.1"), skipped: `"1.0.1", want "1.0.0"`},
		"another package of its name": {lock: lock, hidden: strings.ReplaceAll(lock, "sha512-A", "sha512-B"), skipped: "node_modules/a"},
		"no lock":                     {hidden: lock, require: "node", failed: "package-lock.json"},
		"a broken lock":               {lock: "{", hidden: lock, require: "node", failed: "package-lock.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for path, text := range map[string]string{"package-lock.json": tt.lock, filepath.Join("node_modules", ".package-lock.json"): tt.hidden} {
				if text == "" {
					continue
				}
				path = filepath.Join(dir, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("COBRIDGE_REQUIRE", tt.require)
			r := &recorder{TB: t}
			done := make(chan struct{})
			go func() {
				defer close(done)
				testenv.NeedPackages(r, dir)
			}()
			<-done
			if (r.skipped != "") != (tt.skipped != "") || !strings.Contains(r.skipped, tt.skipped) {
				t.Errorf("skipped with %q, want %q", r.skipped, tt.skipped)
			}
			if (r.failed != "") != (tt.failed != "") || !strings.Contains(r.failed, tt.failed) {
				t.Errorf("failed with %q, want %q", r.failed, tt.failed)
			}
		})
	}
}
