package bolt_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// TestFormat compares everything that a store writes with what version 1 of the
// format wrote. If it fails, files of users may no longer be read: keep reading the
// old form, or raise the format and convert. COBRIDGE_GOLDEN=1 writes it anew.
func TestFormat(t *testing.T) {
	t.Parallel()
	store := mustOpen(t, filepath.Join(t.TempDir(), "store.db"))
	fill(t, store)
	dump, err := store.Dump()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, bucket := range slices.Sorted(maps.Keys(dump)) {
		for _, key := range slices.Sorted(maps.Keys(dump[bucket])) {
			fmt.Fprintf(&got, "%s %q\n\t%q\n", bucket, key, dump[bucket][key])
		}
	}
	golden := filepath.Join("testdata", "format1.golden")
	if os.Getenv("COBRIDGE_GOLDEN") != "" {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("what is stored (-want +got):\n%s", diff)
	}
	for bucket, entries := range dump {
		if len(entries) == 0 {
			t.Errorf("bucket %s is empty: the golden file does not guard it", bucket)
		}
	}
}

// fill stores something of every kind, with every field set.
func fill(t *testing.T, store *bolt.Store) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	live := newSession("s-live", "c-1")
	live.DeploymentID, live.Settings.AllowRemoteControl, live.TokenIssuedAt, live.LastActivityAt, live.ActivatedAt = "d-1", true, t0, t0, t0
	p := &live.Participants[0]
	p.LeftAt, p.Removed, p.Connection = t0, true, cobrowse.Connection{Number: 2, Open: true, ClosedAt: t0}
	p.Resume = cobrowse.Resume{Current: [32]byte{1}, Previous: [32]byte{2}, PreviousUntil: t0, Tab: "tab"}
	p.AllowControl = true
	live.Pages[0].LeftAt = t0
	live.Grants = []cobrowse.Grant{{Kind: cobrowse.GrantControl, To: "u-2", By: "u-1", TextVersion: "en-1", GivenAt: t0, ExpiresAt: t0, RevokedAt: t0, RevokedBy: "u-1"}}
	live.Actions = []cobrowse.Action{{At: t0, LastAt: t0, ParticipantID: "u-2", Kind: "click", Path: "#buy", Result: "ok", Count: 1}}
	live.ActionsLeftOut, live.Violation = 3, cobrowse.Violation{At: t0, Path: "#card"}
	claim := cobrowse.Claim{Kind: cobrowse.ClaimConversation, OrgID: "org", Key: "c-1"}
	resting := cobrowse.Claim{Kind: cobrowse.ClaimSessionToken, Key: "123456789"}
	must(store.Apply(t.Context(), cobrowse.Change{
		At: t0, Session: live, Take: []cobrowse.Claim{claim, resting}, Redeem: &cobrowse.RedeemedToken{ID: "jti", ExpiresAt: t0},
		Repeatable: &cobrowse.Repeatable{RepeatKey: cobrowse.RepeatKey{OrgID: "org", ClientID: "client", Route: "POST /", Key: "key"}, BodyHash: [32]byte{3}, SessionID: "s-live", ExpiresAt: t0.Add(time.Hour)},
		Events:     []cobrowse.Event{{Type: cobrowse.EventEnded, At: t0, OrgID: "org", SessionID: "s-live", ConversationID: "c-1", ParticipantID: "u-1", Connection: 2, EndReason: cobrowse.EndInactive}},
	}))
	over := newSession("s-over", "c-1")
	over.EndedAt, over.EndReason = t0, cobrowse.EndRequested
	must(store.Apply(t.Context(), cobrowse.Change{At: t0, Session: over}))
	live.Version++
	must(store.Apply(t.Context(), cobrowse.Change{At: t0, Session: live, Release: []cobrowse.Release{{Claim: resting, Until: t0.Add(24 * time.Hour)}}}))
	must(store.PutDeployment(t.Context(), cobrowse.Deployment{
		ID: "d-1", OrgID: "org", Name: "Shop", AllowedOrigins: []string{"https://shop.example"}, StartURL: "https://shop.example/", CreatedAt: t0,
		ConsentVersion: "v1", ConsentTexts: map[string]string{"de": "Darf diese Seite gezeigt werden?"}, DefaultFor: []cobrowse.Role{cobrowse.RoleCustomer},
		Rules: cobrowse.SharingRules{
			MaskSelectors: []string{"#card"}, ReadonlySelectors: []string{"#name"}, AllowAgentControl: true, AllowAgentNavigation: true, AllowDraw: true,
			PauseCriteria: []cobrowse.PauseCriterion{{URLFragment: "/pay", Condition: cobrowse.PauseIncludes}},
			TextMode:      cobrowse.TextPrivate, ShowSelectors: []string{"h1"}, BlockSelectors: []string{".ad"}, NeverShowSelectors: []string{"#pin"}, AllowAgentSubmit: true,
			ControlMode: cobrowse.ControlFieldsOnly, ControlSelectors: []string{".tab"}, AssetOrigins: []string{"https://cdn.example"},
			PageRules: []cobrowse.PageRule{{URLPattern: ".*/pay", MaskSelectors: []string{".total"}, ReadonlySelectors: []string{"#send"}}},
		},
		Restrictions: []cobrowse.PageRule{{URLPattern: ".*", MaskSelectors: []string{"#pin"}}},
	}))
	_, err := store.Secret(t.Context(), "name", []byte{0, 1, 255})
	must(err)
	must(store.PutOrganisation(t.Context(), conversations.Organisation{ID: "org", Name: "Organisation"}))
	must(store.PutUser(t.Context(), conversations.User{
		ID: "u-1", OrgID: "org", Name: "Ann", Email: "ann@example.org", Title: "Agent", State: conversations.UserActive,
		Cobrowse: conversations.Capability{Voice: true, Digital: true}, Version: 1,
	}))
	must(store.CreateConversation(t.Context(), conversations.Conversation{
		ID: "c-1", OrgID: "org", ExternalTag: "tag", StartedAt: t0, EndedAt: t0.Add(time.Hour),
		Participants: []conversations.Participant{{
			ID: "p-1", Purpose: conversations.PurposeAgent, UserID: "u-1", Name: "Ann", QueueID: "q-1", MediaRoles: []string{"full"}, Attributes: map[string]string{"k": "v"}, ConnectedAt: t0, EndedAt: t0,
			Communications: []conversations.Communication{{ID: "m-1", Medium: conversations.MediumCall, State: conversations.StateConnected, Direction: "inbound", ConnectedAt: t0, DisconnectedAt: t0}},
		}},
	}))
	must(store.CreateClient(t.Context(), oauth.Client{
		ID: "client", OrgID: "org", Name: "Client", Scopes: []string{"cobrowse"}, Lifetime: time.Hour, State: oauth.StateActive, Generation: 7,
		Secrets: []oauth.SecretHash{{Hash: [32]byte{4}, CreatedAt: t0, ExpiresAt: t0}}, CreatedAt: t0,
	}))
	must(store.AddKey(t.Context(), oauth.Key{ID: "kid", Algorithm: oauth.EdDSA, Private: []byte{5}, CreatedAt: t0}))
	must(store.Revoke(t.Context(), "jti", t0))
	must(store.CreateKnowledgeSession(t.Context(), knowledge.Session{
		Key: knowledge.Key{OrgID: "org", TenantID: "1", ID: "k-1"}, Facts: knowledge.Facts{CustomerID: "kim@example.org", AgentID: "ann", VisitID: "v-17", GlobalVisitID: "g-1"},
		ConversationID: "c-1", CreatedAt: t0, LastAccess: t0.Add(time.Minute), ExpiresAt: t0.Add(time.Hour),
	}, t0, func(knowledge.Session) bool { return true }))
	_, err = store.CreateNotificationChannel(t.Context(), notify.Channel{
		ID: "n-1", Topics: []string{"v2.users.u-1.conversations"}, CreatedAt: t0, UsedAt: t0.Add(time.Minute), ExpiresAt: t0.Add(time.Hour), Version: 2,
		Token: oauth.Principal{OrgID: "org", ClientID: "client", Scopes: []string{"notifications"}, TokenID: "jti", Generation: 7, IssuedAt: t0, ExpiresAt: t0.Add(time.Hour)},
	}, func([]notify.Channel) []notify.ChannelID { return nil })
	must(err)
	must(store.CreateWebhook(t.Context(), notify.Webhook{
		ID: "w-1", OrgID: "org", Name: "CRM", URL: "https://example.org/hooks", Events: []string{"cobrowse.session.created"},
		Secrets: []notify.WebhookSecret{{Key: []byte{6}, CreatedAt: t0, ExpiresAt: t0}}, Configured: true, CreatedBy: "client", CreatedAt: t0, UpdatedAt: t0,
		Disabled: notify.DisabledGone, DisabledAt: t0, FailingSince: t0,
	}, 0))
	for i, state := range notify.DeliveryStates() {
		d := notify.Delivery{
			ID: notify.DeliveryID(fmt.Sprintf("msg_%d", i)), WebhookID: "w-1", OrgID: "org", Type: "cobrowse.session.created", Sequence: 7, EventAt: t0, SessionID: "s-live",
			Body: []byte("{}"), State: state, CreatedAt: t0, At: t0.Add(time.Minute), Tries: 1, Attempts: []notify.Attempt{{At: t0, Took: time.Second, Status: 500, Result: notify.ResultStatus}},
		}
		if state != notify.Pending {
			d.ExpiresAt, d.Why = t0.Add(time.Hour), notify.DeadAttempts
		}
		_, err := store.AddDelivery(t.Context(), d, 10, func(*notify.Delivery) {})
		must(err)
	}
	followOne(t, store)
}

