package legacy_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// countedStore counts what is written, and fails when it is told to.
type countedStore struct {
	cobrowse.DeploymentStore

	writes int
	broken error
}

func (s *countedStore) PutDeployment(ctx context.Context, d cobrowse.Deployment) error {
	if s.broken != nil {
		return s.broken
	}
	s.writes++
	return s.DeploymentStore.PutDeployment(ctx, d)
}

// ruled is a deployment on a real store, and a watch of its restrictions.
type ruled struct {
	*cobrowse.Service

	t     *testing.T
	id    cobrowse.DeploymentID
	store *countedStore
	clock *testenv.Clock
	log   *testenv.Buffer
	watch *legacy.RestrictionsWatch
}

func newRuled(t *testing.T, source string) *ruled {
	t.Helper()
	r := &ruled{t: t, clock: testenv.NewClock(t0), log: &testenv.Buffer{}}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	store, err := bolt.Open(t.Context(), bolt.Config{Path: filepath.Join(t.TempDir(), "store.db"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	r.store = &countedStore{DeploymentStore: store}
	r.Service = cobrowse.New(cobrowse.Config{
		Store: store, Index: store, Deployments: r.store, Directory: conversations.NewLocal(store, r.clock.Now), Clock: r.clock.Now, Log: log, Rules: cobrowse.DefaultRules(),
		Tokens: cobrowse.NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://bridge.example", 15*time.Minute, r.clock.Now),
	})
	site, err := r.CreateDeployment(t.Context(), cobrowse.Deployment{OrgID: orgID, Name: "Shop", AllowedOrigins: []string{shop}})
	if err != nil {
		t.Fatal(err)
	}
	r.id = site.ID
	r.again(source)
	return r
}

// again watches another source, as after a restart.
func (r *ruled) again(source string) {
	r.watch = legacy.NewRestrictionsWatch(legacy.RestrictionsConfig{
		Source: source, Every: 30 * time.Second, Org: orgID, Deployment: r.id, Deployments: r.Service, Clock: r.clock.Now,
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	})
}

// look looks half a minute later, and returns what is new in the log.
func (r *ruled) look() string {
	r.t.Helper()
	r.clock.Advance(30 * time.Second)
	before := len(r.log.String())
	r.watch.Look(r.t.Context())
	if got := r.watch.Status().LookedAt; !got.Equal(r.clock.Now()) {
		r.t.Errorf("the status is of %v, want %v", got, r.clock.Now())
	}
	return r.log.String()[before:]
}

func (r *ruled) holds(want []cobrowse.PageRule) {
	r.t.Helper()
	d, err := r.Deployment(r.t.Context(), orgID, r.id)
	if err != nil {
		r.t.Fatal(err)
	}
	if diff := cmp.Diff(want, d.Restrictions); diff != "" {
		r.t.Errorf("the deployment's restrictions (-want +got):\n%s", diff)
	}
	if got := r.watch.Status().Rules; got != len(want) {
		r.t.Errorf("the status tells of %d rules, want %d", got, len(want))
	}
}

func (r *ruled) problem(want string) {
	r.t.Helper()
	if got := r.watch.Status().Problem; want == "" && got != "" || !strings.Contains(got, want) {
		r.t.Errorf("the problem is %q, want %q", got, want)
	}
}

func masked(selector string) []cobrowse.PageRule {
	return []cobrowse.PageRule{{URLPattern: ".*", MaskSelectors: []string{selector}}}
}

func typedMasked() cobrowse.PageRule {
	return cobrowse.PageRule{URLPattern: ".*", MaskSelectors: []string{"input", "textarea", "select", "[contenteditable]"}}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRestrictionsOfAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "restrictions.xml")
	write(t, path, string(sampleRestrictions(t)))
	r := newRuled(t, path)
	if log := r.look(); !strings.Contains(log, "DOM restrictions were read") || !strings.Contains(log, "rules=2") {
		t.Errorf("the log says %q", log)
	}
	r.holds(sampleRules())
	r.problem("")

	// What has not changed is not written again, nor spoken of.
	writes := r.store.writes
	for range 3 {
		if log := r.look(); log != "" {
			t.Errorf("without a change the log says %q", log)
		}
	}
	if r.store.writes != writes {
		t.Errorf("without a change the deployment was written %d times", r.store.writes-writes)
	}

	// A change of the same length, at the same time as far as the file says.
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(sampleRestrictions(t)), "#cardNumber", "#bankNumber", 1))
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	r.look()
	changed := sampleRules()
	changed[0].MaskSelectors[0] = "#bankNumber"
	r.holds(changed)

	// Bad files change nothing, and each problem is told once.
	for _, bad := range []struct {
		make func()
		want string
	}{
		{func() { write(t, path, "<domRestrictions>") }, "line 1: unexpected EOF"},
		{func() { write(t, path, setOf("(", ".a")) }, "the regular expression"},
		{func() { write(t, path, strings.Repeat(" ", 1<<20+1)) }, "more than 1048576 bytes"},
		{func() { _ = os.Remove(path) }, "no such file"},
		{func() { _ = os.Mkdir(path, 0o700) }, "not a file"},
	} {
		bad.make()
		log := r.look()
		if !strings.Contains(log, "those that were read before stay") || !strings.Contains(log, bad.want) || strings.Count(log, "\n") != 1 {
			t.Errorf("of %s the log says %q", bad.want, log)
		}
		if log := r.look(); log != "" {
			t.Errorf("of %s the log says again %q", bad.want, log)
		}
		r.problem(bad.want)
		r.holds(changed)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	// A pipe would be read for ever.
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.problem("not a file")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}

	// The good one that was there before is back.
	write(t, path, strings.Replace(string(sampleRestrictions(t)), "#cardNumber", "#bankNumber", 1))
	if log := r.look(); !strings.Contains(log, "can be used again") {
		t.Errorf("of the good file the log says %q", log)
	}
	r.problem("")
	write(t, path, "<domRestrictions/>")
	r.look()
	r.holds(nil)
}

func TestRestrictionsWithoutAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "restrictions.xml")
	r := newRuled(t, path)
	if log := r.look(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "everything that is typed is masked") || !strings.Contains(log, "no such file") {
		t.Errorf("without a file the log says %q", log)
	}
	r.holds([]cobrowse.PageRule{typedMasked()})
	write(t, path, setOf(".*", "a >"))
	if log := r.look(); !strings.Contains(log, "everything that is typed is masked") || !strings.Contains(log, "the selector") {
		t.Errorf("with a bad file the log says %q", log)
	}
	r.look()
	r.holds([]cobrowse.PageRule{typedMasked()})
	write(t, path, setOf(".*", ".a"))
	r.look()
	r.holds(masked(".a"))
	r.problem("")

	// After a restart without a file, what the earlier run has read stays besides.
	r.again(path + ".gone")
	r.look()
	r.look()
	r.holds(append(masked(".a"), typedMasked()))
	r.again(path)
	r.look()
	r.holds(masked(".a"))
}

// Somebody replaces the deployment, or deletes it and makes it anew.
func TestRestrictionsStay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "restrictions.xml")
	write(t, path, setOf(".*", ".a"))
	r := newRuled(t, path)
	r.look()
	d := cobrowse.Deployment{ID: r.id, OrgID: orgID, Name: "Store", AllowedOrigins: []string{shop}}
	if _, err := r.UpdateDeployment(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	r.holds(masked(".a"))
	if err := r.DeleteDeployment(t.Context(), orgID, r.id); err != nil {
		t.Fatal(err)
	}
	if log := r.look(); !strings.Contains(log, "no deployment") {
		t.Errorf("without the deployment the log says %q", log)
	}
	r.problem("no deployment")
	if _, err := r.CreateDeployment(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	r.look()
	r.holds(masked(".a"))
	r.problem("")

	// A store that fails is tried again, though the file is what it was.
	r.store.broken = errors.New("disk full")
	write(t, path, setOf(".*", ".b"))
	r.look()
	r.look()
	r.problem("disk full")
	r.store.broken = nil
	r.look()
	r.holds(masked(".b"))
	r.problem("")
}

// ruleServer serves a file as a web server does, and whatever a test puts in its place.
type ruleServer struct {
	mu    sync.Mutex
	serve http.HandlerFunc
	seen  []string // status of each answer, and which question was conditional
}

func (s *ruleServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r.Header.Get("If-None-Match")+"|"+r.Header.Get("If-Modified-Since"))
	s.serve(w, r)
}

func (s *ruleServer) becomes(serve http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = serve
}

func (s *ruleServer) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

func file(etag, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "restrictions.xml", time.Time{}, strings.NewReader(text))
	}
}

