package stream_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/cobrowse"
)

// record ends the session and returns what it remembers.
func (sc *scene) record(t *testing.T) cobrowse.Session {
	t.Helper()
	if _, err := sc.End(t.Context(), org, sc.session.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	s, err := sc.Record(t.Context(), org, sc.session.ID)
	if err != nil {
		t.Fatalf("Record: %v", err)
	}
	return s
}

func hasGrants(n int) func(map[string]any) bool {
	return func(f map[string]any) bool { return len(f["list"].([]any)) == n }
}

func TestControlRoundTripAndRevocation(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(4, 300))
	sc.agent.sees(t, full(4, 300))
	click := func(n int) string { return fmt.Sprintf(`{"t":"ctl","n":%d,"e":4,"k":"click","id":12}`, n) }

	// Not before Kim agrees.
	sc.agent.send(t, click(1))
	if f := sc.agent.expect(t, "done"); f["ok"] != false || f["why"] != "denied" || f["n"] != 1.0 {
		t.Errorf("done = %v, want denied", f)
	}
	sc.agent.send(t, `{"t":"ask","n":7,"kind":"control","from":"forged","role":"customer"}`)
	want := fmt.Sprintf(`{"t":"ask","n":7,"from":%q,"name":"Ann","role":"agent","kind":"control"}`, annPID)
	if got := sc.sharer.frame(t, "ask"); got != want {
		t.Errorf("ask = %s, want %s", got, want)
	}
	sc.sharer.send(t, fmt.Sprintf(`{"t":"consent","kind":"control","ok":true,"to":%q,"n":7,"text":"v3"}`, annPID))
	for name, c := range map[string]*client{"sharer": sc.sharer, "agent": sc.agent, "viewer": sc.viewer} {
		f := c.until(t, "grants", hasGrants(1))
		g := f["list"].([]any)[0].(map[string]any)
		if g["kind"] != "control" || g["participant"] != string(annPID) || g["grantedAt"] == "" {
			t.Errorf("%s: grants = %v, want control for the agent", name, f)
		}
	}
	if f := sc.agent.expect(t, "answer"); f["n"] != 7.0 || f["kind"] != "control" || f["ok"] != true {
		t.Errorf("answer = %v, want yes to 7", f)
	}

	// An action, on its way and back.
	sc.agent.send(t, `{"t":"ctl","n":2,"e":4,"k":"text","id":12,"v":"hush","from":"forged","name":"Kim"}`)
	want = fmt.Sprintf(`{"t":"ctl","n":2,"e":4,"k":"text","id":12,"v":"hush","from":%q,"name":"Ann"}`, annPID)
	if got := sc.sharer.frame(t, "ctl"); got != want {
		t.Errorf("ctl = %s, want %s", got, want)
	}
	path := "html>body>input" + strings.Repeat("x", 400)
	sc.sharer.send(t, fmt.Sprintf(`{"t":"done","to":%q,"n":2,"ok":true,"path":%q}`, annPID, path))
	if got, want := sc.agent.frame(t, "done"), `{"t":"done","n":2,"ok":true}`; got != want {
		t.Errorf("done = %s, want %s", got, want)
	}
	// One that the page refuses, for a reason that is none.
	sc.agent.send(t, click(3))
	sc.sharer.expect(t, "ctl")
	sc.sharer.send(t, fmt.Sprintf(`{"t":"done","to":%q,"n":3,"ok":false,"why":"because","path":"a\nb"}`, annPID))
	if f := sc.agent.expect(t, "done"); f["why"] != "error" {
		t.Errorf("done = %v, want error", f)
	}
	// Not for another page, for too much, nor for what was not granted.
	for why, text := range map[string]string{
		"stale":  `{"t":"ctl","n":20,"e":3,"k":"click","id":12}`,
		"denied": `{"t":"ctl","n":21,"e":4,"k":"reload"}`,
	} {
		sc.agent.send(t, text)
		if f := sc.agent.expect(t, "done"); f["why"] != why {
			t.Errorf("done = %v, want %s", f, why)
		}
	}
	sc.grant(t, "navigate", 8)
	sc.agent.send(t, `{"t":"ctl","n":22,"e":4,"k":"goto","url":"javascript:alert(1)"}`)
	if f := sc.agent.expect(t, "done"); f["why"] != "unsafe" {
		t.Errorf("done = %v, want unsafe", f)
	}
	sc.agent.send(t, `{"t":"ctl","n":23,"e":4,"k":"goto","url":"/cart"}`)
	sc.sharer.until(t, "ctl", func(f map[string]any) bool { return f["url"] == "/cart" })

	// Taken back in the middle: what was on its way is answered, nothing else goes.
	sc.agent.send(t, click(4))
	sc.sharer.until(t, "ctl", func(f map[string]any) bool { return f["n"] == 4.0 })
	sc.sharer.send(t, `{"t":"revoke"}`)
	sc.agent.until(t, "grants", hasGrants(0))
	sc.agent.send(t, click(5))
	if f := sc.agent.expect(t, "done"); f["n"] != 5.0 || f["why"] != "denied" {
		t.Errorf("done = %v, want 5 denied", f)
	}
	sc.sharer.send(t, fmt.Sprintf(`{"t":"done","to":%q,"n":4,"ok":false,"why":"denied","path":"html>body>button"}`, annPID))
	if f := sc.agent.expect(t, "done"); f["n"] != 4.0 {
		t.Errorf("done = %v, want that of 4", f)
	}
	// The picture goes on: that agreement was another one.
	sc.sharer.send(t, next(4, 2))
	sc.agent.sees(t, next(4, 2))

	got := sc.record(t)
	wantActions := []cobrowse.Action{
		{ParticipantID: annPID, Kind: "text", Path: path[:300], Result: "ok", Count: 1},
		{ParticipantID: annPID, Kind: "click", Path: "a b", Result: "error", Count: 1},
		{ParticipantID: annPID, Kind: "click", Path: "html>body>button", Result: "denied", Count: 1},
	}
	if diff := cmp.Diff(wantActions, got.Actions, cmpopts.IgnoreFields(cobrowse.Action{}, "At", "LastAt")); diff != "" {
		t.Errorf("actions (-want +got):\n%s", diff)
	}
	var kinds []string
	for _, g := range got.Grants {
		kinds = append(kinds, string(g.Kind)+" "+g.TextVersion)
	}
	if diff := cmp.Diff([]string{"sharing 7", "control v3", "navigate "}, kinds); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
}

