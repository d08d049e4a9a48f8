package api_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What differs from run to run, and what stands in the golden file for it. The
// fixed ids of the fixture are left alone.
var changing = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`token=[A-Za-z0-9._~-]+`), "token=TOKEN"},
	{regexp.MustCompile(`"(token|resume|sessionJoinToken)": "[A-Za-z0-9._~-]+"`), `"$1": "SECRET"`},
	{regexp.MustCompile(`"(sessionToken|joinCode)": "\d{9}"`), `"$1": "DIGITS"`},
	{regexp.MustCompile(`/cobrowse/\d{9}"`), `/cobrowse/DIGITS"`},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
}

// golden compares an answer with testdata/name.golden. COBRIDGE_GOLDEN=1 writes
// the file instead.
func golden(t *testing.T, name string, a answer) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(a.body), "", "  "); err != nil {
		t.Fatalf("%s: the answer is no JSON: %v\n%s", name, err, a.body)
	}
	pretty.WriteByte('\n')
	got := pretty.String()
	for _, c := range changing {
		got = c.pattern.ReplaceAllStringFunc(got, func(found string) string {
			if strings.HasPrefix(found, "0a1b2c3d-0000-4000-8000-") {
				return found
			}
			return c.pattern.ReplaceAllString(found, c.instead)
		})
	}
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv("COBRIDGE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (COBRIDGE_GOLDEN=1 writes it)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs from %s (-want +got):\n%s", name, path, diff)
	}
}
