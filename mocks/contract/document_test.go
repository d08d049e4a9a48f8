package contract_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/mocks/contract"
)

// The tables of docs/contract.md list every case of the suite under its row or
// area, and no row or area stands there without one. COBRIDGE_GOLDEN=rewrite
// writes the last columns anew.
func TestDocument(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "contract.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if !strings.HasPrefix(line, "| ") || len(cells) < 2 || strings.HasPrefix(line, "| row ") || strings.HasPrefix(line, "| area ") {
			continue
		}
		key := strings.TrimSpace(cells[0])
		cases := casesOf(key)
		if len(cases) == 0 {
			t.Errorf("docs/contract.md has the line %q, which no case belongs to", key)
		}
		for _, c := range cases {
			listed[c] = true
		}
		lines[i] = "| " + strings.Join(append(trimmed(cells[:len(cells)-1]), strings.Join(short(key, cases), "; ")), " | ") + " |"
	}
	for _, c := range contract.Cases() {
		if !listed[c.Name] {
			t.Errorf("docs/contract.md has no line for case %q", c.Name)
		}
	}
	want := strings.Join(lines, "\n")
	if os.Getenv("COBRIDGE_GOLDEN") == "rewrite" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line != lines[i] {
			t.Errorf("docs/contract.md, line %d:\n got %s\nwant %s\n(make golden writes it)", i+1, line, lines[i])
		}
	}
	for n := 1; n <= 33; n++ {
		if row := fmt.Sprintf("| T%d |", n); !strings.Contains(want, row) {
			t.Errorf("docs/contract.md lacks row T%d", n)
		}
	}
}

// casesOf returns the names of the cases that belong to a row or an area.
func casesOf(key string) []string {
	if key == "T33" {
		return []string{"T33 TestRemediesAreDocumented"}
	}
	var names []string
	for _, c := range contract.Cases() {
		rows := c.Rows()
		if slices.Contains(rows, key) || len(rows) == 0 && strings.HasPrefix(c.Name, key+" ") || len(rows) == 0 && strings.HasPrefix(c.Name, key+":") {
			names = append(names, c.Name)
		}
	}
	return names
}

// short drops from each name what the line says already.
func short(key string, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		rest := name
		for word := range strings.FieldsSeq(name) {
			if !strings.HasPrefix(word, "T") || strings.Trim(word[1:], "0123456789") != "" || len(word) == 1 {
				break
			}
			rest = strings.TrimPrefix(strings.TrimPrefix(rest, word), " ")
		}
		rest = strings.TrimPrefix(rest, key)
		out[i] = strings.TrimSpace(strings.TrimPrefix(rest, ":"))
	}
	return out
}

func trimmed(cells []string) []string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		out[i] = strings.TrimSpace(cell)
	}
	return out
}
