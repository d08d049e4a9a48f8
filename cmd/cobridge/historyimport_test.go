package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/cobrowse/client"
)

// importLimit ends processes of imports that would hang: a machine with much to do
// takes its time for 20 000 records.
const importLimit = 5 * time.Minute

// importEnv is the environment of commands that call a demo.
func importEnv(info demoInfo) []string {
	return []string{"COBRIDGE_SERVER=" + info.BaseURL, "COBRIDGE_CLIENT_ID=" + info.ClientID, "COBRIDGE_CLIENT_SECRET=" + info.ClientSecret}
}

func apiOf(t *testing.T, info demoInfo) *client.Client {
	t.Helper()
	api, err := client.New(client.Options{BaseURL: info.BaseURL, ClientID: info.ClientID, ClientSecret: info.ClientSecret})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// records returns all history records of the service, by id.
func records(t *testing.T, api *client.Client) map[string]client.HistoryRecord {
	t.Helper()
	all := map[string]client.HistoryRecord{}
	for r, err := range api.History(t.Context(), client.HistoryQuery{PageSize: 100}) {
		if err != nil {
			t.Fatalf("History: %v", err)
		}
		if _, twice := all[r.ID]; twice {
			t.Errorf("record %s is there twice", r.ID)
		}
		all[r.ID] = r
	}
	return all
}

// checkImported checks that the service has all sessions of o, as they were.
func checkImported(t *testing.T, o *oldCobrowse, all map[string]client.HistoryRecord) {
	t.Helper()
	if len(all) != o.n {
		t.Errorf("the service has %d records, want %d", len(all), o.n)
	}
	for i := range o.n {
		r, ok := all[oldSession(i)]
		end := o.ended.Add(-time.Duration(i) * time.Second).UTC()
		want := []client.PageVisit{
			{URL: "https://shop.example/cart", DateEntered: end.Add(-99_900 * time.Millisecond), DurationSeconds: 59},
			{URL: "https://shop.example/checkout", DateEntered: end.Add(-40 * time.Second), DurationSeconds: 40},
		}
		if !ok || r.SessionToken != fmt.Sprintf("%09d", i) || !r.DateEnded.Equal(end) || !r.DateCreated.Equal(end.Add(-2*time.Minute)) || !cmp.Equal(r.Pages, want) {
			t.Fatalf("record %d is %+v", i, r)
		}
	}
}

// The whole story, with the import in this process: faults, a list with everything lists have, and
// runs that go on where the one before was interrupted.
func TestHistoryImport(t *testing.T) {
	t.Parallel()
	info := demoProcess(t)
	env, api := importEnv(info), apiOf(t, info)
	o := newOldCobrowse(t, 1200)
	failed := filepath.Join(t.TempDir(), "failed.txt")
	list := o.ids(oldSession(1), strings.ToUpper(oldSession(2)), oldSession(900_000)+" # not there", "")
	args := []string{"history", "import", "--from", o.url, "--from-timeout", "4s", "--parallel", "32", "--failed", failed}

	// Interrupted in the middle.
	ctx, interrupt := context.WithCancel(t.Context())
	o.whenGood(func(n int) {
		if n == 500 {
			interrupt()
		}
	})
	var out, errs bytes.Buffer
	if code := run(ctx, args, console{env: env, in: strings.NewReader(list), out: &out, err: &errs}); code != 1 || !strings.Contains(errs.String(), "interrupted; start it again to go on") {
		t.Errorf("the interrupted run is %d, %q, %q", code, &out, &errs)
	}
	half := records(t, api)
	if n := len(half); n < 400 || n > 600 {
		t.Errorf("%d records are there when it was interrupted at 500", n)
	}

	// Started again.
	o.forget()
	r := cli(t, env, list, append(args, "--quiet")...)
	o.checkNotAsked(t, half)
	all, imported, present, lost := counts(t, r.out)
	if all != o.n+1 || present != len(half) || imported < o.n/3 || lost < 1 || lost > 5 {
		t.Errorf("the second run says %q", r.out)
	}
	checkFailed(t, failed, lost, "notFound", "notJson", "timeout")
	r.want(t, 1, "2 lines named one of them again", "")
	r.want(t, 1, "1 notFound: the old server does not know them", "")

	// What failed is a list; what is not there fails again.
	r = cli(t, env, "", append(args, failed)...)
	r.want(t, 1, "0 there already, 1 failed", "were not imported")
	checkImported(t, o, records(t, api))
	text, err := os.ReadFile(failed)
	if err != nil || string(text) != oldSession(900_000)+" # notFound\n" {
		t.Errorf("the list of what failed is %q, %v", text, err)
	}

	// All of it again: nothing to do, and the old server is not asked.
	o.forget()
	r = cli(t, env, strings.TrimSuffix(o.ids(), "\r\n"), append(args, "-")...)
	r.want(t, 0, "1200 session ids: 0 imported, 1200 there already, 0 failed\n", "")
	o.checkNotAsked(t, records(t, api))
	if text, err := os.ReadFile(failed); err != nil || len(text) != 0 {
		t.Errorf("after a run without failures the list has %q (%v)", text, err)
	}
}

// counts reads the first line of a report.
func counts(t *testing.T, out string) (all, imported, there, failed int) {
	t.Helper()
	if _, err := fmt.Sscanf(out, "%d session ids: %d imported, %d there already, %d failed", &all, &imported, &there, &failed); err != nil || imported+there+failed != all {
		t.Errorf("the report is %q", out)
	}
	return all, imported, there, failed
}

// checkFailed checks that a list of what failed has n ids, and these reasons.
func checkFailed(t *testing.T, path string, n int, reasons ...string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(text)) {
		lines++
		_, why, _ := strings.Cut(strings.TrimSpace(line), " # ")
		if why, _, _ = strings.Cut(why, ":"); !slices.Contains(reasons, why) {
			t.Errorf("among what failed is %q, want reasons of %q", line, reasons)
		}
	}
	if lines != n {
		t.Errorf("%d ids are listed as failed, the report says %d", lines, n)
	}
}

