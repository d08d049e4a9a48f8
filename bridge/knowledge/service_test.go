package knowledge_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/testenv"
)

var t0 = time.Date(2026, time.March, 4, 5, 6, 7, 89_000_000, time.UTC)

const (
	org      knowledge.OrgID = "0a1b2c3d-0000-4000-8000-000000000001"
	otherOrg knowledge.OrgID = "0a1b2c3d-0000-4000-8000-000000000002"

	idle = 30 * time.Minute
)

// house is a service over a real store, under a clock that the test moves.
type house struct {
	*knowledge.Service
	t       *testing.T
	clock   *testenv.Clock
	store   *bolt.Store
	path    string
	commits atomic.Int32
	cfg     knowledge.Config
}

func newHouse(t *testing.T, profile knowledge.Profile, change ...func(*knowledge.Config)) *house {
	t.Helper()
	h := &house{t: t, clock: testenv.NewClock(t0), path: filepath.Join(t.TempDir(), "store.db")}
	h.cfg = knowledge.Config{Clock: h.clock.Now, Profile: profile}
	for _, fn := range change {
		fn(&h.cfg)
	}
	h.open()
	t.Cleanup(h.close)
	return h
}

func (h *house) open() {
	h.t.Helper()
	var err error
	h.store, err = bolt.Open(h.t.Context(), bolt.Config{Path: h.path, OnCommit: func(bolt.Commit) { h.commits.Add(1) }})
	if err != nil {
		h.t.Fatalf("open store: %v", err)
	}
	h.cfg.Store = h.store
	h.Service, err = knowledge.New(h.cfg)
	if err != nil {
		h.t.Fatalf("New: %v", err)
	}
}

func (h *house) close() {
	if err := h.store.Close(); err != nil {
		h.t.Errorf("close store: %v", err)
	}
}

func key(id knowledge.SessionID) knowledge.Key { return knowledge.Key{OrgID: org, ID: id} }

func kim() knowledge.Facts { return knowledge.Facts{CustomerID: "kim@example.org"} }

func (h *house) must(s knowledge.Session, err error) knowledge.Session {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("call failed: %v", err)
	}
	return s
}

// retrieved returns who the session belongs to, and "gone" if a retrieve of 8.5.1
// does not find it.
func (h *house) retrieved(k knowledge.Key) string {
	h.t.Helper()
	s, err := h.Retrieve(h.t.Context(), k, knowledge.Facts{})
	switch {
	case cobridge.CodeOf(err) == cobridge.CodeNotFound:
		return "gone"
	case err != nil:
		h.t.Fatalf("Retrieve: %v", err)
	case !s.LastAccess.Equal(h.clock.Now()):
		h.t.Errorf("last access = %v, want now, %v", s.LastAccess, h.clock.Now())
	}
	return s.CustomerID
}

func wantCode(t *testing.T, what string, err error, want cobridge.Code) {
	t.Helper()
	if got := cobridge.CodeOf(err); got != want {
		t.Errorf("%s = %v with code %q, want code %q", what, err, got, want)
	}
}

// Each call restarts the idle time-out exactly, although few of them are written.
func TestExpiry(t *testing.T) {
	t.Parallel()
	for _, pause := range []time.Duration{time.Second, idle/4 - time.Millisecond, idle / 4, idle / 2, idle - time.Millisecond} {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, knowledge.Profile851)
			s := h.must(h.Create(t.Context(), org, "", kim()))
			for range 5 {
				h.clock.Advance(pause)
				if got := h.retrieved(s.Key); got != "kim@example.org" {
					t.Fatalf("%v after the last call the session is %q, want live", pause, got)
				}
				h.clock.Advance(pause)
				h.must(h.Update(t.Context(), s.Key, knowledge.Update{Facts: kim()}))
			}
			h.clock.Advance(idle - time.Millisecond)
			if _, err := h.Purge(t.Context()); err != nil {
				t.Fatalf("Purge: %v", err)
			}
			_, err := h.Create(t.Context(), org, "", kim())
			wantCode(t, "Create while the session lives", err, cobridge.CodeConflict)
			h.clock.Advance(time.Millisecond)
			if got := h.retrieved(s.Key); got != "gone" {
				t.Errorf("%v after the last call the session is %q, want gone", idle, got)
			}
			h.must(h.Create(t.Context(), org, "", kim()))
		})
	}
}

