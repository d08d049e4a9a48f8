package cobrowse_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

const oldID cobrowse.SessionID = "0b5c3a52-2f6e-11ef-9c1e-0242ac120002"

// oldRecord is a session of another server that ended an hour ago.
func oldRecord(change ...func(*cobrowse.Session)) cobrowse.Session {
	begin := t0.Add(-2 * time.Hour)
	s := cobrowse.Session{
		ID: oldID, Token: "407215938", CreatedAt: begin, ActivatedAt: begin.Add(7 * time.Second), EndedAt: begin.Add(time.Hour), Legacy: true,
		Pages: []cobrowse.PageVisit{
			{URL: "https://shop.example/cart", EnteredAt: begin.Add(8 * time.Second), LeftAt: begin.Add(time.Minute)},
			{URL: "https://shop.example/checkout", EnteredAt: begin.Add(time.Minute), LeftAt: begin.Add(time.Hour)},
		},
	}
	for _, fn := range change {
		fn(&s)
	}
	return s
}

func (h *house) mustImport(t *testing.T, s cobrowse.Session, want bool) {
	t.Helper()
	created, err := h.Import(t.Context(), org, s)
	if err != nil || created != want {
		t.Errorf("Import = %v, %v, want %v", created, err, want)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustImport(t, oldRecord(), true)
	got, err := h.Record(t.Context(), org, oldID)
	if err != nil {
		t.Fatalf("Record: %v", err)
	}
	want := oldRecord(func(s *cobrowse.Session) {
		s.OrgID, s.EndReason, s.Version, s.Settings.Timeout = org, cobrowse.EndRequested, 1, h.rules.DefaultTimeout
		s.Deadline, s.DeadlineReason = s.EndedAt, s.EndReason
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if got.State() != cobrowse.StateEnded {
		t.Errorf("its state is %s", got.State())
	}
	// Again, and with other contents: what is there stays.
	h.mustImport(t, oldRecord(), false)
	h.mustImport(t, oldRecord(func(s *cobrowse.Session) { s.Pages, s.Token = nil, "123456789" }), false)
	if again, err := h.Record(t.Context(), org, oldID); err != nil || !cmp.Equal(got, again) {
		t.Errorf("after more imports the record is %+v, %v", again, err)
	}
	records, more, err := h.Records(t.Context(), cobrowse.RecordRequest{OrgID: org, Limit: 10})
	if err != nil || more || len(records) != 1 || records[0].ID != oldID {
		t.Errorf("Records = %v, %v, %v, want the imported one", records, more, err)
	}
	if _, err := h.Record(t.Context(), otherOrg, oldID); cobridge.CodeOf(err) != cobridge.CodeNotFound {
		t.Errorf("another organisation sees it: %v", err)
	}
	// The digits are nobody's, and ending what has ended changes nothing.
	if id, err := h.store.Holder(t.Context(), cobrowse.Claim{Kind: cobrowse.ClaimSessionToken, Key: "407215938"}); cobridge.CodeOf(err) != cobridge.CodeNotFound {
		t.Errorf("the digits are held by %q, %v", id, err)
	}
	if ended, err := h.End(t.Context(), org, oldID, cobrowse.EndParticipantLeft); err != nil || ended.EndReason != cobrowse.EndRequested {
		t.Errorf("End = %+v, %v", ended, err)
	}
}

// Nobody hears of an import: what happened is long past.
func TestImportIsNoEvent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, stop := context.WithCancel(t.Context())
	ready, first := make(chan struct{}), make(chan cobrowse.Event, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = h.store.Follow(ctx, "", func() { close(ready) }, func(_ context.Context, e cobrowse.Event) error {
			select {
			case first <- e:
			default:
			}
			return nil
		})
	})
	<-ready
	h.mustImport(t, oldRecord(), true)
	started := h.start(t, agentAndSupervisor)
	if e := <-first; e.SessionID != started.Session.ID {
		t.Errorf("the first event is %s of %s, want one of the session that was started later", e.Type, e.SessionID)
	}
	stop()
	wg.Wait()
}

func TestImportOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var created atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			ok, err := h.Import(t.Context(), org, oldRecord())
			if err != nil {
				t.Errorf("Import: %v", err)
			}
			if ok {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if got := created.Load(); got != 1 {
		t.Errorf("%d of 32 created it, want 1", got)
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	hour := time.Hour
	for _, tt := range []struct {
		name   string
		change func(*cobrowse.Session)
		want   []string // field and code
	}{
		{"no id", func(s *cobrowse.Session) { s.ID = "" }, []string{"id format"}},
		{"an id in capitals", func(s *cobrowse.Session) { s.ID = "0B5C3A52-2F6E-11EF-9C1E-0242AC120002" }, []string{"id format"}},
		{"an id in braces", func(s *cobrowse.Session) { s.ID = "{" + s.ID + "}" }, []string{"id format"}},
		{"no digits", func(s *cobrowse.Session) { s.Token = "" }, []string{"sessionToken format"}},
		{"digits as people write them", func(s *cobrowse.Session) { s.Token = "407 215 938" }, []string{"sessionToken format"}},
		{"a reason that is none", func(s *cobrowse.Session) { s.EndReason = "bored" }, []string{"endReason unknown"}},
		{"never created", func(s *cobrowse.Session) { s.CreatedAt = time.Time{} }, []string{"dateCreated required"}},
		{"still live", func(s *cobrowse.Session) { s.EndedAt = time.Time{} }, []string{"dateEnded required"}},
		{"ended before it began", func(s *cobrowse.Session) { s.EndedAt = s.CreatedAt.Add(-time.Millisecond) }, []string{"dateEnded range"}},
		{"ends tomorrow", func(s *cobrowse.Session) { s.EndedAt = t0.Add(24 * hour) }, []string{"dateEnded range"}},
		{"active before it was created", func(s *cobrowse.Session) { s.ActivatedAt = s.CreatedAt.Add(-time.Millisecond) }, []string{"dateActivated range"}},
		{"active after its end", func(s *cobrowse.Session) { s.ActivatedAt = s.EndedAt.Add(time.Millisecond) }, []string{"dateActivated range"}},
		{"somebody in it", func(s *cobrowse.Session) {
			s.Participants = []cobrowse.Participant{{ID: "x", Connection: cobrowse.Connection{Open: true}}}
		}, []string{"participants not.allowed"}},
		{"a consent", func(s *cobrowse.Session) { s.Grants = []cobrowse.Grant{{}} }, []string{"grants not.allowed"}},
		{"an action", func(s *cobrowse.Session) { s.Actions = []cobrowse.Action{{}} }, []string{"actions not.allowed"}},
		{"a violation", func(s *cobrowse.Session) { s.Violation.At = t0 }, []string{"violation not.allowed"}},
		{"a conversation", func(s *cobrowse.Session) { s.ConversationID = "c" }, []string{"conversationId not.allowed"}},
		{"a deployment", func(s *cobrowse.Session) { s.DeploymentID = "d" }, []string{"deploymentId not.allowed"}},
		{"another organisation", func(s *cobrowse.Session) { s.OrgID = otherOrg }, []string{"orgId not.allowed"}},
		{"a page that is none", func(s *cobrowse.Session) { s.Pages[1].URL = "javascript:alert(1)" }, []string{"pages[1].url format"}},
		{"a page without address", func(s *cobrowse.Session) { s.Pages[0].URL = "" }, []string{"pages[0].url format"}},
		{"a page of last week", func(s *cobrowse.Session) { s.Pages[0].EnteredAt = s.CreatedAt.Add(-7 * 24 * hour) }, []string{"pages[0].dateEntered range", "pages[0].durationSeconds range"}},
		{"a page that was shown for a week", func(s *cobrowse.Session) { s.Pages[1].LeftAt = s.EndedAt.Add(7 * 24 * hour) }, []string{"pages[1].durationSeconds range"}},
		{"several", func(s *cobrowse.Session) { s.ID, s.Token = "x", "y" }, []string{"id format", "sessionToken format"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := h.Import(t.Context(), org, oldRecord(tt.change))
			wantDetails(t, err, tt.want)
		})
	}
}

func wantDetails(t *testing.T, err error, want []string) {
	t.Helper()
	failed, ok := asError(err)
	if !ok || failed.Code != cobridge.CodeConstraintValidation {
		t.Fatalf("failure = %v, want %s", err, cobridge.CodeConstraintValidation)
	}
	var got []string
	for _, d := range failed.Details {
		got = append(got, d.FieldName+" "+d.ErrorCode)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
}

// Who would import what is past its retention would find nothing.
func TestImportAndRetention(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	aged := func(age time.Duration) func(*cobrowse.Session) {
		return func(s *cobrowse.Session) {
			by := s.EndedAt.Sub(t0) + age
			s.CreatedAt, s.ActivatedAt, s.EndedAt, s.Pages = s.CreatedAt.Add(-by), s.ActivatedAt.Add(-by), s.EndedAt.Add(-by), nil
		}
	}
	_, err := h.Import(t.Context(), org, oldRecord(aged(h.rules.Retention+time.Millisecond)))
	wantDetails(t, err, []string{"dateEnded retention"})
	h.mustImport(t, oldRecord(aged(h.rules.Retention)), true)
	h.clock.Advance(time.Millisecond)
	_, err = h.Record(t.Context(), org, oldID)
	wantCode(t, "Record of what is past its retention", err, cobridge.CodeNotFound)
	_, err = h.Import(t.Context(), org, oldRecord())
	wantDetails(t, err, []string{"dateEnded retention"})
}

func TestImportOfSomebodyElses(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustImport(t, oldRecord(), true)
	_, err := h.Import(t.Context(), otherOrg, oldRecord())
	wantCode(t, "Import of an id of another organisation", err, cobridge.CodeNotFound)
	if got := h.look(t, oldID); got.OrgID != org {
		t.Errorf("the record belongs to %s now", got.OrgID)
	}
	started := h.start(t, agentAndSupervisor)
	same := func(s *cobrowse.Session) { s.ID = started.Session.ID }
	_, err = h.Import(t.Context(), org, oldRecord(same))
	wantCode(t, "Import of a session that lives here", err, cobridge.CodeConflict)
	_, err = h.Import(t.Context(), otherOrg, oldRecord(same))
	wantCode(t, "Import of a session that lives in another organisation", err, cobridge.CodeNotFound)
	if _, err := h.End(t.Context(), org, started.Session.ID, cobrowse.EndRequested); err != nil {
		t.Fatalf("End: %v", err)
	}
	h.mustImport(t, oldRecord(same), false)
}

// Imported records have as much room for pages as others, and their addresses are as clean.
func TestImportOfPages(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustImport(t, oldRecord(func(s *cobrowse.Session) {
		s.Pages = nil
		for i := range 600 {
			at := s.CreatedAt.Add(time.Duration(i) * time.Second)
			s.Pages = append(s.Pages, cobrowse.PageVisit{URL: fmt.Sprintf("https://kim:x@shop.example/%d?card=4111#x", i), EnteredAt: at, LeftAt: at.Add(time.Second)})
		}
	}), true)
	pages := h.look(t, oldID).Pages
	if n := len(pages); n != 500 || pages[0].URL != "https://shop.example/0" || pages[498].URL != "https://shop.example/498" || pages[499].URL != "https://shop.example/599" {
		t.Errorf("%d pages are kept, want the first 499 and the last", n)
	}
	if !slices.IsSortedFunc(pages, func(a, b cobrowse.PageVisit) int { return a.EnteredAt.Compare(b.EnteredAt) }) {
		t.Error("the pages are out of order")
	}
}

func TestPageLeft(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli
	for _, tt := range []struct {
		begin, end time.Time
		seconds    int64
		want       time.Time
	}{
		{at(0), at(9999), 9, at(9999)},
		{at(0), at(10000), 9, at(9000)},
		{at(0), at(8999), 9, at(9000)},
		{at(0), time.Time{}, 9, at(9000)},
		{at(5000), at(4000), 0, at(5000)},
	} {
		if got := cobrowse.PageLeft(tt.begin, tt.end, tt.seconds); !got.Equal(tt.want) {
			t.Errorf("PageLeft(%s, %s, %d) = %s, want %s", tt.begin, tt.end, tt.seconds, got, tt.want)
		}
	}
}
