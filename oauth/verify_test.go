package oauth_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// forger makes tokens with the installation's own key, so that only the one thing that a
// test changes can be the reason for a refusal.
type forger struct {
	kid     string
	private ed25519.PrivateKey
	header  map[string]any
	claims  jwt.MapClaims
}

// newForger copies the header and claims of a good token.
func newForger(t testing.TB, w world, good string) forger {
	t.Helper()
	keys, err := w.store.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatalf("Keys = %d, %v, want one", len(keys), err)
	}
	private, err := x509.ParsePKCS8PrivateKey(keys[0].Private)
	if err != nil {
		t.Fatal(err)
	}
	f := forger{kid: keys[0].ID, private: private.(ed25519.PrivateKey), claims: jwt.MapClaims{}}
	parsed, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(good, f.claims)
	if err != nil {
		t.Fatal(err)
	}
	f.header = parsed.Header
	return f
}

// sign signs with any method and key; change may alter header and claims, and nil
// removes an entry.
func (f forger) sign(t testing.TB, method jwt.SigningMethod, key any, header, claims map[string]any) string {
	t.Helper()
	token := &jwt.Token{Header: map[string]any{}, Claims: jwt.MapClaims{}, Method: method}
	merge := func(dst map[string]any, layers ...map[string]any) {
		for _, layer := range layers {
			for k, v := range layer {
				if dst[k] = v; v == nil {
					delete(dst, k)
				}
			}
		}
	}
	merge(token.Header, f.header, map[string]any{"alg": method.Alg()}, header)
	merge(token.Claims.(jwt.MapClaims), f.claims, claims)
	raw, err := token.SignedString(key)
	if err != nil {
		t.Fatalf("sign: %v", err)
	}
	return raw
}

