package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestGuessesHaveAPlace: what divergences.md says to change for a guess is there.
func TestGuessesHaveAPlace(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("divergences.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Knowledge Center\n")
	section, _, _ = strings.Cut(section, "\n## ")
	named := regexp.MustCompile("`(knowledge|legacy)\\.(?:\\w+\\.)?(\\w+)`").FindAllStringSubmatch(section, -1)
	if len(named) < 15 {
		t.Errorf("the section names %d places, are they still written as `package.Name`?", len(named))
	}
	for _, m := range named {
		files, err := filepath.Glob(filepath.Join("..", "bridge", m[1], "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		declared := regexp.MustCompile(`(?m)^(?:\t|type |const |func |func \([^)]*\) )` + m[2] + `\b`)
		found := m[1] == "legacy" && (m[2] == "basePath" || m[2] == "knowledge") // keys of the configuration
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found = found || !strings.HasSuffix(file, "_test.go") && declared.Match(source)
		}
		if !found {
			t.Errorf("divergences.md names %s, which is not declared there", m[0])
		}
	}
}
