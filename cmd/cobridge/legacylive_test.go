package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// What docs/legacy.md says to paste is pasted, and prints what it says.
func TestLegacyPage(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not there, which the page asks for", program)
		}
	}
	text, err := os.ReadFile("../../docs/legacy.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\nbase=(\\S+)\n(.*?)```.*?```text\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("the page has no block that starts with base=, with what it prints below")
	}
	if got, want := string(block[1]), "http://"+newDemo(console{}).Flag("listen").DefValue; got != want {
		t.Errorf("base is %s, but the demo is at %s", got, want)
	}
	info, _ := demo(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu")
	cmd.Stdin = strings.NewReader("base=" + info.BaseURL + "\n" + string(block[2]))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || string(out) != string(block[3]) {
		t.Errorf("it prints (%v, %s)\n%s\nwant\n%s", err, &errs, out, block[3])
	}
}
