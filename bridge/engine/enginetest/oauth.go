package enginetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

func oauthTests() map[string]func(*testing.T, Engine) {
	return map[string]func(*testing.T, Engine){
		"a client is created once and deleted":                    testClient,
		"clients are listed by id, of one organisation or all":    testClients,
		"an update of a client works on a copy":                   testClientUpdate,
		"an error in an update of a client changes nothing":       testClientUpdateFails,
		"keys are added once and deleted together":                testKeys,
		"a revoked token is dead until its time, over restarts":   testRevoked,
		"the later time of two revocations counts":                testRevokedTwice,
		"revocations are purged when they are over, and not more": testRevocationsPurged,
	}
}

func client(id, owner string) oauth.Client {
	return oauth.Client{
		ID: id, OrgID: owner, Name: "Prüfung", Scopes: []string{"cobrowse:session", "users:readonly"}, Lifetime: time.Hour, State: oauth.StateActive,
		Generation: 1<<53 - 100, Secrets: []oauth.SecretHash{{Hash: [32]byte{1, 31: 255}, CreatedAt: t0, ExpiresAt: t0.Add(time.Hour)}}, CreatedAt: t0,
	}
}

func testClient(t *testing.T, e Engine) {
	_, err := e.Client(t.Context(), "a")
	wantCode(t, "Client", err, cobridge.CodeNotFound)
	wantCode(t, "DeleteClient", e.DeleteClient(t.Context(), "a"), cobridge.CodeNotFound)
	wantCode(t, "UpdateClient", e.UpdateClient(t.Context(), "a", func(*oauth.Client) error { return nil }), cobridge.CodeNotFound)
	mustStore(t, e.CreateClient(t.Context(), client("a", "o")))
	other := client("a", "p")
	wantCode(t, "CreateClient", e.CreateClient(t.Context(), other), cobridge.CodeConflict)
	for range 2 {
		got, err := e.Client(t.Context(), "a")
		mustStore(t, err)
		wantSame(t, "Client", got, client("a", "o"))
		e = e.Reopen(t)
	}
	mustStore(t, e.DeleteClient(t.Context(), "a"))
	_, err = e.Client(t.Context(), "a")
	wantCode(t, "Client after it was deleted", err, cobridge.CodeNotFound)
	e = e.Reopen(t)
	_, err = e.Client(t.Context(), "a")
	wantCode(t, "Client after it was deleted and a restart", err, cobridge.CodeNotFound)
	mustStore(t, e.CreateClient(t.Context(), other))
}

func testClients(t *testing.T, e Engine) {
	for _, c := range []oauth.Client{client("c", "o"), client("a", "o"), client("b", "p")} {
		mustStore(t, e.CreateClient(t.Context(), c))
	}
	for owner, want := range map[string][]oauth.Client{
		"o": {client("a", "o"), client("c", "o")}, "p": {client("b", "p")}, "q": nil, "": {client("a", "o"), client("b", "p"), client("c", "o")},
	} {
		got, err := e.Clients(t.Context(), owner)
		mustStore(t, err)
		wantSame(t, fmt.Sprintf("Clients(%q)", owner), got, want)
	}
}

func testClientUpdate(t *testing.T, e Engine) {
	mine := client("a", "o")
	mustStore(t, e.CreateClient(t.Context(), mine))
	mine.Scopes[0] = "changed" // the caller's own
	before, err := e.Client(t.Context(), "a")
	mustStore(t, err)
	var kept []string
	mustStore(t, e.UpdateClient(t.Context(), "a", func(c *oauth.Client) error {
		c.Scopes[0], c.Secrets[0].Hash[0] = "new", 9
		c.Scopes = append(c.Scopes, "more")
		kept = c.Scopes
		return nil
	}))
	kept[0] = "changed"
	wantSame(t, "a client that was read before", before, client("a", "o"))
	want := client("a", "o")
	want.Scopes[0], want.Secrets[0].Hash[0] = "new", 9
	want.Scopes = append(want.Scopes, "more")
	for range 2 {
		got, err := e.Client(t.Context(), "a")
		mustStore(t, err)
		wantSame(t, "Client", got, want)
		e = e.Reopen(t)
	}
}