// demoProcess runs the demo as a process until the test ends.
func demoProcess(t *testing.T) demoInfo {
	t.Helper()
	p := startWith(t, importLimit, nil, "demo", "--listen", "127.0.0.1:0", "--json")
	line, err := p.out.ReadBytes('\n')
	var info demoInfo
	if err != nil || json.Unmarshal(line, &info) != nil {
		t.Fatalf("the demo's line is %q: %v", line, err)
	}
	return info
}

// Killed in the middle, with a real process on either side, and started again.
func TestHistoryImportKilled(t *testing.T) {
	t.Parallel()
	const n = 20_000
	info := demoProcess(t)
	api := apiOf(t, info)
	o := newOldCobrowse(t, n)
	dir := t.TempDir()
	list, failed := writeFile(t, dir, "ids.txt", o.ids(oldSession(900_000))), filepath.Join(dir, "failed.txt")
	args := []string{"history", "import", "--from", o.url, "--from-timeout", "4s", "--parallel", "32", "--failed", failed}
	env := importEnv(info)

	half := make(chan struct{})
	var once sync.Once
	o.whenGood(func(good int) {
		if good >= n/2 {
			once.Do(func() { close(half) })
		}
	})
	p := startWith(t, importLimit, env, append(args, list)...)
	<-half
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatalf("kill: %v", err)
	}
	_ = p.cmd.Wait()
	there := records(t, api)
	if len(there) < n/4 || len(there) > 3*n/4 {
		t.Errorf("%d records are there after the kill, want about half", len(there))
	}
	o.forget()
	second := startWith(t, importLimit, env, append(args, list)...)
	out, code := second.wait(t)
	all, imported, present, lost := counts(t, out)
	if code != 1 || all != n+1 || present != len(there) || imported < n/4 {
		t.Errorf("the second run is %d: %s", code, out)
	}
	checkFailed(t, failed, lost, "notFound", "notJson", "timeout")
	o.checkNotAsked(t, there)
	third := startWith(t, importLimit, env, append(args, failed)...)
	if out, code := third.wait(t); code != 1 || !strings.Contains(out, "1 failed\n") {
		t.Errorf("the third run is %d: %s", code, out)
	}
	checkImported(t, o, records(t, api))
}

