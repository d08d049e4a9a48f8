package oauth_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// wantRefusal fails the test unless err is an *oauth.Error with this code.
func wantRefusal(t *testing.T, err error, want oauth.ErrorCode) {
	t.Helper()
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok || e.Code != want || e.Description == "" {
		t.Fatalf("error = %v, want %s with a description", err, want)
	}
}

func TestGrantRoundTrip(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []oauth.Algorithm{oauth.EdDSA, oauth.RS256} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, algorithm)
			id, secret := w.client(t, orgA, oauth.ScopeCobrowseWrite, oauth.ScopeUserRead)
			got := token(t, w.Service, id, secret)
			if got.Raw == "" || got.ExpiresIn != 86400*time.Second || got.Scope != "cobrowse:session:write user:read" {
				t.Errorf("Grant = %+v", got)
			}
			client, err := w.Client(t.Context(), id)
			if err != nil {
				t.Fatalf("Client: %v", err)
			}
			want := oauth.Principal{
				OrgID: orgA, ClientID: id, ClientName: "Integration", TokenID: got.TokenID, Generation: client.Generation,
				Scopes: []string{"cobrowse:session:write", "user:read"}, IssuedAt: t0, ExpiresAt: t0.Add(24 * time.Hour),
			}
			for range 2 { // the second one is remembered
				if diff := cmp.Diff(want, mustVerify(t, w.Service, got.Raw)); diff != "" {
					t.Errorf("Verify (-want +got):\n%s", diff)
				}
			}
			if again := token(t, w.Service, id, secret); again.TokenID == got.TokenID || again.Raw == got.Raw {
				t.Errorf("two grants gave the same token %s", again.TokenID)
			}
		})
	}
}

// TestTokenLivesAsLongAsTold grants in the middle of a second.
func TestTokenLivesAsLongAsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	w.clock.advance(999 * time.Millisecond)
	got := token(t, w.Service, id, secret)
	w.clock.advance(got.ExpiresIn - time.Millisecond)
	mustVerify(t, w.Service, got.Raw)
	w.clock.advance(time.Second)
	mustRefuse(t, w.Service, got.Raw)
}

func TestGrantRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA, oauth.ScopeUsers)
	other, otherSecret := w.client(t, orgB)
	disabled, disabledSecret := w.client(t, orgA)
	inactive, inactiveSecret := w.client(t, orgA)
	for id, state := range map[string]oauth.State{disabled: oauth.StateDisabled, inactive: oauth.StateInactive} {
		if _, err := w.SetState(t.Context(), id, state); err != nil {
			t.Fatalf("SetState = %v", err)
		}
	}
	const grant = oauth.GrantTypeClientCredentials
	descriptions := map[oauth.ErrorCode]map[string]bool{}
	for _, test := range []struct {
		name string
		req  oauth.GrantRequest
		want oauth.ErrorCode
	}{
		{"unknown client", oauth.GrantRequest{ClientID: "nobody", ClientSecret: secret, GrantType: grant}, oauth.CodeInvalidClient},
		{"wrong secret", oauth.GrantRequest{ClientID: id, ClientSecret: secret + "x", GrantType: grant}, oauth.CodeInvalidClient},
		{"another one's secret", oauth.GrantRequest{ClientID: id, ClientSecret: otherSecret, GrantType: grant}, oauth.CodeInvalidClient},
		{"no secret", oauth.GrantRequest{ClientID: other, GrantType: grant}, oauth.CodeInvalidClient},
		{"nothing", oauth.GrantRequest{GrantType: grant}, oauth.CodeInvalidClient},
		{"disabled client", oauth.GrantRequest{ClientID: disabled, ClientSecret: disabledSecret, GrantType: grant}, oauth.CodeInvalidClient},
		{"inactive client", oauth.GrantRequest{ClientID: inactive, ClientSecret: inactiveSecret, GrantType: grant}, oauth.CodeUnauthorizedClient},
		{"inactive client, wrong secret", oauth.GrantRequest{ClientID: inactive, ClientSecret: secret, GrantType: grant}, oauth.CodeInvalidClient},
		{"no grant type", oauth.GrantRequest{ClientID: id, ClientSecret: secret}, oauth.CodeInvalidRequest},
		{"other grant type", oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: "password"}, oauth.CodeUnsupportedGrantType},
		{"unknown scope", oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: grant, Scope: "users nothing"}, oauth.CodeInvalidScope},
		{"scope not given", oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: grant, Scope: "analytics"}, oauth.CodeInvalidScope},
		{"overlong scope", oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: grant, Scope: strings.Repeat("users ", 1000)}, oauth.CodeInvalidRequest},
	} {
		got, err := w.Grant(t.Context(), test.req)
		e, ok := errors.AsType[*oauth.Error](err)
		if !ok || e.Code != test.want || got.Raw != "" {
			t.Errorf("%s: Grant = %v, %v, want %s", test.name, got, err, test.want)
			continue
		}
		if descriptions[e.Code] == nil {
			descriptions[e.Code] = map[string]bool{}
		}
		descriptions[e.Code][e.Description] = true
	}
	if got := len(descriptions[oauth.CodeInvalidClient]); got != 1 {
		t.Errorf("invalid_client has %d descriptions, want one, which tells nothing: %v", got, descriptions[oauth.CodeInvalidClient])
	}
}

func TestGrantScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA, oauth.ScopeUsers, oauth.ScopeConversationsRead)
	for _, test := range []struct{ requested, want string }{
		{"", "users conversations:read"},
		{" ", "users conversations:read"},
		{"users", "users"},
		{"users:readonly users:readonly", "users:readonly"},
		{"user:read conversations:readonly", "user:read conversations:readonly"},
	} {
		got, err := w.Grant(t.Context(), oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: oauth.GrantTypeClientCredentials, Scope: test.requested})
		if err != nil || got.Scope != test.want {
			t.Errorf("Grant(scope %q) = %q, %v, want %q", test.requested, got.Scope, err, test.want)
			continue
		}
		if diff := cmp.Diff(strings.Fields(test.want), mustVerify(t, w.Service, got.Raw).Scopes); diff != "" {
			t.Errorf("scopes for %q (-want +got):\n%s", test.requested, diff)
		}
	}
}

// TestSameComparisonsForEveryone shows that an unknown client, one with one secret and
// one with two cost the same comparisons.
func TestSameComparisonsForEveryone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	one, oneSecret := w.client(t, orgA)
	two, _ := w.client(t, orgA)
	if _, err := w.RotateSecret(t.Context(), two, time.Hour); err != nil {
		t.Fatalf("RotateSecret = %v", err)
	}
	disabled, disabledSecret := w.client(t, orgA)
	if _, err := w.SetState(t.Context(), disabled, oauth.StateDisabled); err != nil {
		t.Fatalf("SetState = %v", err)
	}
	compares := oauth.CountCompares(w.Service)
	for _, test := range []struct{ name, id, secret string }{
		{"unknown client", "nobody", "x"},
		{"no client", "", ""},
		{"one secret, wrong", one, "x"},
		{"one secret, right", one, oneSecret},
		{"two secrets, wrong", two, "x"},
		{"disabled", disabled, disabledSecret},
	} {
		compares.Store(0)
		_, _ = w.Authenticate(t.Context(), test.id, test.secret)
		if got := compares.Load(); got != 2 {
			t.Errorf("%s: %d comparisons, want 2", test.name, got)
		}
	}
}

func TestSecretRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	w.store.updateTwice = true
	id, first := w.client(t, orgA)
	raw := token(t, w.Service, id, first).Raw
	works := func(secret string, want bool) {
		t.Helper()
		c, err := w.Authenticate(t.Context(), id, secret)
		if want && (err != nil || c.ID != id) {
			t.Fatalf("Authenticate = %v, want the client", err)
		}
		if !want {
			wantRefusal(t, err, oauth.CodeInvalidClient)
		}
	}
	rotate := func(overlap time.Duration) string {
		t.Helper()
		secret, err := w.RotateSecret(t.Context(), id, overlap)
		if err != nil {
			t.Fatalf("RotateSecret = %v", err)
		}
		return secret
	}
	second := rotate(time.Hour)
	works(first, true)
	works(second, true)
	w.clock.advance(time.Hour - time.Millisecond)
	works(first, true)
	w.clock.advance(time.Millisecond)
	works(first, false)
	works(second, true)

	third := rotate(time.Hour)
	fourth := rotate(time.Hour) // within the overlap: the older one ends at once
	works(second, false)
	works(third, true)
	works(fourth, true)

	fifth := rotate(0)
	works(third, false)
	works(fourth, false)
	works(fifth, true)
	mustVerify(t, w.Service, raw) // rotation leaves tokens alone

	c, err := w.Client(t.Context(), id)
	if err != nil || len(c.Secrets) != 1 {
		t.Errorf("Client has %d secrets, %v; want 1", len(c.Secrets), err)
	}
}

func TestStoreFailureIsNoRefusal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	raw := token(t, w.Service, id, secret).Raw
	p := mustVerify(t, w.Service, raw)
	down := &cobridge.Error{Code: cobridge.CodeUnavailable, Message: "The store is closed."}
	w.store.setFail(down)
	ctx := t.Context()
	_, grant := w.Grant(ctx, oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: oauth.GrantTypeClientCredentials})
	_, authenticate := w.Authenticate(ctx, id, secret)
	_, verify := w.Verify(ctx, raw)
	_, introspect := w.Introspect(ctx, oauth.Client{OrgID: orgA}, raw)
	_, rotate := w.RotateKey(ctx)
	_, purge := w.Purge(ctx)
	_, list := w.Clients(ctx, "")
	for name, err := range map[string]error{
		"Grant": grant, "Authenticate": authenticate, "Verify": verify, "Introspect": introspect, "RotateKey": rotate, "Purge": purge, "Clients": list,
		"Revoke": w.Revoke(ctx, oauth.Client{ID: id, OrgID: orgA}, raw), "RevokeToken": w.RevokeToken(ctx, p),
	} {
		if got := cobridge.CodeOf(err); got != cobridge.CodeUnavailable {
			t.Errorf("%s = %v, want code %s", name, err, cobridge.CodeUnavailable)
		}
	}
	w.store.setFail(nil)
	mustVerify(t, w.Service, raw)
}

// TestSecretsDoNotPrint formats and logs everything that holds a secret.
func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	got := token(t, w.Service, id, secret)
	keys, err := w.store.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatalf("Keys = %d, %v", len(keys), err)
	}
	req := oauth.GrantRequest{ClientID: id, ClientSecret: secret}
	var out strings.Builder
	for _, v := range []any{got, req, keys[0]} {
		fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(h).Info("value", "v", v)
		}
	}
	numbers := strings.Trim(fmt.Sprintf("%d", keys[0].Private), "[]")
	for _, hidden := range []string{got.Raw, secret, numbers, base64.StdEncoding.EncodeToString(keys[0].Private)} {
		if strings.Contains(out.String(), hidden) {
			t.Errorf("output holds a secret:\n%s", out.String())
		}
	}
}
