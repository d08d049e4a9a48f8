package cobrowse_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// oldServer is a cobrowse.Remote that counts what it is asked.
type oldServer struct {
	record func(cobrowse.SessionID) (cobrowse.Session, error)
	live   func(cobrowse.SessionToken) (cobrowse.RemoteLive, error)
	asked  atomic.Int32
}

func (o *oldServer) Record(_ context.Context, id cobrowse.SessionID) (cobrowse.Session, error) {
	o.asked.Add(1)
	return o.record(id)
}

func (o *oldServer) Live(_ context.Context, token cobrowse.SessionToken) (cobrowse.RemoteLive, error) {
	o.asked.Add(1)
	return o.live(token)
}

// has returns a server that knows these sessions.
func has(known ...cobrowse.Session) *oldServer {
	return &oldServer{record: func(id cobrowse.SessionID) (cobrowse.Session, error) {
		for _, s := range known {
			if s.ID == id {
				return s.Clone(), nil
			}
		}
		return cobrowse.Session{}, &cobridge.Error{Code: cobridge.CodeNotFound}
	}}
}

// with returns the service of h beside a remote server of org.
func (h *house) with(t *testing.T, remote cobrowse.Remote, keeps bool) *cobrowse.Service {
	t.Helper()
	return cobrowse.New(cobrowse.Config{
		Store: h.store, Index: h.store, Deployments: h.store, Directory: h.directory, Clock: h.clock.Now, Rules: h.rules,
		Tokens: cobrowse.NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://bridge.example", 15*time.Minute, h.clock.Now),
		Log:    slog.New(slog.NewTextHandler(t.Output(), nil)), Remote: remote, RemoteOrg: org, RemoteImport: keeps,
	})
}

func asError(err error) (*cobridge.Error, bool) { return errors.AsType[*cobridge.Error](err) }

func TestRemoteRecord(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{false, true} {
		h, old := newHouse(t), has(oldRecord())
		svc := h.with(t, old, keeps)
		want := oldRecord(func(s *cobrowse.Session) {
			s.OrgID, s.EndReason, s.Version, s.Settings.Timeout = org, cobrowse.EndRequested, 1, h.rules.DefaultTimeout
			s.Deadline, s.DeadlineReason = s.EndedAt, s.EndReason
		})
		for range 2 {
			for name, read := range map[string]func() (cobrowse.Session, error){
				"Get":    func() (cobrowse.Session, error) { return svc.Get(t.Context(), org, oldID) },
				"Record": func() (cobrowse.Session, error) { return svc.Record(t.Context(), org, oldID) },
			} {
				got, err := read()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		}
		_, err := h.store.Session(t.Context(), oldID)
		if stored := err == nil; stored != keeps {
			t.Errorf("import %v: stored = %v (%v)", keeps, stored, err)
		}
		if n := old.asked.Load(); keeps && n != 1 || !keeps && n != 4 {
			t.Errorf("import %v: asked %d times", keeps, n)
		}
		link, err := svc.HistoryLink(t.Context(), org, oldID)
		if err != nil {
			t.Fatalf("HistoryLink: %v", err)
		}
		if shown, err := svc.InspectHistory(t.Context(), link.Raw); err != nil || shown.ID != oldID {
			t.Errorf("InspectHistory = %+v, %v", shown, err)
		}
	}
}

// What is here, or is nobody's business, is not asked for elsewhere.
func TestRemoteIsNotAsked(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := has(oldRecord())
	svc := h.with(t, old, true)
	mine := h.start(t, agentAndSupervisor).Session.ID
	if _, err := svc.Get(t.Context(), org, mine); err != nil {
		t.Errorf("Get: %v", err)
	}
	past := oldRecord(func(s *cobrowse.Session) {
		s.ID = "0b5c3a52-2f6e-11ef-9c1e-0242ac120003"
	})
	h.mustImport(t, past, true)
	h.clock.Advance(h.rules.Retention)
	elses := oldRecord(func(s *cobrowse.Session) {
		s.ID, s.CreatedAt, s.ActivatedAt, s.EndedAt, s.Pages = "0b5c3a52-2f6e-11ef-9c1e-0242ac120004", h.clock.Now(), time.Time{}, h.clock.Now(), nil
	})
	if _, err := h.Import(t.Context(), otherOrg, elses); err != nil {
		t.Fatalf("Import: %v", err)
	}
	for name, get := range map[string]func() error{
		"another organisation":        func() error { _, err := svc.Get(t.Context(), otherOrg, oldID); return err },
		"no organisation":             func() error { _, err := svc.Get(t.Context(), "", oldID); return err },
		"the record, for another":     func() error { _, err := svc.Record(t.Context(), otherOrg, oldID); return err },
		"a session of another":        func() error { _, err := svc.Get(t.Context(), org, elses.ID); return err },
		"a record past its retention": func() error { _, err := svc.Get(t.Context(), org, past.ID); return err },
		"no UUID":                     func() error { _, err := svc.Get(t.Context(), org, "x"); return err },
		"a UUID in braces":            func() error { _, err := svc.Get(t.Context(), org, "{"+oldID+"}"); return err },
		"capitals": func() error {
			_, err := svc.Get(t.Context(), org, cobrowse.SessionID(strings.ToUpper(string(oldID))))
			return err
		},
		"a path":                          func() error { _, err := svc.Get(t.Context(), org, "../"+oldID); return err },
		"changing what is not here":       func() error { _, err := svc.End(t.Context(), org, oldID, cobrowse.EndRequested); return err },
		"a token for what is not here":    func() error { _, err := svc.IssueToken(t.Context(), org, oldID, "x"); return err },
		"digits, for another":             func() error { _, err := svc.RemoteLive(t.Context(), otherOrg, "407215938"); return err },
		"digits that are none":            func() error { _, err := svc.RemoteLive(t.Context(), org, "407 215 938"); return err },
		"digits where there is no server": func() error { _, err := h.RemoteLive(t.Context(), org, "407215938"); return err },
		"where there is no server":        func() error { _, err := h.Get(t.Context(), org, oldID); return err },
	} {
		wantCode(t, name, get(), cobridge.CodeNotFound)
		if n := old.asked.Load(); n != 0 {
			t.Fatalf("%s: the remote server was asked", name)
		}
	}
}

func TestRemoteOfLiveSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := has(oldRecord(func(s *cobrowse.Session) { s.EndedAt, s.Pages[1].LeftAt = time.Time{}, time.Time{} }))
	svc := h.with(t, old, true)
	got, err := svc.Get(t.Context(), org, oldID)
	if err != nil || got.State() != cobrowse.StateActive || got.OrgID != org || got.Settings.Timeout != h.rules.DefaultTimeout {
		t.Errorf("Get = %+v, %v, want an active session", got, err)
	}
	_, err = svc.Record(t.Context(), org, oldID)
	wantCode(t, "Record of a session that lives", err, cobridge.CodeNotFound)
	if _, err := h.store.Session(t.Context(), oldID); cobridge.CodeOf(err) != cobridge.CodeNotFound {
		t.Errorf("a session that lives elsewhere was stored: %v", err)
	}
}

