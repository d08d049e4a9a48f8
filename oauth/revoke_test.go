package oauth_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// events collects what subscribers are told.
type events struct {
	mu  sync.Mutex
	got []oauth.Revocation
}

func (e *events) add(r oauth.Revocation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got = append(e.got, r)
}

func (e *events) take() []oauth.Revocation {
	e.mu.Lock()
	defer e.mu.Unlock()
	got := e.got
	e.got = nil
	return got
}

func TestRevokedTokenIsDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	var heard events
	cancel := w.Subscribe(heard.add)
	id, secret := w.client(t, orgA)
	first, second := token(t, w.Service, id, secret), token(t, w.Service, id, secret)
	p := mustVerify(t, w.Service, first.Raw)
	for range 2 { // twice does no harm
		if err := w.RevokeToken(t.Context(), p); err != nil {
			t.Fatalf("RevokeToken = %v", err)
		}
		mustRefuse(t, w.Service, first.Raw)
	}
	mustVerify(t, w.Service, second.Raw)
	mustRefuse(t, w.another(t, oauth.EdDSA), first.Raw) // after a restart too
	w.clock.set(p.ExpiresAt.Add(-time.Millisecond))
	mustRefuse(t, w.Service, first.Raw) // to its last moment

	want := oauth.Revocation{ClientID: id, TokenID: first.TokenID}
	if diff := cmp.Diff([]oauth.Revocation{want, want}, heard.take()); diff != "" {
		t.Errorf("subscribers heard (-want +got):\n%s", diff)
	}
	if !want.Concerns(p) || want.Concerns(mustVerify(t, w.Service, second.Raw)) {
		t.Errorf("%+v concerns the revoked token: %v, want true; or also the other one", want, want.Concerns(p))
	}
	cancel()
	cancel()
	if err := w.RevokeToken(t.Context(), p); err != nil {
		t.Fatalf("RevokeToken = %v", err)
	}
	if got := heard.take(); got != nil {
		t.Errorf("heard %+v after cancel", got)
	}
}

func TestRevokeByClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	owner, ownerSecret := w.client(t, orgA)
	colleague, _ := w.client(t, orgA)
	stranger, _ := w.client(t, orgB)
	raw := token(t, w.Service, owner, ownerSecret).Raw
	as := func(id string) oauth.Client {
		t.Helper()
		c, err := w.Client(t.Context(), id)
		if err != nil {
			t.Fatalf("Client = %v", err)
		}
		return c
	}
	wantRefusal(t, w.Revoke(t.Context(), as(colleague), raw), oauth.CodeUnauthorizedClient)
	mustVerify(t, w.Service, raw)
	for name, err := range map[string]error{
		"of another organisation": w.Revoke(t.Context(), as(stranger), raw),
		"unknown":                 w.Revoke(t.Context(), as(owner), "unknown"),
		"empty":                   w.Revoke(t.Context(), as(owner), ""),
	} {
		if err != nil {
			t.Errorf("%s: Revoke = %v, want nil", name, err)
		}
	}
	mustVerify(t, w.Service, raw)
	for range 2 {
		if err := w.Revoke(t.Context(), as(owner), raw); err != nil {
			t.Fatalf("Revoke = %v", err)
		}
		mustRefuse(t, w.Service, raw)
	}

	expired := token(t, w.Service, owner, ownerSecret)
	p := mustVerify(t, w.Service, expired.Raw)
	w.clock.set(p.ExpiresAt)
	before := w.store.revocationCount()
	if err := w.Revoke(t.Context(), as(owner), expired.Raw); err != nil || w.store.revocationCount() != before {
		t.Errorf("Revoke of an expired token = %v with %d records more, want nil and none", err, w.store.revocationCount()-before)
	}
}

