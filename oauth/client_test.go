package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// fields returns the fields that a constraint.validation error complains of.
func fields(t *testing.T, err error) []string {
	t.Helper()
	e, ok := errors.AsType[*cobridge.Error](err)
	if !ok || e.Code != cobridge.CodeConstraintValidation {
		t.Fatalf("error = %v, want code %s", err, cobridge.CodeConstraintValidation)
	}
	var names []string
	for _, d := range e.Details {
		names = append(names, d.FieldName)
		if !strings.Contains(e.Message, d.FieldName) {
			t.Errorf("message %q does not speak of %s", e.Message, d.FieldName)
		}
	}
	return names
}

func TestNewSecret(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		s := oauth.NewSecret()
		raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
		if err != nil || len(raw) != 32 {
			t.Fatalf("NewSecret = %q: %d bytes, %v; want 32 bytes of base64url", s, len(raw), err)
		}
		if seen[s] {
			t.Fatalf("NewSecret returned %q twice", s)
		}
		seen[s] = true
	}
}

func TestNewClientReportsAllProblems(t *testing.T) {
	t.Parallel()
	_, _, err := oauth.NewClient(oauth.ClientSpec{
		ID: "a:b", Scopes: []string{"users", "nothing", "users"}, Lifetime: 299 * time.Second, Secret: "short",
	}, t0)
	want := []string{"id", "orgId", "name", "scopes[1]", "scopes[2]", "lifetime", "secret"}
	if diff := cmp.Diff(want, fields(t, err)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), "short") {
		t.Errorf("error %q shows the secret", err)
	}
}

func TestNewClientBounds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*oauth.ClientSpec)
		want   string // field, "" = good
	}{
		{"as it is", func(*oauth.ClientSpec) {}, ""},
		{"shortest lifetime", func(s *oauth.ClientSpec) { s.Lifetime = 300 * time.Second }, ""},
		{"longest lifetime", func(s *oauth.ClientSpec) { s.Lifetime = 172800 * time.Second }, ""},
		{"lifetime too long", func(s *oauth.ClientSpec) { s.Lifetime = 172801 * time.Second }, "lifetime"},
		{"lifetime negative", func(s *oauth.ClientSpec) { s.Lifetime = -time.Hour }, "lifetime"},
		{"lifetime with a fraction", func(s *oauth.ClientSpec) { s.Lifetime = time.Hour + time.Millisecond }, "lifetime"},
		{"longest id", func(s *oauth.ClientSpec) { s.ID = strings.Repeat("a", 128) }, ""},
		{"id too long", func(s *oauth.ClientSpec) { s.ID = strings.Repeat("a", 129) }, "id"},
		{"id with a space", func(s *oauth.ClientSpec) { s.ID = "a b" }, "id"},
		{"longest name", func(s *oauth.ClientSpec) { s.Name = strings.Repeat("ä", 200) }, ""},
		{"name too long", func(s *oauth.ClientSpec) { s.Name = strings.Repeat("ä", 201) }, "name"},
		{"name of spaces", func(s *oauth.ClientSpec) { s.Name = "  " }, "name"},
		{"name with a line break", func(s *oauth.ClientSpec) { s.Name = "a\nb" }, "name"},
		{"name of broken UTF-8", func(s *oauth.ClientSpec) { s.Name = "a\xff" }, "name"},
		{"given secret", func(s *oauth.ClientSpec) { s.Secret = "0123456789abcdef" }, ""},
		{"given secret too long", func(s *oauth.ClientSpec) { s.Secret = strings.Repeat("x", 257) }, "secret"},
		{"given secret not ASCII", func(s *oauth.ClientSpec) { s.Secret = strings.Repeat("ß", 20) }, "secret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			spec := oauth.ClientSpec{OrgID: orgA, Name: "Integration"}
			test.change(&spec)
			c, secret, err := oauth.NewClient(spec, t0)
			if test.want != "" {
				if diff := cmp.Diff([]string{test.want}, fields(t, err)); diff != "" {
					t.Errorf("fields (-want +got):\n%s", diff)
				}
				return
			}
			if err != nil {
				t.Fatalf("NewClient = %v", err)
			}
			if c.ID == "" || secret == "" || c.State != oauth.StateActive || len(c.Secrets) != 1 || c.Generation == 0 || c.Generation >= 1<<53 {
				t.Errorf("NewClient = %+v with secret of %d characters", c, len(secret))
			}
			if diff := cmp.Diff(c, throughJSON(c)); diff != "" {
				t.Errorf("the client does not survive JSON (-in +out):\n%s", diff)
			}
			data, err := json.Marshal(c)
			if err != nil || strings.Contains(string(data), secret) {
				t.Errorf("the record %s, %v holds the secret", data, err)
			}
		})
	}
}

