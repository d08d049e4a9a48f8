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
	keys, err := os.ReadFile(filepath.Join("..", "bridge", "config", "legacy.go"))
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]string{
		"knowledge": "../bridge/knowledge", "legacy": "../bridge/legacy", "gcb": "../bridge/gcb", "bayeux": "../bridge/bayeux", "cobrowse": "../cobrowse",
		"genesys": "../conversations/genesys",
	}
	for title, least := range map[string]int{"Knowledge Center": 15, "Co-browse": 15, "Directory": 6} {
		_, section, _ := strings.Cut(string(text), "\n## "+title+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		named := regexp.MustCompile("`(knowledge|legacy|gcb|bayeux|cobrowse|genesys)\\.(?:\\w+\\.)?(\\w+)`").FindAllStringSubmatch(section, -1)
		if len(named) < least {
			t.Errorf("%s names %d places, are they still written as `package.Name`?", title, len(named))
		}
		for _, m := range named {
			files, err := filepath.Glob(filepath.Join(folders[m[1]], "*.go"))
			if err != nil {
				t.Fatal(err)
			}
			declared := regexp.MustCompile(`(?m)^(?:\t|type |const |func |func \([^)]*\) )` + m[2] + `\b`)
			found := m[1] == "legacy" && strings.Contains(string(keys), `yaml:"`+m[2]+`"`) // a key of the configuration
			for _, file := range files {
				source, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				found = found || !strings.HasSuffix(file, "_test.go") && declared.Match(source)
			}
			if !found {
				t.Errorf("divergences.md, %s, names %s, which is not declared there", title, m[0])
			}
		}
	}
}
