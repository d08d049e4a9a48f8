package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The commands of docs/client.md, in their order, against the demo: they work as they
// stand there but for the names of things, and for how long they wait.
func TestClientGuide(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "client.md"))
	if err != nil {
		t.Fatal(err)
	}
	info, _ := demo(t)
	secret := writeFile(t, t.TempDir(), "desk.secret", info.ClientSecret+"\n")
	_, section, _ := strings.Cut(string(page), "## From the command line")
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(section, -1)
	if len(blocks) != 1 {
		t.Fatalf("the section has %d blocks, want 1", len(blocks))
	}
	names := map[string]string{"CONVERSATION": info.ConversationID, "AGENT": info.AgentUserID, "SUPERVISOR": info.SupervisorUserID}
	words := func(line string) []string {
		line = os.Expand(line, func(name string) string {
			if names[name] == "" {
				t.Errorf("%q: there is no $%s", line, name)
			}
			return names[name]
		})
		return strings.Fields(strings.NewReplacer("https://cobridge.example", info.BaseURL, "desk.secret", secret, "CLIENT_ID=desk", "CLIENT_ID="+info.ClientID,
			"--client-id desk", "--client-id "+info.ClientID, "--for 10m", "--for 10ms").Replace(line))
	}
	var env []string
	done := 0
	for line := range strings.Lines(blocks[0][1]) {
		args := words(line)
		if args[0] == "export" {
			env = args[1:]
			continue
		}
		r := cli(t, env, "", args[1:]...)
		want := 0
		if strings.Contains(line, "--for") { // nobody comes in this test
			want = 1
		}
		if r.code != want {
			t.Errorf("%s: exit code %d, %s", strings.TrimSpace(line), r.code, r.err)
		}
		switch {
		case names["SESSION"] == "":
			if _, id, ok := strings.Cut(strings.TrimSpace(strings.SplitN(r.out, "\n", 2)[0]), "created "); ok {
				names["SESSION"] = id
			}
		case strings.Contains(line, "--json"):
			var session startedSession
			if err := json.Unmarshal([]byte(r.out), &session); err != nil || session.Created || session.ID != names["SESSION"] {
				t.Errorf("%s: %+v, %v, want session %s, which was there", strings.TrimSpace(line), session, err, names["SESSION"])
			}
		}
		done++
	}
	if done != 9 || len(env) != 3 {
		t.Errorf("%d commands and %d variables, want 9 and 3", done, len(env))
	}
}