// What keeps a session alive is written four times in a time-out at most.
func TestAccessIsSeldomWritten(t *testing.T) {
	t.Parallel()
	h := newHouse(t, knowledge.Profile850)
	s := h.must(h.Create(t.Context(), org, "", kim()))
	before := h.commits.Load()
	for range 300 { // every second for five minutes, and so on
		h.clock.Advance(time.Second)
		h.retrieved(s.Key)
		h.must(h.Update(t.Context(), s.Key, knowledge.Update{Facts: kim()}))
	}
	if got := h.commits.Load() - before; got != 0 {
		t.Errorf("%d commits within five minutes, want none", got)
	}
	for range 3600 / 10 {
		h.clock.Advance(10 * time.Second)
		h.retrieved(s.Key)
	}
	if got := h.commits.Load() - before; got < 8 || got > 9 {
		t.Errorf("%d commits within 65 minutes, want one per 7.5 minutes", got)
	}
}

// The memory for calls that are not written is bounded: what has no place there is
// written, and what has expired leaves it.
func TestUnwrittenCallsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, knowledge.Profile851)
	h.KeepUnwritten(2)
	var keys []knowledge.Key
	for range 4 {
		keys = append(keys, h.must(h.Create(t.Context(), org, "", knowledge.Facts{})).Key)
	}
	before := h.commits.Load()
	h.clock.Advance(time.Minute)
	for _, k := range keys {
		h.retrieved(k)
	}
	if got := h.commits.Load() - before; got != 2 || h.Unwritten() != 2 {
		t.Errorf("4 calls: %d commits and %d in memory, want 2 and 2", got, h.Unwritten())
	}
	h.clock.Advance(idle - time.Millisecond)
	for _, k := range keys {
		if got := h.retrieved(k); got == "gone" {
			t.Errorf("session %d is gone before its time", slices.Index(keys, k))
		}
	}
	h.clock.Advance(idle)
	if _, err := h.Purge(t.Context()); err != nil || h.Unwritten() != 0 {
		t.Errorf("after the purge (%v) %d are in memory, want none", err, h.Unwritten())
	}
}

// A process that dies loses the calls that were not written, so a session expires
// early by a quarter of the time-out at most.
func TestExpiryAfterARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t, knowledge.Profile851)
	s := h.must(h.Create(t.Context(), org, "", kim()))
	h.clock.Advance(idle/4 - time.Millisecond)
	h.retrieved(s.Key)
	h.close()
	h.open()
	h.clock.Advance(idle*3/4 - time.Millisecond)
	if got := h.retrieved(s.Key); got != "kim@example.org" {
		t.Errorf("the session is %q after three quarters of the time-out, want live", got)
	}
}

func TestExpiredSessionIsForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t, knowledge.Profile850)
	old := h.must(h.Retrieve(t.Context(), key("s-1"), kim()))
	h.clock.Advance(idle)
	fresh := h.must(h.Retrieve(t.Context(), key("s-1"), knowledge.Facts{AgentID: "ada"}))
	want := knowledge.Session{Key: key("s-1"), Facts: knowledge.Facts{AgentID: "ada"}, CreatedAt: t0.Add(idle), LastAccess: t0.Add(idle), ExpiresAt: t0.Add(2 * idle)}
	if fresh == old || fresh != want {
		t.Errorf("retrieve of an expired session (-want +got):\n%s", cmp.Diff(want, fresh))
	}
	h.clock.Advance(idle)
	tied := h.must(h.Update(t.Context(), key("s-1"), knowledge.Update{Facts: knowledge.Facts{AgentID: "eve"}}))
	if tied.AgentID != "eve" || !tied.CreatedAt.Equal(t0.Add(2*idle)) {
		t.Errorf("update of an expired session = %+v, want a new one", tied)
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	h := newHouse(t, knowledge.Profile850)
	const n = 1100 // more than two batches
	var wg sync.WaitGroup
	for w := range 11 {
		wg.Go(func() {
			for i := range n / 11 {
				if _, err := h.Retrieve(t.Context(), key(knowledge.SessionID(fmt.Sprintf("s-%d-%d", w, i))), knowledge.Facts{}); err != nil {
					t.Errorf("Retrieve: %v", err)
				}
			}
		})
	}
	wg.Wait()
	h.clock.Advance(idle + idle/4 - time.Millisecond)
	h.retrieved(key("s-0-0")) // a new one in place of the old
	wantPurged := func(want int) {
		t.Helper()
		if got, err := h.Purge(t.Context()); err != nil || got != want {
			t.Errorf("Purge = %d, %v, want %d", got, err, want)
		}
	}
	wantPurged(0) // what a call may have kept alive is not known to the store
	h.clock.Advance(time.Millisecond)
	wantPurged(n - 1)
	if _, err := h.store.KnowledgeSession(t.Context(), key("s-0-0")); err != nil {
		t.Errorf("a live session was purged: %v", err)
	}
}