// A hostile sharer cannot write the record: what nobody asked for, or was
// answered before, is dropped.
func TestDoneNobodyAskedFor(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.sharer.send(t, full(1, 300))
	sc.grant(t, "control", 1)
	sc.agent.send(t, `{"t":"ctl","n":1,"e":1,"k":"click","id":2}`)
	sc.sharer.expect(t, "ctl")
	answer := fmt.Sprintf(`{"t":"done","to":%q,"n":1,"ok":true,"path":"html>a"}`, annPID)
	for _, text := range []string{
		answer, answer, // twice
		fmt.Sprintf(`{"t":"done","to":%q,"n":2,"ok":true,"path":"forged"}`, annPID),
		fmt.Sprintf(`{"t":"done","to":%q,"n":1,"ok":true,"path":"forged"}`, benPID),
		`{"t":"done","to":"nobody","n":1,"ok":true,"path":"forged"}`,
	} {
		sc.sharer.send(t, text)
	}
	sc.counts.wait(t, "dropped", 4)
	got := sc.record(t)
	if len(got.Actions) != 1 || got.Actions[0].Count != 1 || got.Actions[0].Path != "html>a" {
		t.Errorf("actions = %+v, want the one that was asked for", got.Actions)
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	sc := show(t)
	// A supervisor may not ask, nobody for what does not exist.
	for _, kind := range []string{"control", "everything", "sharing"} {
		sc.viewer.send(t, fmt.Sprintf(`{"t":"ask","n":1,"kind":%q}`, kind))
		if f := sc.viewer.expect(t, "answer"); f["ok"] != false || f["why"] != "notAllowed" {
			t.Errorf("answer = %v, want notAllowed", f)
		}
	}
	sc.agent.send(t, `{"t":"ask","n":1,"kind":"draw"}`)
	sc.sharer.expect(t, "ask")
	// Not the same again while it waits.
	sc.agent.send(t, `{"t":"ask","n":2,"kind":"draw"}`)
	if f := sc.agent.expect(t, "answer"); f["n"] != 2.0 || f["why"] != "busy" {
		t.Errorf("answer = %v, want 2 busy", f)
	}
	// A page that was reloaded is asked again.
	again := sc.share(t)
	if f := again.expect(t, "ask"); f["n"] != 1.0 {
		t.Errorf("ask = %v, want 1", f)
	}
	again.send(t, fmt.Sprintf(`{"t":"consent","kind":"draw","ok":false,"to":%q,"n":1}`, annPID))
	if f := sc.agent.expect(t, "answer"); f["n"] != 1.0 || f["why"] != "declined" {
		t.Errorf("answer = %v, want 1 declined", f)
	}
	// Nobody can keep on asking.
	for n := range 3 {
		sc.agent.send(t, fmt.Sprintf(`{"t":"ask","n":%d,"kind":"control"}`, 10+n))
	}
	busy := 0
	for n := range 3 {
		if n == 0 && busy == 0 {
			if f := again.expect(t, "ask"); f["n"] != 10.0 {
				t.Errorf("ask = %v, want 10", f)
			}
			continue
		}
		if f := sc.agent.expect(t, "answer"); f["why"] == "busy" {
			busy++
		}
	}
	if busy != 2 {
		t.Errorf("busy = %d, want 2", busy)
	}
	// What a viewer may not ask for it cannot be given either.
	again.send(t, fmt.Sprintf(`{"t":"consent","kind":"control","ok":true,"to":%q}`, benPID))
	if f := again.expect(t, "err"); f["code"] != "not.authorized" {
		t.Errorf("err = %v, want not.authorized", f)
	}
}

// Who is asked again and again says yes to be left alone.
func TestDeclinedIsNotAskedAgainAtOnce(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.agent.send(t, `{"t":"ask","n":1,"kind":"draw"}`)
	sc.sharer.expect(t, "ask")
	sc.sharer.send(t, fmt.Sprintf(`{"t":"consent","kind":"draw","ok":false,"to":%q,"n":1}`, annPID))
	sc.agent.expect(t, "answer")
	sc.agent.send(t, `{"t":"ask","n":2,"kind":"draw"}`)
	if f := sc.agent.expect(t, "answer"); f["n"] != 2.0 || f["why"] != "busy" {
		t.Errorf("answer = %v, want 2 busy", f)
	}
	sc.agent.send(t, `{"t":"ask","n":3,"kind":"control"}`) // another question
	if f := sc.sharer.expect(t, "ask"); f["n"] != 3.0 {
		t.Errorf("ask = %v, want 3", f)
	}
}

func TestGrantExpires(t *testing.T) {
	t.Parallel()
	sc := show(t, func(c *stream.Config) { c.Limits.Refresh = time.Hour }) // nothing else looks
	sc.sharer.send(t, fmt.Sprintf(`{"t":"consent","kind":"control","ok":true,"to":%q,"ttl":1}`, annPID))
	f := sc.agent.until(t, "grants", hasGrants(1))
	if f["list"].([]any)[0].(map[string]any)["expiresAt"] == nil {
		t.Errorf("grants = %v, want an end", f)
	}
	sc.agent.until(t, "grants", hasGrants(0))
}

// A viewer gives back what is its own, and nothing else.
func TestViewerGivesBack(t *testing.T) {
	t.Parallel()
	sc := show(t)
	sc.grant(t, "control", 1)
	sc.viewer.send(t, fmt.Sprintf(`{"t":"revoke","participant":%q}`, annPID))
	if f := sc.viewer.expect(t, "err"); f["code"] != "not.authorized" {
		t.Errorf("err = %v, want not.authorized", f)
	}
	sc.agent.send(t, `{"t":"revoke","kind":"control"}`)
	sc.sharer.until(t, "grants", hasGrants(1))
	sc.sharer.until(t, "grants", hasGrants(0))
}

// More actions than the sharer answers, and faster than anybody works.
func TestFloodOfActions(t *testing.T) {
	t.Parallel()
	sc := show(t, func(c *stream.Config) { c.Limits.CtlPerSecond, c.Limits.Excess = 100, 20 })
	sc.sharer.send(t, full(1, 300))
	sc.grant(t, "control", 1)
	for n := range 100 {
		sc.agent.send(t, fmt.Sprintf(`{"t":"ctl","n":%d,"e":1,"k":"scroll","id":1,"y":1}`, n))
	}
	for n := 64; n < 100; n++ {
		if f := sc.agent.expect(t, "done"); f["n"] != float64(n) || f["why"] != "busy" {
			t.Fatalf("done = %v, want %d busy", f, n)
		}
	}
	for n := range 500 {
		if sc.agent.WriteMessage(1, []byte(fmt.Sprintf(`{"t":"ctl","n":%d,"e":1,"k":"scroll","id":1,"y":1}`, n))) != nil {
			break
		}
	}
	sc.agent.closed(t, 4429, "")
	sc.viewer.undisturbed(t)
}