// TestClientChangesKillTokens goes through everything that happens to a client, and what
// it means for tokens that it has, which the Service remembers.
func TestClientChangesKillTokens(t *testing.T) {
	t.Parallel()
	state := func(s oauth.State) func(*testing.T, world, string) error {
		return func(t *testing.T, w world, id string) error {
			t.Helper()
			_, err := w.SetState(t.Context(), id, s)
			return err
		}
	}
	update := func(u oauth.ClientUpdate) func(*testing.T, world, string) error {
		return func(t *testing.T, w world, id string) error {
			t.Helper()
			_, err := w.UpdateClient(t.Context(), id, u)
			return err
		}
	}
	for _, test := range []struct {
		name   string
		change func(*testing.T, world, string) error
		dead   bool
	}{
		{"disabled", state(oauth.StateDisabled), true},
		{"inactive", state(oauth.StateInactive), false},
		{"active again", state(oauth.StateActive), false},
		{"tokens killed", func(t *testing.T, w world, id string) error { t.Helper(); return w.KillTokens(t.Context(), id) }, true},
		{"deleted", func(t *testing.T, w world, id string) error { t.Helper(); return w.DeleteClient(t.Context(), id) }, true},
		{"scope taken away", update(oauth.ClientUpdate{Scopes: new([]string{"users"})}), true},
		{"scope narrowed", update(oauth.ClientUpdate{Scopes: new([]string{"users:readonly", "analytics"})}), true},
		{"scope added", update(oauth.ClientUpdate{Scopes: new([]string{"users", "analytics", "oauth"})}), false},
		{"renamed", update(oauth.ClientUpdate{Name: new("Other"), Lifetime: new(time.Hour)}), false},
		{"secret rotated", func(t *testing.T, w world, id string) error {
			t.Helper()
			_, err := w.RotateSecret(t.Context(), id, 0)
			return err
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, oauth.EdDSA)
			w.store.updateTwice = true
			id, secret := w.client(t, orgA, oauth.ScopeUsers, oauth.ScopeAnalytics)
			bystander, bystanderSecret := w.client(t, orgA)
			raw, other := token(t, w.Service, id, secret).Raw, token(t, w.Service, bystander, bystanderSecret).Raw
			mustVerify(t, w.Service, raw)
			var heard events
			w.Subscribe(heard.add)
			if err := test.change(t, w, id); err != nil {
				t.Fatalf("change = %v", err)
			}
			mustVerify(t, w.Service, other)
			if !test.dead {
				mustVerify(t, w.Service, raw)
				if got := heard.take(); got != nil {
					t.Errorf("heard %+v, want nothing", got)
				}
				return
			}
			mustRefuse(t, w.Service, raw)
			if diff := cmp.Diff([]oauth.Revocation{{ClientID: id}}, heard.take()); diff != "" {
				t.Errorf("subscribers heard (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDeadTokensStayDead brings the client back after its tokens were killed.
func TestDeadTokensStayDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	spec := oauth.ClientSpec{ID: "fixed", OrgID: orgA, Name: "Integration", Secret: "a-fixed-and-known-secret"}
	if _, _, err := w.CreateClient(t.Context(), spec); err != nil {
		t.Fatalf("CreateClient = %v", err)
	}
	raw := token(t, w.Service, spec.ID, spec.Secret).Raw
	for _, s := range []oauth.State{oauth.StateDisabled, oauth.StateActive} {
		if _, err := w.SetState(t.Context(), spec.ID, s); err != nil {
			t.Fatalf("SetState = %v", err)
		}
		mustRefuse(t, w.Service, raw)
	}
	raw = token(t, w.Service, spec.ID, spec.Secret).Raw
	mustVerify(t, w.Service, raw)
	if err := w.DeleteClient(t.Context(), spec.ID); err != nil {
		t.Fatalf("DeleteClient = %v", err)
	}
	if _, _, err := w.CreateClient(t.Context(), spec); err != nil {
		t.Fatalf("CreateClient = %v", err)
	}
	mustRefuse(t, w.Service, raw)
	mustVerify(t, w.Service, token(t, w.Service, spec.ID, spec.Secret).Raw)
}

// TestPurgeKeepsWhatCounts revokes many tokens of two lifetimes and lets one expire.
func TestPurgeKeepsWhatCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	brief, briefSecret, err := w.CreateClient(t.Context(), oauth.ClientSpec{OrgID: orgA, Name: "Brief", Lifetime: oauth.MinLifetime})
	if err != nil {
		t.Fatalf("CreateClient = %v", err)
	}
	id, secret := w.client(t, orgA)
	long := token(t, w.Service, id, secret).Raw
	if err := w.RevokeToken(t.Context(), mustVerify(t, w.Service, long)); err != nil {
		t.Fatalf("RevokeToken = %v", err)
	}
	p := mustVerify(t, w.Service, token(t, w.Service, brief.ID, briefSecret).Raw)
	const many = 1203 // more than two batches
	for i := range many {
		p.TokenID = "jti-" + strconv.Itoa(i)
		if err := w.RevokeToken(t.Context(), p); err != nil {
			t.Fatalf("RevokeToken = %v", err)
		}
	}
	w.clock.set(p.ExpiresAt)
	if n, err := w.Purge(t.Context()); n != 0 || err != nil {
		t.Errorf("Purge at the expiry = %d, %v, want 0: another clock may be late", n, err)
	}
	w.clock.advance(oauth.KeyRefresh)
	if n, err := w.Purge(t.Context()); n != many || err != nil {
		t.Errorf("Purge = %d, %v, want %d", n, err, many)
	}
	mustRefuse(t, w.Service, long)
}

// TestConcurrentUse has grants, verifications, revocations, rotations of secrets and keys
// and subscriptions at once; the race detector and the outcome judge.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			var heard events
			defer w.Subscribe(heard.add)()
			for range 20 {
				got, err := w.Grant(t.Context(), oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: oauth.GrantTypeClientCredentials})
				if err != nil {
					t.Errorf("Grant = %v", err)
					return
				}
				p, err := w.Verify(t.Context(), got.Raw)
				if err != nil {
					t.Errorf("Verify = %v", err)
					return
				}
				if err := w.RevokeToken(t.Context(), p); err != nil {
					t.Errorf("RevokeToken = %v", err)
				}
				if p, err := w.Verify(t.Context(), got.Raw); err == nil {
					t.Errorf("Verify = %+v after the revocation, want a refusal", p)
				}
			}
		})
	}
	wg.Go(func() {
		// Once only: a second rotation would end the secret that the others use.
		if _, err := w.RotateSecret(t.Context(), id, time.Hour); err != nil {
			t.Errorf("RotateSecret = %v", err)
		}
		for range 5 {
			if _, err := w.RotateKey(t.Context()); err != nil {
				t.Errorf("RotateKey = %v", err)
			}
			if _, err := w.JWKS(t.Context()); err != nil {
				t.Errorf("JWKS = %v", err)
			}
		}
	})
	wg.Wait()
}

