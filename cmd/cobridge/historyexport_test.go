package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/client"
)

// archive is a real service with records, behind a proxy that counts and can fail.
type archive struct {
	env    []string
	pages  atomic.Int32 // list calls that came
	broken atomic.Int32 // from which list call on they fail; 0 = never
	stall  chan struct{}
	from   time.Time // end of the oldest record; they follow minute by minute
}

// newArchive returns a service with n records.
func newArchive(t *testing.T, n int, change ...func(i int, s *cobrowse.Session)) *archive {
	t.Helper()
	a := &archive{from: time.Now().UTC().Truncate(time.Minute).Add(-time.Duration(n) * time.Minute)}
	path := filepath.Join(t.TempDir(), "store.db")
	log := slog.New(slog.DiscardHandler)
	store, err := bolt.Open(t.Context(), bolt.Config{Path: path, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for worker := range 64 {
		wg.Go(func() {
			for i := worker; i < n; i += 64 {
				s := a.record(i)
				for _, fn := range change {
					fn(i, &s)
				}
				if err := store.Apply(context.Background(), cobrowse.Change{At: s.EndedAt, Session: s}); err != nil {
					t.Errorf("store record: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.BaseURL, cfg.Store = "http://cobridge.example", "bolt:"+path
	cfg.Limits.TokenPerMinute, cfg.Limits.AddressPerMinute = 0, 0
	cfg.Organisations = []config.Organisation{{ID: orgID, Name: "Bank", Clients: []config.Client{{ID: "reports", Name: "Reports", Scopes: []string{"cobrowse:session:read"}, Secret: secret}}}}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: log, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, ln, nil) }()
	target := &url.URL{Scheme: "http", Host: ln.Addr().String()}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v2/cobrowse/history" {
			if n, from := a.pages.Add(1), a.broken.Load(); from > 0 && n >= from {
				if a.stall != nil {
					close(a.stall)
					<-r.Context().Done()
				}
				http.Error(w, "the proxy is broken", http.StatusNotImplemented)
				return
			}
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		proxy.Close()
		cancel()
		if err := errors.Join(<-served, app.Close()); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	a.env = []string{"COBRIDGE_SERVER=" + proxy.URL, "COBRIDGE_CLIENT_ID=reports", "COBRIDGE_CLIENT_SECRET=" + secret}
	return a
}

const archived = "0a1b2c3d-0000-4000-8000-00000000a001" // the conversation of every tenth record

// record is the i-th session to end.
func (a *archive) record(i int) cobrowse.Session {
	ended := a.from.Add(time.Duration(i) * time.Minute)
	begun := ended.Add(-40 * time.Second)
	s := cobrowse.Session{
		ID: cobrowse.SessionID(fmt.Sprintf("0a1b2c3d-0000-4000-9000-%012d", i)), OrgID: orgID, Token: cobrowse.SessionToken(fmt.Sprintf("%09d", i)),
		CreatedAt: begun, ActivatedAt: begun.Add(9500 * time.Millisecond), EndedAt: ended, EndReason: cobrowse.EndParticipantLeft, Version: 1,
		Participants: []cobrowse.Participant{
			{ID: "kim", Role: cobrowse.RoleCustomer, Name: "Kim", State: cobrowse.ParticipantLeft, JoinedAt: begun, LeftAt: ended},
			{ID: "ada", UserID: "ada", Role: cobrowse.RoleAgent, Name: "Ada", State: cobrowse.ParticipantLeft, JoinedAt: begun, LeftAt: ended},
		},
		Pages: []cobrowse.PageVisit{
			{URL: "https://shop.example/", EnteredAt: begun, LeftAt: begun.Add(15 * time.Second)},
			{URL: "https://shop.example/cart?a=1&b=<2>", Title: "Cart", EnteredAt: begun.Add(15 * time.Second), LeftAt: ended},
		},
	}
	if i%10 == 0 {
		s.ConversationID = archived
	}
	return s
}

func (a *archive) export(t *testing.T, args ...string) result {
	t.Helper()
	return cli(t, a.env, "", append([]string{"history", "export"}, args...)...)
}

// ids are the sessions of an export as NDJSON, in order.
func ids(t *testing.T, text string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(text) {
		var r client.HistoryRecord
		if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("line %q: %v", line, err)
		}
		found = append(found, r.ID)
	}
	return found
}

// A few thousand records: all of them, each once, newest first, in both formats.
func TestExport(t *testing.T) {
	t.Parallel()
	const n = 3210
	a := newArchive(t, n)
	var want []string
	for i := range n {
		want = append(want, string(a.record(n-1-i).ID))
	}
	all := a.export(t)
	all.want(t, 0, "", "")
	if diff := cmp.Diff(want, ids(t, all.out)); diff != "" || all.err != "" {
		t.Errorf("export (-want +got):\n%s\nerrors %q, want none: nobody looks", diff, all.err)
	}
	if got := a.pages.Load(); got != (n+exportPage-1)/exportPage {
		t.Errorf("it took %d list calls, want %d", got, (n+exportPage-1)/exportPage)
	}
	table, err := csv.NewReader(strings.NewReader(a.export(t, "--format", "csv").out)).ReadAll()
	if err != nil || len(table) != n+1 {
		t.Fatalf("csv has %d rows (%v), want %d and a head", len(table), err, n)
	}
	for i, row := range table[1:] {
		if row[0] != want[i] {
			t.Fatalf("row %d is of session %s, want %s", i, row[0], want[i])
		}
	}
	stamp := func(i int) string { return a.record(i).EndedAt.Format(time.RFC3339) }
	if got := ids(t, a.export(t, "--from", stamp(100), "--to", stamp(400)).out); !slices.Equal(got, want[n-400:n-100]) {
		t.Errorf("a range has %d records, want the 300 that ended in it", len(got))
	}
	if got := ids(t, a.export(t, "--conversation", archived, "--to", stamp(1000)).out); len(got) != 100 || got[0] != string(a.record(990).ID) {
		t.Errorf("a conversation has %d records before that time, want 100", len(got))
	}
	a.export(t, "--conversation", "nothing").want(t, 0, "", "")
	if r := a.export(t, "--conversation", "nothing", "--format", "csv"); r.out != strings.Join(table[0], ",")+"\n" {
		t.Errorf("an empty csv is %q, want its head", r.out)
	}
}

// The head of the table, in the order that reports go by, and a row of it.
func TestExportTable(t *testing.T) {
	t.Parallel()
	a := newArchive(t, 3, func(i int, s *cobrowse.Session) {
		switch i {
		case 2:
			s.Participants[0].Name, s.DeploymentID = "Müller, \"Kim\"\nzwei", "d1"
			s.Participants = append(s.Participants,
				cobrowse.Participant{ID: "sam", UserID: "sam", Role: cobrowse.RoleSupervisor, JoinedAt: s.CreatedAt}, cobrowse.Participant{ID: "sue", UserID: "sue", Role: cobrowse.RoleSupervisor},
				cobrowse.Participant{ID: "tom", UserID: "tom", Role: cobrowse.RoleSupervisor, JoinedAt: s.CreatedAt})
			s.Grants = []cobrowse.Grant{{Kind: cobrowse.GrantControl, To: "ada", By: "kim", GivenAt: s.CreatedAt}, {Kind: cobrowse.GrantDraw, To: "ada", By: "kim", GivenAt: s.CreatedAt}}
			s.Actions, s.ActionsLeftOut = []cobrowse.Action{{At: s.CreatedAt, Kind: "click", Count: 3}, {At: s.CreatedAt, Kind: "text", Count: 1}}, 5
		case 1:
			s.ActivatedAt, s.Pages, s.EndReason, s.Participants[1].Name = time.Time{}, nil, cobrowse.EndNeverJoined, `=cmd|'/c calc'!A1`
		}
	})
	got, err := csv.NewReader(strings.NewReader(a.export(t, "--format", "csv").out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := func(s cobrowse.Session, d time.Duration) string {
		return s.CreatedAt.Add(d).Format("2006-01-02T15:04:05.000Z")
	}
	full, never := a.record(2), a.record(1)
	pages := `[{"url":"https://shop.example/","dateEntered":"` + full.CreatedAt.Format(time.RFC3339) + `","durationSeconds":15},` +
		`{"url":"https://shop.example/cart?a=1&b=<2>","title":"Cart","dateEntered":"` + full.CreatedAt.Add(15*time.Second).Format(time.RFC3339) + `","durationSeconds":25}]`
	want := [][]string{
		{
			"sessionId", "conversationId", "deploymentId", "sessionToken", "dateCreated", "dateActivated", "dateEnded", "endReason", "waitSeconds", "activeSeconds",
			"customerName", "agentId", "agentName", "supervisorIds", "controlGrants", "actionCount", "pageCount", "pageSeconds", "firstPage", "lastPage", "pages",
		},
		{
			string(full.ID), "", "d1", "000000002", at(full, 0), at(full, 9500*time.Millisecond), at(full, 40*time.Second), "participantLeft", "9", "30",
			"Müller, \"Kim\"\nzwei", "ada", "Ada", "sam tom", "1", "9", "2", "40", "https://shop.example/", "https://shop.example/cart?a=1&b=<2>", pages,
		},
		{
			string(never.ID), "", "", "000000001", at(never, 0), "", at(never, 40*time.Second), "neverJoined", "", "0",
			"Kim", "ada", `'=cmd|'/c calc'!A1`, "", "0", "0", "0", "0", "", "", "[]",
		},
	}
	if diff := cmp.Diff(want, got[:3]); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if help := cli(t, nil, "", "history", "export", "--help").out; !strings.Contains(help, "  pages           all of them") {
		t.Errorf("the help does not list the columns:\n%s", help)
	}
}

func TestHarmless(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "Kim": "Kim", "0049 30": "0049 30", "a=b": "a=b", "-": "'-",
		"=1+1": "'=1+1", "+49 30": "'+49 30", "-2": "'-2", "@SUM(A1)": "'@SUM(A1)", " =1": "' =1", "\u00a0\t=1": "'\u00a0\t=1", "\ufeff=1": "'\ufeff=1",
		"\tx": "'\tx", "\rx": "'\rx", "\nx": "'\nx", "＝1": "'＝1", "＠x": "'＠x", "\x00=1": "'\x00=1", "   ": "   ",
	} {
		if got := harmless(text); got != want {
			t.Errorf("harmless(%q) = %q, want %q", text, got, want)
		}
	}
}

// stopped is a reader that has heard enough after some bytes.
type stopped struct {
	left int
	err  error
}

func (s *stopped) Write(p []byte) (int, error) {
	if s.left -= len(p); s.left < 0 {
		return 0, s.err
	}
	return len(p), nil
}

// An export is written as it is read: a reader has the first records before the last
// ones are asked for, and when it goes away the export ends, in silence.
func TestExportIntoAPipe(t *testing.T) {
	t.Parallel()
	a := newArchive(t, 2000)
	for _, format := range []string{formatNDJSON, formatCSV} {
		a.pages.Store(0)
		read, write := io.Pipe()
		code := make(chan int, 1)
		var errs bytes.Buffer
		go func() {
			code <- run(t.Context(), []string{"history", "export", "--format", format}, console{env: a.env, in: strings.NewReader(""), out: write, err: &errs})
		}()
		line, err := bufio.NewReaderSize(read, 16).ReadString('\n')
		if err != nil || line == "" {
			t.Fatalf("%s: first line %q: %v", format, line, err)
		}
		if got := a.pages.Load(); got > 2 {
			t.Errorf("%s: %d pages were read before anything was written, want 1 or 2", format, got)
		}
		_ = read.Close()
		if got := <-code; got != exitDone || errs.Len() > 0 {
			t.Errorf("%s: without a reader exit code %d and %q, want 0 in silence", format, got, &errs)
		}
		if got := a.pages.Load(); got > 3 {
			t.Errorf("%s: it read on after that, %d pages in all", format, got)
		}
	}
	// A disk that is full is a failure.
	var errs bytes.Buffer
	full := &stopped{left: 5000, err: errors.New("no space left on device")}
	if code := run(t.Context(), []string{"history", "export"}, console{env: a.env, out: full, err: &errs}); code != exitFailed || !strings.Contains(errs.String(), "no space left") {
		t.Errorf("exit code %d, errors %q, want 1 and the reason", code, &errs)
	}
}

// The program itself, when head has read enough.
func TestExportToHead(t *testing.T) {
	t.Parallel()
	a := newArchive(t, 1500)
	for _, program := range []string{"sh", "head"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s", program)
		}
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `"$PROGRAM" history export | head -n 1; echo done`)
	cmd.Env = append(os.Environ(), append(a.env, "PROGRAM="+path)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil || errs.Len() > 0 || strings.Count(string(out), "\n") != 2 || !strings.HasSuffix(string(out), "done\n") {
		t.Errorf("it printed %q and %q (%v), want one record in silence", out, &errs, err)
	}
}

func TestExportFile(t *testing.T) {
	t.Parallel()
	a := newArchive(t, 250)
	dir := t.TempDir()
	there := func() []string {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	file := filepath.Join(dir, "export.jsonl")
	a.broken.Store(2)
	a.export(t, "--output", file).want(t, 1, "", "501 Not Implemented")
	if got := there(); len(got) != 0 {
		t.Errorf("a failed export left %q", got)
	}
	a.broken.Store(0)
	a.export(t, "--output", file).want(t, 0, "", "")
	text, err := os.ReadFile(file)
	if err != nil || len(ids(t, string(text))) != 250 {
		t.Errorf("the file has %d bytes (%v), want 250 records", len(text), err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the file has mode %v (%v), want it readable by its owner alone: it holds names", info.Mode(), err)
	}
	a.export(t, "--output", file).want(t, 1, "", "exists")
	a.export(t, "--output", dir, "--force").want(t, 1, "", "exists")
	a.export(t, "--output", filepath.Join(dir, "no", "such")).want(t, 1, "", "no such file")
	a.pages.Store(0)
	a.broken.Store(2)
	a.export(t, "--output", file, "--force").want(t, 1, "", "501")
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, text) {
		t.Errorf("a failed export changed the file that was there (%v)", err)
	}
	a.broken.Store(0)
	a.export(t, "--output", file, "--force", "--format", "csv").want(t, 0, "", "")
	if again, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(again, []byte("sessionId,")) {
		t.Errorf("--force left the old file (%v)", err)
	}
	a.export(t, "--output", "-", "--conversation", "nothing", "--format", "csv").want(t, 0, "sessionId,", "")
	a.export(t, "--output", os.DevNull).want(t, 0, "", "")
	if got := there(); !slices.Equal(got, []string{"export.jsonl"}) {
		t.Errorf("in the end there are %q", got)
	}
}

// Whoever interrupts an export finds no part of it.
func TestExportInterrupted(t *testing.T) {
	t.Parallel()
	a := newArchive(t, 250)
	a.stall = make(chan struct{})
	a.broken.Store(2)
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	code := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		code <- run(ctx, []string{"history", "export", "-o", filepath.Join(dir, "export.jsonl")}, console{env: a.env, in: strings.NewReader(""), out: io.Discard, err: &errs})
	}()
	<-a.stall
	cancel()
	if got := <-code; got != exitFailed || errs.String() != "cobridge: interrupted\n" {
		t.Errorf("exit code %d, errors %q, want 1 and interrupted", got, &errs)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("it left %v (%v)", entries, err)
	}
}

func TestExportUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--format", "xml"}, `format "xml"; want ndjson or csv`},
		{[]string{"--from", "2026-03-04", "--to", "2026-03-04"}, "nothing is from 2026-03-04 on and before 2026-03-04"},
		{[]string{"--to", "soon"}, `"soon" is no date`},
		{[]string{"more"}, "unknown command"},
		{nil, "which OAuth client?"},
	} {
		cli(t, nil, "", append([]string{"history", "export"}, tt.args...)...).want(t, 2, "", tt.want)
	}
}

func TestStatusLine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	line := &status{w: &out}
	line.show("%d records", 1000)
	line.show("%d records", 20)
	line.clear()
	line.clear()
	if got, want := out.String(), "\r1000 records\r20 records  \r          \r"; got != want {
		t.Errorf("the line = %q, want %q", got, want)
	}
	if statusOf(&out).w != nil {
		t.Error("a buffer is taken for a terminal")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if isTerminal(file) {
		t.Error("a file is taken for a terminal")
	}
	(&status{}).show("nobody looks")
	(&status{}).clear()
}