// Each way to fail has its word.
func TestHistoryImportReasons(t *testing.T) {
	t.Parallel()
	info, _ := demo(t)
	api := apiOf(t, info)
	live, err := api.CreateSession(t.Context(), client.NewSession{
		ConversationID: info.ConversationID, Participants: []client.Invite{{UserID: info.AgentUserID, Role: "agent"}},
	})
	if err != nil {
		t.Fatalf("create session: %v", err)
	}
	o := newOldCobrowse(t, 1)
	say := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
	}
	for i, special := range map[int]http.HandlerFunc{
		11: say(strings.Replace(o.record(11), `,"deactivationTime"`, `,"was"`, 1)),
		12: say(fmt.Sprintf(`{"id":%q,"sessionToken":"123456789","creationTime":1000,"deactivationTime":2000,"pages":[]}`, oldSession(12))),
		13: say(o.record(14)),
		15: say(strings.Replace(o.record(15), `"sessionToken":"`, `"sessionToken":"x`, 1)),
		16: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		17: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
		},
		18: say("<html>"),
		19: say(strings.Repeat(" ", 5<<20)),
	} {
		o.special[oldSession(i)] = special
	}
	o.special[live.ID] = say(strings.Replace(o.record(20), oldSession(20), live.ID, 1))
	var list strings.Builder
	list.WriteString("no id\n" + o.ids())
	for _, i := range []int{11, 12, 13, 15, 16, 17, 18, 19, 21} {
		list.WriteString(oldSession(i) + "\n")
	}
	list.WriteString(live.ID + "\n" + strings.Repeat("x", 5000) + "\n")
	failed := filepath.Join(t.TempDir(), "failed.txt")
	r := cli(t, importEnv(info), list.String(), "history", "import", "--from", o.url, "--failed", failed)
	r.want(t, 1, "11 session ids: 1 imported, 0 there already, 10 failed\n", `line 1 is not a session id: "no id"`)
	r.want(t, 1, "", "line 15 is too long for a session id")
	r.want(t, 1, "", "2 lines are no session ids")
	text, err := os.ReadFile(failed)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(text)) {
		id, why, _ := strings.Cut(strings.TrimSpace(line), " # ")
		got[id], _, _ = strings.Cut(why, ":")
	}
	want := map[string]string{
		oldSession(11): "live", oldSession(12): "retention", oldSession(13): "otherId", oldSession(15): "badRecord", oldSession(16): "serverError",
		oldSession(17): "redirect", oldSession(18): "notJson", oldSession(19): "tooLarge", oldSession(21): "notFound", live.ID: "taken",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	for _, why := range slices.Sorted(maps.Values(want)) {
		r.want(t, 1, "      1 "+why, "")
	}
}

// What is wrong for all of them ends the run.
func TestHistoryImportGivesUp(t *testing.T) {
	t.Parallel()
	info, stop := demo(t)
	o := newOldCobrowse(t, 3)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "gate" || password != secret {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		o.ServeHTTP(w, r)
	}))
	defer gate.Close()
	password := writeFile(t, t.TempDir(), "password", secret+"\n")
	args := []string{"history", "import", "--from", gate.URL + "/cobrowse", "--patience", "1ms"}
	env := importEnv(info)
	r := cli(t, env, o.ids(), args...)
	r.want(t, 1, "3 session ids: 0 imported, 0 there already, 3 failed\n      3 notTried", "given up")
	r = cli(t, env, o.ids(), append(args, "--from-user", "gate", "--from-password-file", password)...)
	r.want(t, 0, "3 session ids: 3 imported, 0 there already, 0 failed", "")
	if strings.Contains(r.out+r.err, secret) {
		t.Errorf("the password is in the output: %+v", r)
	}
	env = append(env, "COBRIDGE_IMPORT_USER=gate", "COBRIDGE_IMPORT_PASSWORD="+secret)
	cli(t, env, o.ids(), args...).want(t, 0, "3 session ids: 0 imported, 3 there already, 0 failed", "")
	cli(t, append(env, "COBRIDGE_CLIENT_SECRET=wrong"), o.ids(), args...).want(t, 1, "3 notTried", "ask the service what it has")
	stop()
	cli(t, env, o.ids(), args...).want(t, 1, "3 notTried", "connection refused")
}

