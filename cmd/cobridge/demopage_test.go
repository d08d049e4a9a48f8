package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/bridge/testenv"
)

// What these pages say to paste beside the demo is pasted, and prints what they say.
func TestKnowledgeCenterPage(t *testing.T) { pasteDemoPage(t, "knowledge-center.md") }

func TestLegacyPage(t *testing.T) { pasteDemoPage(t, "legacy.md") }

func TestLegacyHistoryPage(t *testing.T) { pasteDemoPage(t, "legacy-history.md") }

// demoBlock is what is pasted, and below it what that prints.
var demoBlock = regexp.MustCompile("(?s)```sh\nbase=(\\S+)\n(.*?)```.*?```text\n(.*?)```")

func pasteDemoPage(t *testing.T, name string) {
	t.Helper()
	t.Parallel()
	testenv.Need(t, testenv.Curl)
	testenv.Need(t, testenv.JQ)
	text, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	block := demoBlock.FindSubmatch(text)
	if block == nil {
		t.Fatal("the page has no block that starts with base=, with what it prints below")
	}
	if got, want := string(block[1]), "http://"+newDemo(console{}).Flag("listen").DefValue; got != want {
		t.Errorf("base is %s, but the demo is at %s", got, want)
	}
	info, _ := demo(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit) // it may wait for what is written a moment later
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