func TestKeysSort(t *testing.T) {
	t.Parallel()
	times := []time.Time{
		{},
		time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(1969, 12, 31, 23, 59, 59, 999, time.UTC), time.Unix(0, 0).UTC(),
		t0, t0.Add(time.Nanosecond), t0.Add(time.Second), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
	}
	for i, at := range times {
		if got := bolt.TimeOf(bolt.TimeKey(at)); !got.Equal(at) {
			t.Errorf("the key of %v reads as %v", at, got)
		}
		if i > 0 && bytes.Compare(bolt.TimeKey(times[i-1]), bolt.TimeKey(at)) >= 0 {
			t.Errorf("the key of %v does not sort after that of %v", at, times[i-1])
		}
	}
	texts := []string{"", "\x00", "\x00\x00", "\x00a", "\x01", "a", "a\x00", "a\x00b", "a\x01", "ab", "b", "ä", "\xff"}
	if !sort.StringsAreSorted(texts) {
		t.Fatal("the list is not sorted")
	}
	for i := 1; i < len(texts); i++ {
		if bytes.Compare(append(bolt.TextKey(texts[i-1]), 0xf4), bolt.TextKey(texts[i])) >= 0 {
			t.Errorf("the key of %q with an id does not sort before that of %q", texts[i-1], texts[i])
		}
	}
	seen := map[string]string{}
	for _, pair := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"", "abc"}, {"abc", ""}, {"a", "\x00"}, {"a\x00", ""}} {
		key := string(append(bolt.StrKey(pair[0]), bolt.StrKey(pair[1])...))
		if other, taken := seen[key]; taken {
			t.Errorf("%q has the key of %s", pair, other)
		}
		seen[key] = fmt.Sprint(pair)
	}
}