// Parallel calls that need the same session make one.
func TestAutoCreationIsAtomic(t *testing.T) {
	t.Parallel()
	h := newHouse(t, knowledge.Profile850)
	const n = 64
	sessions := make([]knowledge.Session, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			var err error
			who := knowledge.Facts{CustomerID: fmt.Sprintf("customer-%d", i)}
			if i%2 == 0 {
				sessions[i], err = h.Retrieve(t.Context(), key("same"), who)
			} else {
				sessions[i], err = h.Update(t.Context(), key("same"), knowledge.Update{Facts: knowledge.Facts{VisitID: "v-1"}})
			}
			if err != nil {
				t.Errorf("call %d = %v", i, err)
			}
		})
	}
	wg.Wait()
	got := map[string]bool{}
	for _, s := range sessions {
		if s.CustomerID != "" {
			got[s.CustomerID] = true
		}
	}
	final := h.must(h.Retrieve(t.Context(), key("same"), knowledge.Facts{}))
	if len(got) > 1 || len(got) == 1 && !got[final.CustomerID] || final.VisitID != "v-1" {
		t.Errorf("the callers got sessions of %v, the last state is %+v: want one session", got, final.Facts)
	}
}

func TestCreateMakesIDs(t *testing.T) {
	t.Parallel()
	h := newHouse(t, knowledge.Profile850)
	seen := map[knowledge.SessionID]bool{}
	pattern := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for range 50 {
		s := h.must(h.Create(t.Context(), org, "", knowledge.Facts{}))
		if seen[s.ID] || !pattern.MatchString(string(s.ID)) || !s.Anonymous() {
			t.Fatalf("Create = %+v, want an anonymous session with a new random UUID", s)
		}
		seen[s.ID] = true
	}
}