func TestVerifyRefusesForgeries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA, oauth.ScopeUsers)
	good := token(t, w.Service, id, secret).Raw
	f := newForger(t, w, good)
	other, _ := w.client(t, orgA)

	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := f.private.Public().(ed25519.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	armoured := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})

	type m = map[string]any
	own := func(header, claims m) string { return f.sign(t, jwt.SigningMethodEdDSA, f.private, header, claims) }
	parts := strings.Split(good, ".")
	lastBit := func(s string) string { // another text for the same bytes
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		return s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])^1])
	}

	// Controls: a rebuilt token is good, so the forgeries below fail for their own reason.
	mustVerify(t, w.Service, own(nil, nil))
	mustVerify(t, w.Service, own(nil, m{"iat": t0.Add(4 * time.Second).Unix()}))
	mustVerify(t, w.Service, own(nil, m{"aud": []string{aud}}))

	for name, raw := range map[string]string{
		"empty":                    "",
		"blank":                    " ",
		"words":                    "Bearer " + good,
		"trailing line break":      good + "\n",
		"two parts":                parts[0] + "." + parts[1],
		"four parts":               good + "." + parts[2],
		"no signature":             parts[0] + "." + parts[1] + ".",
		"padded":                   good + "==",
		"loose bits in signature":  lastBit(good),
		"another one's payload":    parts[0] + "." + strings.Split(own(nil, m{"scope": "analytics"}), ".")[1] + "." + parts[2],
		"overlong":                 own(nil, m{"scope": strings.Repeat("users ", 1000)}),
		"header is no JSON":        "bm90IGpzb24." + parts[1] + "." + parts[2],
		"alg none":                 f.sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, nil),
		"alg None":                 own(m{"alg": "None"}, nil),
		"HS256 with public key":    f.sign(t, jwt.SigningMethodHS256, []byte(public), nil, nil),
		"HS256 with DER":           f.sign(t, jwt.SigningMethodHS256, der, nil, nil),
		"HS256 with PEM":           f.sign(t, jwt.SigningMethodHS256, armoured, nil, nil),
		"RS256 under our kid":      f.sign(t, jwt.SigningMethodRS256, rsaKey, nil, nil),
		"PS256 under our kid":      f.sign(t, jwt.SigningMethodPS256, rsaKey, nil, nil),
		"foreign key, our kid":     f.sign(t, jwt.SigningMethodEdDSA, foreign, nil, nil),
		"unknown kid":              own(m{"kid": "unknown"}, nil),
		"no kid":                   own(m{"kid": nil}, nil),
		"kid is a number":          own(m{"kid": 7}, nil),
		"critical extension":       own(m{"crit": []string{"b64"}}, nil),
		"typ JWT":                  own(m{"typ": "JWT"}, nil),
		"no typ":                   own(m{"typ": nil}, nil),
		"typ of a join token":      own(m{"typ": "cobrowse-join+jwt"}, nil),
		"wrong iss":                own(nil, m{"iss": "https://evil.example.test"}),
		"no iss":                   own(nil, m{"iss": nil}),
		"wrong aud":                own(nil, m{"aud": "cobrowse-join"}),
		"no aud":                   own(nil, m{"aud": nil}),
		"aud is a number":          own(nil, m{"aud": 7}),
		"no exp":                   own(nil, m{"exp": nil}),
		"exp is text":              own(nil, m{"exp": "tomorrow"}),
		"exp is now":               own(nil, m{"exp": t0.Unix(), "iat": t0.Unix() - 1}),
		"exp has passed":           own(nil, m{"exp": t0.Unix() - 3600, "iat": t0.Unix() - 7200}),
		"exp is negative":          own(nil, m{"exp": -1}),
		"no iat":                   own(nil, m{"iat": nil}),
		"iat in the future":        own(nil, m{"iat": t0.Add(6 * time.Second).Unix()}),
		"no sub":                   own(nil, m{"sub": nil}),
		"sub is another client":    own(nil, m{"sub": other, "client_id": other}),
		"sub is unknown":           own(nil, m{"sub": "nobody", "client_id": "nobody"}),
		"client_id is not the sub": own(nil, m{"client_id": other}),
		"sub is not the client_id": own(nil, m{"sub": other}),
		"no org":                   own(nil, m{"org": nil}),
		"another org":              own(nil, m{"org": orgB}),
		"no jti":                   own(nil, m{"jti": nil}),
		"no generation":            own(nil, m{"gen": nil}),
		"another generation":       own(nil, m{"gen": 1}),
		"generation is negative":   own(nil, m{"gen": -1}),
	} {
		for range 2 { // nothing of it is remembered as good
			p, err := w.Verify(t.Context(), raw)
			if got := cobridge.CodeOf(err); got != cobridge.CodeBadCredentials {
				t.Errorf("%s: Verify = %+v, %v, want %s", name, p, err, cobridge.CodeBadCredentials)
			}
			if raw != "" && len(strings.TrimSpace(raw)) > 1 && err != nil && strings.Contains(err.Error(), raw) {
				t.Errorf("%s: the error shows the token", name)
			}
		}
	}
	mustVerify(t, w.Service, good)
}

// TestVerifyRefusesKeyOfAnotherAlgorithm signs with a real, stored RSA key whose kid is
// known, under another RSA algorithm.
func TestVerifyRefusesKeyOfAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.RS256)
	id, secret := w.client(t, orgA)
	good := token(t, w.Service, id, secret).Raw
	keys, err := w.store.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatalf("Keys = %d, %v", len(keys), err)
	}
	private, err := x509.ParsePKCS8PrivateKey(keys[0].Private)
	if err != nil {
		t.Fatal(err)
	}
	f := forger{claims: jwt.MapClaims{}}
	parsed, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(good, f.claims)
	if err != nil {
		t.Fatal(err)
	}
	f.header = parsed.Header
	mustVerify(t, w.Service, f.sign(t, jwt.SigningMethodRS256, private, nil, nil))
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodRS512, jwt.SigningMethodPS256} {
		mustRefuse(t, w.Service, f.sign(t, method, private, nil, nil))
	}
	mustRefuse(t, w.Service, f.sign(t, jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&private.(*rsa.PrivateKey).PublicKey), nil, nil))
	mustRefuse(t, w.Service, f.sign(t, jwt.SigningMethodRS256, private, map[string]any{"alg": "EdDSA"}, nil))
}

// TestVerifyRefusesDisabledClient has the state alone changed, as an import of records
// might: the generation is still the token's.
func TestVerifyRefusesDisabledClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	raw := token(t, w.Service, id, secret).Raw
	mustVerify(t, w.Service, raw)
	err := w.store.UpdateClient(t.Context(), id, func(c *oauth.Client) error {
		c.State = oauth.StateDisabled
		return nil
	})
	if err != nil {
		t.Fatalf("UpdateClient = %v", err)
	}
	mustRefuse(t, w.Service, raw)
}