func TestRestrictionsOfAServer(t *testing.T) {
	t.Parallel()
	s := &ruleServer{serve: file(`"1"`, setOf(".*", ".a"))}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	address := strings.Replace(server.URL, "http://", "http://user:secret-word@", 1) + "/rules.xml?key=secret-word"
	r := newRuled(t, address)
	r.look()
	r.holds(masked(".a"))
	for range 2 {
		if log := r.look(); log != "" {
			t.Errorf("without a change the log says %q", log)
		}
		if got := s.last(); got != `"1"|` {
			t.Errorf("the question was %q, want a conditional one", got)
		}
	}
	s.becomes(file(`"2"`, setOf(".*", ".b")))
	r.look()
	r.holds(masked(".b"))

	// With a date alone.
	changed := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	s.becomes(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "x.xml", changed, strings.NewReader(setOf(".*", ".c")))
	})
	r.look()
	r.look()
	if got := s.last(); got != "|"+changed.Format(http.TimeFormat) {
		t.Errorf("the question was %q, want a conditional one", got)
	}
	r.holds(masked(".c"))

	// A bad file with a validator stays bad, and is told once.
	s.becomes(file(`"3"`, "<html/>"))
	r.look()
	if log := r.look(); log != "" || s.last() != `"3"|` {
		t.Errorf("of the bad file, asked for with %q, the log says again %q", s.last(), log)
	}
	r.problem("want domRestrictions")

	var bomb bytes.Buffer
	zip := gzip.NewWriter(&bomb)
	if _, err := io.Copy(zip, io.LimitReader(spaces{}, 64<<20)); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"an error":     {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadGateway) }, "the server answers 502"},
		"a login page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<!doctype html><p>Sign in") }, "document type"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "<domRestrictions>")
		}, "unexpected EOF"},
		"no end": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.Copy(w, io.LimitReader(spaces{}, 1<<30)) }, "more than 1048576 bytes"},
		"a bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, "more than 1048576 bytes"},
		"in circles": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }, "too many redirects"},
		"to a file": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		}, "unsupported protocol scheme"},
		"hangs up": {func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.Close()
			}
		}, "EOF"},
	} {
		s.becomes(bad.serve)
		r.look()
		if r.problem(bad.want); r.watch.Status().Problem == "" {
			t.Errorf("%s: there is no problem", name)
		}
		r.holds(masked(".c"))
	}
	s.becomes(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			file(`"4"`, setOf(".*", ".d"))(w, r)
		} else {
			http.Redirect(w, r, "/moved", http.StatusMovedPermanently)
		}
	})
	r.look()
	r.holds(masked(".d"))
	r.again(address)
	s.becomes(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	r.look()
	r.problem("the server answers 304") // nobody has asked for what is new
	server.Close()
	r.look()
	r.problem("refused")
	r.holds(append(masked(".d"), typedMasked()))
	if log := r.log.String(); strings.Contains(log, "secret-word") || !strings.Contains(log, "/rules.xml") {
		t.Errorf("the log has the address with its secrets, or not at all:\n%s", log)
	}
}

// spaces is white space without end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// An address does not lead from https to http, where anybody could answer.
func TestRestrictionsKeepToHTTPS(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(file(`"1"`, setOf(".*", ".a")))
	t.Cleanup(plain.Close)
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	t.Cleanup(secure.Close)
	r := newRuled(t, secure.URL)
	r.watch = legacy.NewRestrictionsWatch(legacy.RestrictionsConfig{
		Source: secure.URL, Org: orgID, Deployment: r.id, Deployments: r.Service, Clock: r.clock.Now, Log: slog.New(slog.NewTextHandler(r.log, nil)),
		Transport: secure.Client().Transport,
	})
	r.look()
	r.problem("leaves https")
	r.holds([]cobrowse.PageRule{typedMasked()})
}

// noted is a deployment that notes what its restrictions become.
type noted struct {
	rules chan []cobrowse.PageRule
	held  []cobrowse.PageRule
}

func (n *noted) Deployment(context.Context, conversations.OrgID, cobrowse.DeploymentID) (cobrowse.Deployment, error) {
	return cobrowse.Deployment{Restrictions: n.held}, nil
}

func (n *noted) SetPageRules(_ context.Context, _ conversations.OrgID, _ cobrowse.DeploymentID, rules []cobrowse.PageRule) (bool, error) {
	if cmp.Equal(n.held, rules) {
		return false, nil
	}
	n.held = rules
	n.rules <- rules
	return true, nil
}

func TestRestrictionsRun(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "restrictions.xml")
	write(t, path, setOf(".*", ".a"))
	synctest.Test(t, func(t *testing.T) {
		n := &noted{rules: make(chan []cobrowse.PageRule, 10)}
		w := legacy.NewRestrictionsWatch(legacy.RestrictionsConfig{
			Source: path, Every: 30 * time.Second, Org: orgID, Deployment: "d", Deployments: n, Clock: cobridge.Clock(time.Now), Log: slog.New(slog.DiscardHandler),
		})
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.Run(ctx) })
		began := time.Now()
		for _, selector := range []string{".a", ".b", ".c"} {
			write(t, path, setOf(".*", selector))
			if got := <-n.rules; !cmp.Equal(got, masked(selector)) {
				t.Errorf("restrictions became %v, want those of %s", got, selector)
			}
		}
		if took := time.Since(began); took != 90*time.Second {
			t.Errorf("three changes took %v, want three looks", took)
		}
		stop()
		wg.Wait()
	})
}