func TestTie(t *testing.T) {
	t.Parallel()
	all := knowledge.Facts{CustomerID: "kim@example.org", AgentID: "ada", VisitID: "v-17", GlobalVisitID: "g-1"}
	for _, tt := range []struct {
		name     string
		has, say knowledge.Facts
		want     knowledge.Facts
		code     cobridge.Code
	}{
		{"everything to nothing", knowledge.Facts{}, all, all, ""},
		{"nothing to everything", all, knowledge.Facts{}, all, ""},
		{"the same", all, all, all, ""},
		{"one after the other", kim(), knowledge.Facts{AgentID: "ada"}, knowledge.Facts{CustomerID: "kim@example.org", AgentID: "ada"}, ""},
		{"another customer", all, knowledge.Facts{CustomerID: "lee@example.org", VisitID: "v-18"}, all, cobridge.CodeConflict},
		{"another agent", all, knowledge.Facts{AgentID: "eve", VisitID: "v-18"}, all, cobridge.CodeConflict},
		{"another case of letters is another customer", all, knowledge.Facts{CustomerID: "Kim@example.org"}, all, cobridge.CodeConflict},
		{"another visit", all, knowledge.Facts{VisitID: "v-18", GlobalVisitID: "g-2"}, knowledge.Facts{CustomerID: "kim@example.org", AgentID: "ada", VisitID: "v-18", GlobalVisitID: "g-2"}, ""},
	} {
		for _, profile := range knowledge.Profiles() {
			h := newHouse(t, profile)
			k := key("s-1")
			k.TenantID = "1"
			h.must(h.Update(t.Context(), k, knowledge.Update{Facts: tt.has}))
			got, err := h.Update(t.Context(), k, knowledge.Update{Facts: tt.say})
			wantCode(t, tt.name, err, tt.code)
			if err == nil && got.Facts != tt.want {
				t.Errorf("%s: Update = %+v, want %+v", tt.name, got.Facts, tt.want)
			}
			if got := h.must(h.Retrieve(t.Context(), k, knowledge.Facts{})); got.Facts != tt.want {
				t.Errorf("%s: afterwards %+v, want %+v", tt.name, got.Facts, tt.want)
			}
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	h := newHouse(t, knowledge.Profile850)
	long := strings.Repeat("x", knowledge.MaxFact)
	for _, id := range []string{"", strings.Repeat("x", knowledge.MaxSessionID+1), "a\x00", "a\nb", "\xff", "a\u0085"} {
		_, err := h.Retrieve(t.Context(), key(knowledge.SessionID(id)), knowledge.Facts{})
		wantCode(t, fmt.Sprintf("Retrieve(%.20q)", id), err, cobridge.CodeBadRequest)
		_, err = h.Update(t.Context(), key(knowledge.SessionID(id)), knowledge.Update{})
		wantCode(t, fmt.Sprintf("Update(%.20q)", id), err, cobridge.CodeBadRequest)
	}
	for _, bad := range []string{long + "x", "a\x7f", "\xc3", "a\tb"} {
		for _, f := range []knowledge.Facts{{CustomerID: bad}, {AgentID: bad}, {VisitID: bad}, {GlobalVisitID: bad}} {
			_, err := h.Create(t.Context(), org, "", f)
			wantCode(t, fmt.Sprintf("Create(%.20q)", bad), err, cobridge.CodeBadRequest)
			_, err = h.Retrieve(t.Context(), key("s-1"), f)
			wantCode(t, fmt.Sprintf("Retrieve for %.20q", bad), err, cobridge.CodeBadRequest)
			_, err = h.Update(t.Context(), key("s-1"), knowledge.Update{Facts: f})
			wantCode(t, fmt.Sprintf("Update for %.20q", bad), err, cobridge.CodeBadRequest)
		}
		_, err := h.Update(t.Context(), key("s-1"), knowledge.Update{ConversationID: bad})
		wantCode(t, fmt.Sprintf("Update for conversation %.20q", bad), err, cobridge.CodeBadRequest)
	}
	// What is longest and oddest is kept as it came.
	id := knowledge.SessionID("00000000-0000-0000-0000-0000000000 ä/%" + strings.Repeat("x", knowledge.MaxSessionID-39))
	odd := knowledge.Facts{CustomerID: long, AgentID: "Jürgen 山田", VisitID: long, GlobalVisitID: long}
	h.must(h.Update(t.Context(), key(id), knowledge.Update{Facts: odd, ConversationID: long}))
	if got := h.must(h.Retrieve(t.Context(), key(id), knowledge.Facts{})); got.Facts != odd || got.ID != id {
		t.Errorf("Retrieve = %+v", got)
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		profile knowledge.Profile
		known   []string
		tenant  string
		code    cobridge.Code
	}{
		{knowledge.Profile90, []string{"1", "2"}, "1", ""},
		{knowledge.Profile90, []string{"1", "2"}, "2", ""},
		{knowledge.Profile90, []string{"1", "2"}, "3", cobridge.CodeBadRequest},
		{knowledge.Profile90, []string{"1", "2"}, "", cobridge.CodeBadRequest},
		{knowledge.Profile90, nil, "whatever", ""},
		{knowledge.Profile90, nil, "", cobridge.CodeBadRequest},
		{knowledge.Profile90, nil, strings.Repeat("x", knowledge.MaxFact+1), cobridge.CodeBadRequest},
		{knowledge.Profile850, []string{"1"}, "3", ""},
		{knowledge.Profile851, []string{"1"}, "", ""},
	} {
		h := newHouse(t, tt.profile, func(c *knowledge.Config) { c.Tenants = tt.known })
		k := knowledge.Key{OrgID: org, TenantID: tt.tenant, ID: "s-1"}
		s, err := h.Create(t.Context(), org, tt.tenant, kim())
		wantCode(t, fmt.Sprintf("%+v: Create", tt), err, tt.code)
		if want := tt.tenant; err == nil && s.TenantID != want && tt.profile == knowledge.Profile90 || err == nil && tt.profile != knowledge.Profile90 && s.TenantID != "" {
			t.Errorf("%+v: tenant = %q", tt, s.TenantID)
		}
		_, err = h.Update(t.Context(), k, knowledge.Update{})
		wantCode(t, fmt.Sprintf("%+v: Update", tt), err, tt.code)
		_, err = h.Retrieve(t.Context(), k, knowledge.Facts{})
		wantCode(t, fmt.Sprintf("%+v: Retrieve", tt), err, tt.code)
	}
	// A session of one tenant is unknown in the other, and in the other organisation.
	h := newHouse(t, knowledge.Profile90)
	first := h.must(h.Update(t.Context(), knowledge.Key{OrgID: org, TenantID: "1", ID: "s-1"}, knowledge.Update{Facts: kim()}))
	for _, k := range []knowledge.Key{{OrgID: org, TenantID: "2", ID: "s-1"}, {OrgID: otherOrg, TenantID: "1", ID: "s-1"}} {
		if got := h.must(h.Retrieve(t.Context(), k, knowledge.Facts{})); got.CustomerID != "" || got.Key == first.Key {
			t.Errorf("Retrieve(%+v) = %+v, want a session of its own", k, got)
		}
		h.must(h.Create(t.Context(), k.OrgID, k.TenantID, kim()))
	}
}

// conversations is a fake that notes what it is told.
type conversations struct {
	mu   sync.Mutex
	told []string
	err  error
}

func (c *conversations) TieKnowledgeSession(ctx context.Context, org knowledge.OrgID, conversationID string, id knowledge.SessionID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.told = append(c.told, fmt.Sprint(org, " ", conversationID, " ", id))
	if c.err == nil {
		return nil
	}
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("the call has no deadline")
	}
	return c.err
}

func TestTieToAConversation(t *testing.T) {
	t.Parallel()
	talks := &conversations{}
	var log strings.Builder
	h := newHouse(t, knowledge.Profile850, func(c *knowledge.Config) {
		c.Conversations, c.Log = talks, slog.New(slog.NewTextHandler(&log, nil))
	})
	update := func(u knowledge.Update) knowledge.Session {
		t.Helper()
		return h.must(h.Update(t.Context(), key("secret-id"), u))
	}
	update(knowledge.Update{Facts: kim(), MayTie: true})
	if s := update(knowledge.Update{ConversationID: "c-0"}); s.ConversationID != "c-0" {
		t.Errorf("conversation = %q, want c-0", s.ConversationID)
	}
	if len(talks.told) > 0 {
		t.Errorf("told %q, want nothing", talks.told)
	}
	talks.err = &cobridge.Error{Code: cobridge.CodeUnavailable}
	if s := update(knowledge.Update{ConversationID: "c-1", MayTie: true}); s.ConversationID != "c-1" || s.CustomerID != "kim@example.org" {
		t.Errorf("session = %+v, want one of c-1", s)
	}
	if diff := cmp.Diff([]string{string(org) + " c-1 secret-id"}, talks.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if !strings.Contains(log.String(), "conversationId=c-1") || strings.Contains(log.String(), "secret-id") {
		t.Errorf("the log has %q, want the conversation and not the session", log.String())
	}
	if s := update(knowledge.Update{}); s.ConversationID != "c-1" || len(talks.told) != 1 {
		t.Errorf("session = %+v, told %q; want nothing changed", s, talks.told)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	for name, change := range map[string]func(*knowledge.Config){
		"no store":          func(c *knowledge.Config) { c.Store = nil },
		"no clock":          func(c *knowledge.Config) { c.Clock = nil },
		"unknown profile":   func(c *knowledge.Config) { c.Profile = "8.5.9" },
		"no time at all":    func(c *knowledge.Config) { c.IdleTimeout = time.Nanosecond },
		"negative time-out": func(c *knowledge.Config) { c.IdleTimeout = -time.Hour },
	} {
		cfg := h.cfg
		change(&cfg)
		if _, err := knowledge.New(cfg); err == nil {
			t.Errorf("%s: New succeeded", name)
		}
	}
}

// A store that fails is a failure of the call, not an unknown session.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	for _, profile := range knowledge.Profiles() {
		h := newHouse(t, profile)
		h.close()
		k := knowledge.Key{OrgID: org, TenantID: "1", ID: "s-1"}
		_, err := h.Create(t.Context(), org, "1", knowledge.Facts{})
		wantCode(t, "Create", err, cobridge.CodeUnavailable)
		_, err = h.Retrieve(t.Context(), k, knowledge.Facts{})
		wantCode(t, "Retrieve", err, cobridge.CodeUnavailable)
		_, err = h.Update(t.Context(), k, knowledge.Update{})
		wantCode(t, "Update", err, cobridge.CodeUnavailable)
		_, err = h.Purge(t.Context())
		wantCode(t, "Purge", err, cobridge.CodeUnavailable)
	}
}