func TestRemoteFails(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	unknown := cobrowse.SessionID("0b5c3a52-2f6e-11ef-9c1e-0242ac120009")
	for _, tt := range []struct {
		name   string
		answer func() (cobrowse.Session, error)
		want   cobridge.Code
	}{
		{"it knows none", func() (cobrowse.Session, error) {
			return cobrowse.Session{}, &cobridge.Error{Code: cobridge.CodeNotFound}
		}, cobridge.CodeNotFound},
		{"it does not answer", func() (cobrowse.Session, error) {
			return cobrowse.Session{}, &cobridge.Error{Code: cobridge.CodeUnavailable, RetryAfter: 7 * time.Second}
		}, cobridge.CodeUnavailable},
		{"another session", func() (cobrowse.Session, error) {
			return oldRecord(func(s *cobrowse.Session) { s.ID = unknown }), nil
		}, cobridge.CodeUnavailable},
		{"no digits", func() (cobrowse.Session, error) {
			return oldRecord(func(s *cobrowse.Session) { s.Token = "" }), nil
		}, cobridge.CodeUnavailable},
		{"an end to come", func() (cobrowse.Session, error) {
			return oldRecord(func(s *cobrowse.Session) { s.EndedAt = t0.Add(time.Hour) }), nil
		}, cobridge.CodeUnavailable},
		{"past the retention", func() (cobrowse.Session, error) {
			return oldRecord(func(s *cobrowse.Session) { s.EndedAt = t0.Add(-h.rules.Retention - time.Millisecond) }), nil
		}, cobridge.CodeNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			svc := h.with(t, &oldServer{record: func(cobrowse.SessionID) (cobrowse.Session, error) { return tt.answer() }}, true)
			_, err := svc.Get(t.Context(), org, oldID)
			wantCode(t, "Get", err, tt.want)
			failed, _ := asError(err)
			if tt.name == "it does not answer" && failed.RetryAfter != 7*time.Second {
				t.Errorf("failure = %+v, want the server's Retry-After", failed)
			}
			for _, id := range []cobrowse.SessionID{oldID, unknown} {
				if _, err := h.store.Session(t.Context(), id); cobridge.CodeOf(err) != cobridge.CodeNotFound {
					t.Errorf("something was stored: %v", err)
				}
			}
		})
	}
}

func TestRemoteLive(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := cobrowse.RemoteLive{Token: "407215938", ServerName: "cob-a", ServerURL: "https://cob-a.example/cobrowse"}
	svc := h.with(t, &oldServer{live: func(token cobrowse.SessionToken) (cobrowse.RemoteLive, error) {
		switch token {
		case want.Token:
			return want, nil
		case "000000000":
			return cobrowse.RemoteLive{}, &cobridge.Error{Code: cobridge.CodeUnavailable}
		default:
			return cobrowse.RemoteLive{}, &cobridge.Error{Code: cobridge.CodeNotFound}
		}
	}}, true)
	if got, err := svc.RemoteLive(t.Context(), org, want.Token); err != nil || got != want {
		t.Errorf("RemoteLive = %+v, %v, want %+v", got, err, want)
	}
	_, err := svc.RemoteLive(t.Context(), org, "111111111")
	wantCode(t, "RemoteLive of unknown digits", err, cobridge.CodeNotFound)
	_, err = svc.RemoteLive(t.Context(), org, "000000000")
	wantCode(t, "RemoteLive without an answer", err, cobridge.CodeUnavailable)
}
