package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// What docs/migrate-history.md says to paste is pasted, and prints what it says. Its
// configuration is one, and its other commands have these flags.
func TestMigrateHistoryPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/migrate-history.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	block := regexp.MustCompile("(?s)```sh\nexport [^\n]*\n(.*?)```.*?```text\n(.*?)```").FindStringSubmatch(page)
	yaml := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(page)
	if block == nil || yaml == nil {
		t.Fatal("the page has no block that starts with export and what it prints below, or no configuration")
	}
	dir := t.TempDir()
	cli(t, nil, "", "config", "check", "--config", writeFile(t, dir, "cobridge.yaml", yaml[1])).want(t, 0, "", "")
	root := newRoot(console{})
	for _, line := range regexp.MustCompile(`cobridge [a-z]+ [^\n|]*--[^\n|]*`).FindAllString(page, -1) {
		words := strings.Fields(line)[1:]
		cmd, _, err := root.Find(words)
		if err != nil || !cmd.Runnable() {
			t.Errorf("%q is no command: %v", line, err)
			continue
		}
		cmd.InitDefaultHelpFlag()
		known := pflag.NewFlagSet("", pflag.ContinueOnError)
		known.AddFlagSet(cmd.Flags())
		known.AddFlagSet(cmd.InheritedFlags())
		for _, word := range words {
			if name, ok := strings.CutPrefix(word, "--"); ok && known.Lookup(name) == nil {
				t.Errorf("%q: there is no flag %s", line, word)
			}
		}
	}

	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	o := newOldCobrowse(t, 60)
	writeFile(t, dir, "ids.txt", o.ids())
	cmd := exec.CommandContext(t.Context(), "sh", "-eu")
	cmd.Dir = dir
	cmd.Env = append(importEnv(demoProcess(t)), "PATH="+filepath.Dir(path)+string(os.PathListSeparator)+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(block[1], "https://old.example/cobrowse", o.url))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || string(out) != block[2] {
		t.Errorf("it prints (%v, %s)\n%s\nwant\n%s", err, &errs, out, block[2])
	}
}