func testClientUpdateFails(t *testing.T, e Engine) {
	mustStore(t, e.CreateClient(t.Context(), client("a", "o")))
	failure := errors.New("refused")
	err := e.UpdateClient(t.Context(), "a", func(c *oauth.Client) error {
		c.Scopes[0], c.Name = "changed", "changed"
		return failure
	})
	wantIs(t, "UpdateClient", err, failure)
	got, err := e.Client(t.Context(), "a")
	mustStore(t, err)
	wantSame(t, "Client", got, client("a", "o"))
}

func testKeys(t *testing.T, e Engine) {
	want := func(want ...oauth.Key) {
		t.Helper()
		got, err := e.Keys(t.Context())
		mustStore(t, err)
		slices.SortFunc(got, func(a, b oauth.Key) int { return cmp.Compare(a.ID, b.ID) })
		wantSame(t, "Keys", got, want)
	}
	want()
	key := func(id string) oauth.Key {
		return oauth.Key{ID: id, Algorithm: oauth.EdDSA, Private: []byte{0, 1, 255}, CreatedAt: t0}
	}
	for _, id := range []string{"a", "b", "c"} {
		mine := key(id)
		mustStore(t, e.AddKey(t.Context(), mine))
		clear(mine.Private)
	}
	wantCode(t, "AddKey", e.AddKey(t.Context(), key("a")), cobridge.CodeConflict)
	e = e.Reopen(t)
	want(key("a"), key("b"), key("c"))
	mustStore(t, e.DeleteKeys(t.Context(), "a", "unknown", "c"))
	mustStore(t, e.DeleteKeys(t.Context()))
	want(key("b"))
	e = e.Reopen(t)
	want(key("b"))
}

func wantRevoked(t *testing.T, e Engine, jti string, at time.Time, want bool) {
	t.Helper()
	got, err := e.Revoked(t.Context(), jti, at)
	if err != nil || got != want {
		t.Errorf("Revoked(%q, t0+%v) = %t, %v, want %t", jti, at.Sub(t0), got, err, want)
	}
}

func testRevoked(t *testing.T, e Engine) {
	wantRevoked(t, e, "jti", t0, false)
	mustStore(t, e.Revoke(t.Context(), "jti", t0.Add(time.Hour)))
	for range 2 {
		wantRevoked(t, e, "jti", t0, true)
		wantRevoked(t, e, "jti", t0.Add(time.Hour-time.Nanosecond), true)
		wantRevoked(t, e, "jti", t0.Add(time.Hour), false)
		wantRevoked(t, e, "jt", t0, false)
		wantRevoked(t, e, "JTI", t0, false)
		e = e.Reopen(t)
	}
}

func testRevokedTwice(t *testing.T, e Engine) {
	for _, after := range []time.Duration{2 * time.Hour, time.Hour, 3 * time.Hour} {
		mustStore(t, e.Revoke(t.Context(), "jti", t0.Add(after)))
	}
	for range 2 {
		wantRevoked(t, e, "jti", t0.Add(3*time.Hour-time.Second), true)
		// The earlier times must not take the later one away.
		if n, err := e.PurgeRevocations(t.Context(), t0.Add(2*time.Hour), 10); n != 0 || err != nil {
			t.Errorf("PurgeRevocations = %d, %v, want 0", n, err)
		}
		wantRevoked(t, e, "jti", t0, true)
		e = e.Reopen(t)
	}
}

func testRevocationsPurged(t *testing.T, e Engine) {
	for i := range 5 {
		mustStore(t, e.Revoke(t.Context(), fmt.Sprintf("jti-%d", i), t0.Add(time.Duration(i)*time.Minute)))
	}
	for _, tt := range []struct {
		before      time.Duration
		limit, want int
	}{{-time.Second, 10, 0}, {2 * time.Minute, 2, 2}, {2 * time.Minute, 10, 1}, {2 * time.Minute, 10, 0}} { // not after before
		got, err := e.PurgeRevocations(t.Context(), t0.Add(tt.before), tt.limit)
		if err != nil || got != tt.want {
			t.Errorf("PurgeRevocations(t0+%v, %d) = %d, %v, want %d", tt.before, tt.limit, got, err, tt.want)
		}
	}
	for range 2 {
		for i := range 5 {
			wantRevoked(t, e, fmt.Sprintf("jti-%d", i), t0.Add(-time.Hour), i > 2)
		}
		e = e.Reopen(t)
	}
}