func TestHistoryImportUsage(t *testing.T) {
	t.Parallel()
	env := []string{"COBRIDGE_CLIENT_ID=x", "COBRIDGE_CLIENT_SECRET=y"}
	for _, tt := range []struct {
		args []string
		code int
		err  string
	}{
		{nil, 2, "import from where?"},
		{[]string{"--from", "old.example"}, 2, "absolute http or https URL"},
		{[]string{"--from", "https://u:" + secret + "@old.example"}, 2, "credentials do not belong into it"},
		{[]string{"--from", "https://old.example", "--parallel", "0"}, 2, "want 1 to 64"},
		{[]string{"--from", "https://old.example", "--from-user", "u", "--from-password-file", "-"}, 2, "cannot be both"},
		{[]string{"--from", "https://old.example", "a", "b"}, 2, "accepts at most 1 arg(s)"},
		{[]string{"--from", "https://old.example", "/nowhere/ids.txt"}, 1, "read ids"},
		{[]string{"--from", "https://old.example", "--from-ca-file", "/nowhere/ca.pem"}, 1, "read certificate"},
	} {
		r := cli(t, env, "", append([]string{"history", "import"}, tt.args...)...)
		r.want(t, tt.code, "", tt.err)
		if strings.Contains(r.err, secret) {
			t.Errorf("%q: the secret is in %q", tt.args, r.err)
		}
	}
}

func TestReadIDs(t *testing.T) {
	t.Parallel()
	a, b := oldSession(1), oldSession(2)
	for _, tt := range []struct {
		name, text string
		ids        []string
		again      int
		invalid    int
	}{
		{"nothing", "", nil, 0, 0},
		{"one without an end", a, []string{a}, 0, 0},
		{"two", a + "\n" + b + "\n", []string{a, b}, 0, 0},
		{"of another system", "\ufeff" + a + "\r\n\r\n" + b + "\r\n", []string{a, b}, 0, 0},
		{"with comments", "# ids\n  " + a + " # notFound: x\n\t\n#" + b, []string{a}, 0, 0},
		{"again, in capitals", a + "\n" + strings.ToUpper(a), []string{a}, 1, 0},
		{"others", "x\n{" + a + "}\n" + a + " " + b + "\n" + b[:35] + "\n" + b, []string{b}, 0, 4},
		{"long lines", strings.Repeat("x", 100_000) + "\n" + a + "\n# " + strings.Repeat("x", 100_000), []string{a}, 0, 1},
		{"bytes", "\xff\x00\n" + a, []string{a}, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := readIDs(strings.NewReader(tt.text))
			if err != nil || !slices.Equal(got.ids, tt.ids) || got.again != tt.again || len(got.invalid) != tt.invalid {
				t.Errorf("readIDs = %+v, %v, want %q, %d again, %d invalid", got, err, tt.ids, tt.again, tt.invalid)
			}
		})
	}
}

// One is one, and more are more.
func TestReportCounts(t *testing.T) {
	t.Parallel()
	for ids, want := range map[int]string{0: "0 session ids: ", 1: "1 session id: ", 2: "2 session ids: "} {
		tl := newTally(wanted{ids: make([]string, ids), again: ids})
		var report strings.Builder
		if err := tl.report(&report); err != nil || !strings.HasPrefix(report.String(), want) {
			t.Errorf("report = %q, %v, want %q first", &report, err, want)
		}
		if ids == 1 && !strings.Contains(report.String(), "1 line named one of them again\n") {
			t.Errorf("report = %q, want that 1 line named one of them again", &report)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	tl := newTally(wanted{ids: make([]string, 8)})
	if got, want := tl.progress(time.Second, true), "[....................] 0 of 8: 0 imported, 0 there already, 0 failed"; got != want {
		t.Errorf("at the start: %q, want %q", got, want)
	}
	tl.skip("a")
	tl.create("b")
	tl.lose("c", reasonNotFound, "two\nlines")
	if got, want := tl.progress(4*time.Second, true), "[#######.............] 3 of 8: 1 imported, 1 there already, 1 failed, about 10s left"; got != want {
		t.Errorf("in between: %q, want %q", got, want)
	}
	tl.forOld.Add(1)
	if got, want := tl.progress(4*time.Second, false), "3 of 8: 1 imported, 1 there already, 1 failed, about 10s left, waiting for the old server"; got != want {
		t.Errorf("while it waits: %q, want %q", got, want)
	}
	if got := tl.lost[0].detail; got != "two lines" {
		t.Errorf("detail = %q, want one line", got)
	}
}