// What outlives a request asks again: a token dies by its time, by itself and with its
// client's others.
func TestAlive(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(t *testing.T, w world, p oauth.Principal) error{
		"expiry": func(_ *testing.T, w world, _ oauth.Principal) error { w.clock.advance(24 * time.Hour); return nil },
		"revoke": func(t *testing.T, w world, p oauth.Principal) error {
			t.Helper()
			return w.RevokeToken(t.Context(), p)
		},
		"kill": func(t *testing.T, w world, p oauth.Principal) error {
			t.Helper()
			return w.KillTokens(t.Context(), p.ClientID)
		},
		"disable": func(t *testing.T, w world, p oauth.Principal) error {
			t.Helper()
			_, err := w.SetState(t.Context(), p.ClientID, oauth.StateDisabled)
			return err
		},
		"delete": func(t *testing.T, w world, p oauth.Principal) error {
			t.Helper()
			return w.DeleteClient(t.Context(), p.ClientID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, oauth.EdDSA)
			id, secret := w.client(t, orgA, oauth.ScopeUserRead)
			p := mustVerify(t, w.Service, token(t, w.Service, id, secret).Raw)
			if err := w.Alive(t.Context(), p); err != nil {
				t.Fatalf("Alive = %v, want nil", err)
			}
			if err := kill(t, w, p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := cobridge.CodeOf(w.Alive(t.Context(), p)); got != cobridge.CodeBadCredentials {
				t.Errorf("after %s Alive has code %q, want %q", name, got, cobridge.CodeBadCredentials)
			}
		})
	}
}