// TestRememberedTokenExpires shows that the memory of signatures does not keep a token
// alive, to the millisecond.
func TestRememberedTokenExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	raw := token(t, w.Service, id, secret).Raw
	p := mustVerify(t, w.Service, raw)
	if oauth.CacheLen(w.Service) != 1 {
		t.Fatalf("%d signatures are remembered, want 1", oauth.CacheLen(w.Service))
	}
	w.clock.set(p.ExpiresAt.Add(-time.Millisecond))
	mustVerify(t, w.Service, raw)
	w.clock.set(p.ExpiresAt)
	mustRefuse(t, w.Service, raw)
	mustRefuse(t, w.another(t, oauth.EdDSA), raw) // and one that never saw it says the same
}

func TestRememberedSignaturesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	small, err := oauth.New(t.Context(), oauth.Config{Store: w.store, Clock: w.clock.now, Issuer: issuer, Audience: aud, CacheSize: 8})
	if err != nil {
		t.Fatalf("New = %v", err)
	}
	id, secret := w.client(t, orgA)
	var raws []string
	for range 40 {
		raws = append(raws, token(t, small, id, secret).Raw)
	}
	for range 2 {
		for _, raw := range raws {
			mustVerify(t, small, raw)
			mustVerify(t, small, raws[0]) // in use all the time
			if got := oauth.CacheLen(small); got > 8 {
				t.Fatalf("%d signatures are remembered, want at most 8", got)
			}
		}
	}
	mustRefuse(t, small, raws[0]+"x")
}

// TestRememberedTokenCostsNoAllocation is the hot path of every request. It does not run
// in parallel, because the count is the whole process's.
func TestRememberedTokenCostsNoAllocation(t *testing.T) {
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA, oauth.ScopeUsers, oauth.ScopeCobrowseWrite)
	raw := token(t, w.Service, id, secret).Raw
	ctx := t.Context()
	mustVerify(t, w.Service, raw)
	got := testing.AllocsPerRun(1000, func() {
		p, err := w.Verify(ctx, raw)
		if err != nil || !oauth.Satisfies(p.Scopes, oauth.ScopeUserRead) {
			t.Errorf("Verify = %+v, %v", p, err)
		}
	})
	if got != 0 {
		t.Errorf("Verify of a remembered token allocates %v times, want 0", got)
	}
}

func TestIntrospect(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA, oauth.ScopeUsers)
	colleague, colleagueSecret := w.client(t, orgA)
	stranger, strangerSecret := w.client(t, orgB)
	got := token(t, w.Service, id, secret)
	ask := func(id, secret, raw string) oauth.Introspection {
		t.Helper()
		caller, err := w.Authenticate(t.Context(), id, secret)
		if err != nil {
			t.Fatalf("Authenticate = %v", err)
		}
		in, err := w.Introspect(t.Context(), caller, raw)
		if err != nil {
			t.Fatalf("Introspect = %v", err)
		}
		return in
	}
	for _, in := range []oauth.Introspection{ask(id, secret, got.Raw), ask(colleague, colleagueSecret, got.Raw)} {
		if !in.Active || in.Principal.TokenID != got.TokenID || in.Issuer != issuer || in.Audience != aud {
			t.Errorf("Introspect = %+v, want the active token %s", in, got.TokenID)
		}
	}
	wantNothing := func(name string, in oauth.Introspection) {
		t.Helper()
		if in.Active || in.Principal.TokenID != "" || in.Principal.ClientID != "" || in.Issuer != "" {
			t.Errorf("%s: Introspect = %+v, want nothing", name, in)
		}
	}
	wantNothing("of another organisation", ask(stranger, strangerSecret, got.Raw))
	wantNothing("garbage", ask(id, secret, "garbage"))
	if err := w.RevokeToken(t.Context(), mustVerify(t, w.Service, got.Raw)); err != nil {
		t.Fatalf("RevokeToken = %v", err)
	}
	wantNothing("revoked", ask(id, secret, got.Raw))
}