func TestClientDefaults(t *testing.T) {
	t.Parallel()
	spec := oauth.ClientSpec{OrgID: orgA, Name: " Integration "}
	a, _, err := oauth.NewClient(spec, t0)
	if err != nil {
		t.Fatalf("NewClient = %v", err)
	}
	if a.Lifetime != oauth.DefaultLifetime || a.Name != "Integration" || !a.CreatedAt.Equal(t0) {
		t.Errorf("NewClient = %+v, want the default lifetime, the trimmed name and the time given", a)
	}
	b, _, err := oauth.NewClient(spec, t0)
	if err != nil {
		t.Fatalf("NewClient = %v", err)
	}
	if a.ID == b.ID || a.Generation == b.Generation {
		t.Errorf("two clients share id %v or generation %v", a.ID == b.ID, a.Generation == b.Generation)
	}
}

func TestUpdateClientReportsAllProblems(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA, oauth.ScopeUsers)
	raw := token(t, w.Service, id, secret).Raw
	_, err := w.UpdateClient(t.Context(), id, oauth.ClientUpdate{
		Name: new(""), Scopes: new([]string{"nothing"}), Lifetime: new(time.Second), State: new(oauth.State("gone")),
	})
	if diff := cmp.Diff([]string{"name", "scopes[0]", "lifetime", "state"}, fields(t, err)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	mustVerify(t, w.Service, raw) // a refused update does nothing
}

func TestClientsOfAnOrganisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	a, _ := w.client(t, orgA)
	b, _ := w.client(t, orgB)
	for _, test := range []struct {
		org  string
		want []string
	}{{orgA, []string{a}}, {orgB, []string{b}}, {"", []string{min(a, b), max(a, b)}}, {"none", nil}} {
		list, err := w.Clients(t.Context(), test.org)
		if err != nil {
			t.Fatalf("Clients(%q) = %v", test.org, err)
		}
		var got []string
		for _, c := range list {
			got = append(got, c.ID)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Clients(%q) (-want +got):\n%s", test.org, diff)
		}
	}
}

func TestClientAdministrationErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, _ := w.client(t, orgA, oauth.ScopeUsers)
	ctx := t.Context()
	_, _, taken := w.CreateClient(ctx, oauth.ClientSpec{ID: id, OrgID: orgB, Name: "Thief"})
	_, client := w.Client(ctx, "nobody")
	_, rotate := w.RotateSecret(ctx, "nobody", 0)
	_, update := w.SetState(ctx, "nobody", oauth.StateDisabled)
	_, overlap := w.RotateSecret(ctx, id, oauth.MaxOverlap+1)
	_, negative := w.RotateSecret(ctx, id, -1)
	for _, test := range []struct {
		name string
		err  error
		want cobridge.Code
	}{
		{"create with a taken id", taken, cobridge.CodeConflict},
		{"read an unknown one", client, cobridge.CodeNotFound},
		{"rotate an unknown one", rotate, cobridge.CodeNotFound},
		{"update an unknown one", update, cobridge.CodeNotFound},
		{"delete an unknown one", w.DeleteClient(ctx, "nobody"), cobridge.CodeNotFound},
		{"kill tokens of an unknown one", w.KillTokens(ctx, "nobody"), cobridge.CodeNotFound},
		{"overlap too long", overlap, cobridge.CodeConstraintValidation},
		{"overlap negative", negative, cobridge.CodeConstraintValidation},
	} {
		if got := cobridge.CodeOf(test.err); got != test.want {
			t.Errorf("%s: %v, want code %s", test.name, test.err, test.want)
		}
	}
	// What Client returns is the caller's own.
	c, err := w.Client(ctx, id)
	if err != nil {
		t.Fatalf("Client = %v", err)
	}
	c.Scopes[0], c.Secrets[0] = "analytics", oauth.SecretHash{}
	again, err := w.Client(ctx, id)
	if err != nil || again.Scopes[0] != "users" || again.Secrets[0] == (oauth.SecretHash{}) {
		t.Errorf("Client = %+v, %v: changed through an earlier answer", again, err)
	}
}
