package oauth_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/oauth"
)

// kids returns the ids of the published keys.
func kids(t *testing.T, svc *oauth.Service) []string {
	t.Helper()
	set, err := svc.JWKS(t.Context())
	if err != nil {
		t.Fatalf("JWKS = %v", err)
	}
	var ids []string
	for _, k := range set.Keys {
		ids = append(ids, k.KeyID)
	}
	return ids
}

// kidOf returns which key a token names.
func kidOf(t *testing.T, raw string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(raw, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := parsed.Header["kid"].(string)
	return id
}

func mustRotate(t *testing.T, svc *oauth.Service) string {
	t.Helper()
	id, err := svc.RotateKey(t.Context())
	if err != nil {
		t.Fatalf("RotateKey = %v", err)
	}
	return id
}

// algorithms counts the stored keys.
func algorithms(t *testing.T, store *memStore) map[oauth.Algorithm]int {
	t.Helper()
	keys, err := store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	count := map[oauth.Algorithm]int{}
	for _, k := range keys {
		count[k.Algorithm]++
	}
	return count
}

func TestFirstStartMakesOneKey(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []oauth.Algorithm{oauth.EdDSA, oauth.RS256} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, algorithm)
			id, secret := w.client(t, orgA)
			raw := token(t, w.Service, id, secret).Raw
			second := w.another(t, algorithm) // a restart
			mustVerify(t, second, raw)
			// The other algorithm costs nothing at start: there is no such key at all.
			if diff := cmp.Diff(map[oauth.Algorithm]int{algorithm: 1}, algorithms(t, w.store)); diff != "" {
				t.Errorf("stored keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAlgorithmSwitch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	old := token(t, w.Service, id, secret).Raw
	second := w.another(t, oauth.RS256)
	fresh := token(t, second, id, secret).Raw
	if kidOf(t, old) == kidOf(t, fresh) {
		t.Fatal("the key did not change with the algorithm")
	}
	for _, svc := range []*oauth.Service{w.Service, second} {
		mustVerify(t, svc, old)
		mustVerify(t, svc, fresh)
	}
	third := w.another(t, oauth.EdDSA) // back again: the newest key must be of this algorithm
	if got := kidOf(t, token(t, third, id, secret).Raw); got == kidOf(t, old) || got == kidOf(t, fresh) {
		t.Errorf("after switching back, tokens are signed with the old key %s", got)
	}
	if diff := cmp.Diff(map[oauth.Algorithm]int{oauth.EdDSA: 2, oauth.RS256: 1}, algorithms(t, w.store)); diff != "" {
		t.Errorf("stored keys (-want +got):\n%s", diff)
	}
}

func TestKeyRotationOverlap(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	c, secret, err := w.CreateClient(t.Context(), oauth.ClientSpec{OrgID: orgA, Name: "Long", Lifetime: oauth.MaxLifetime})
	if err != nil {
		t.Fatalf("CreateClient = %v", err)
	}
	first := kids(t, w.Service)[0]
	old := token(t, w.Service, c.ID, secret)
	second := mustRotate(t, w.Service)
	if diff := cmp.Diff([]string{second, first}, kids(t, w.Service)); diff != "" {
		t.Errorf("JWKS right after the rotation (-want +got):\n%s", diff)
	}
	if got := kidOf(t, token(t, w.Service, c.ID, secret).Raw); got != second {
		t.Errorf("a new token is signed with %s, want %s", got, second)
	}
	// The old token is good to its last moment, also where its signature is not remembered.
	w.clock.set(t0.Add(oauth.MaxLifetime - time.Millisecond))
	mustVerify(t, w.another(t, oauth.EdDSA), old.Raw)
	if n, err := w.Purge(t.Context()); n != 0 || err != nil {
		t.Errorf("Purge = %d, %v while a token of the old key lives", n, err)
	}
	w.clock.set(t0.Add(oauth.KeyRetention + time.Millisecond))
	if diff := cmp.Diff([]string{second}, kids(t, w.Service)); diff != "" {
		t.Errorf("JWKS after the overlap (-want +got):\n%s", diff)
	}
	if n, err := w.Purge(t.Context()); n != 1 || err != nil {
		t.Errorf("Purge = %d, %v, want the old key gone", n, err)
	}
	if diff := cmp.Diff(map[oauth.Algorithm]int{oauth.EdDSA: 1}, algorithms(t, w.store)); diff != "" {
		t.Errorf("stored keys (-want +got):\n%s", diff)
	}
	mustVerify(t, w.Service, token(t, w.Service, c.ID, secret).Raw)
}

// TestRetiredKeyVerifiesNothing signs with a key whose time is over, as a thief of an old
// backup could.
func TestRetiredKeyVerifiesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	f := newForger(t, w, token(t, w.Service, id, secret).Raw)
	mustRotate(t, w.Service)
	w.clock.set(t0.Add(oauth.KeyRetention - time.Millisecond))
	claims := func() map[string]any {
		now := w.clock.now().Unix()
		return map[string]any{"iat": now, "exp": now + 300, "jti": "forged"}
	}
	mustVerify(t, w.Service, f.sign(t, jwt.SigningMethodEdDSA, f.private, nil, claims()))
	w.clock.advance(2 * time.Millisecond)
	claims2 := claims()
	claims2["jti"] = "forged again"
	mustRefuse(t, w.Service, f.sign(t, jwt.SigningMethodEdDSA, f.private, nil, claims2))
}

func TestOtherInstancesNoticeRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	other := w.another(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	first := kids(t, w.Service)[0]
	second := mustRotate(t, w.Service)
	// To verify, at once: the token names a key that the other does not know yet.
	fresh := token(t, w.Service, id, secret).Raw
	third := w.another(t, oauth.EdDSA)
	mustVerify(t, other, fresh)
	if got := kidOf(t, token(t, other, id, secret).Raw); got != second {
		t.Errorf("having seen it, the other instance signs with %s, want %s", got, second)
	}
	// To sign and to publish, within a minute.
	newest := mustRotate(t, w.Service)
	if got := kidOf(t, token(t, third, id, secret).Raw); got != second {
		t.Errorf("a late instance signs with %s, want still %s", got, second)
	}
	w.clock.advance(oauth.KeyRefresh)
	if diff := cmp.Diff([]string{newest, second, first}, kids(t, third)); diff != "" {
		t.Errorf("JWKS a minute later (-want +got):\n%s", diff)
	}
	if got := kidOf(t, token(t, other, id, secret).Raw); got != newest {
		t.Errorf("a minute later, tokens are signed with %s, want %s", got, newest)
	}
}

// TestUnknownKeysDoNotHammerTheStore sends tokens with made up key ids.
func TestUnknownKeysDoNotHammerTheStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	f := newForger(t, w, token(t, w.Service, id, secret).Raw)
	for round := range 3 {
		before := w.store.keyReads.Load()
		for i := range 50 {
			mustRefuse(t, w.Service, f.sign(t, jwt.SigningMethodEdDSA, f.private, map[string]any{"kid": strings.Repeat("x", i+1)}, nil))
		}
		if got := w.store.keyReads.Load() - before; got != 1 {
			t.Errorf("round %d: the store was read %d times, want once", round, got)
		}
		w.clock.advance(time.Second)
	}
}

// TestInstancesStartTogether races first starts on one store.
func TestInstancesStartTogether(t *testing.T) {
	t.Parallel()
	w := world{store: newMemStore(), clock: &fakeClock{}}
	w.clock.set(t0)
	services := make([]*oauth.Service, 8)
	var wg sync.WaitGroup
	for i := range services {
		wg.Go(func() { services[i] = w.another(t, oauth.EdDSA) })
	}
	wg.Wait()
	w.Service = services[0]
	id, secret := w.client(t, orgA)
	for _, a := range services {
		raw := token(t, a, id, secret).Raw
		w.clock.advance(time.Second) // lets everyone look for the key once more
		for _, b := range services {
			mustVerify(t, b, raw)
		}
	}
	w.clock.advance(oauth.KeyRefresh)
	for _, a := range services[1:] {
		if got, want := kidOf(t, token(t, a, id, secret).Raw), kidOf(t, token(t, services[0], id, secret).Raw); got != want {
			t.Errorf("instances still sign with different keys, %s and %s", got, want)
		}
	}
}

func TestRotationWhenTheClockWentBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	id, secret := w.client(t, orgA)
	w.clock.advance(-time.Hour)
	want := mustRotate(t, w.Service)
	if got := kidOf(t, token(t, w.Service, id, secret).Raw); got != want {
		t.Errorf("signed with %s, want the new key %s", got, want)
	}
}

func TestDamagedKeyIsNamedAndNotShown(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(*oauth.Key){
		"bytes":     func(k *oauth.Key) { k.Private = k.Private[:len(k.Private)-1] },
		"algorithm": func(k *oauth.Key) { k.Algorithm = oauth.RS256 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, oauth.EdDSA)
			id := kids(t, w.Service)[0]
			k := w.store.keys[id]
			damage(&k)
			w.store.keys[id] = k
			_, err := oauth.New(t.Context(), oauth.Config{Store: w.store, Clock: w.clock.now, Issuer: issuer, Audience: aud})
			if err == nil || !strings.Contains(err.Error(), id) {
				t.Errorf("New = %v, want an error that names key %s", err, id)
			}
		})
	}
}

func TestNewReportsAllProblems(t *testing.T) {
	t.Parallel()
	_, err := oauth.New(t.Context(), oauth.Config{Algorithm: "HS256", CacheSize: 1})
	if err == nil {
		t.Fatal("New = nil, want an error")
	}
	for _, want := range []string{"store", "clock", "issuer", "audience", "algorithm", "cache size"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New = %q, want it to speak of the %s", err, want)
		}
	}
}

// TestJWKSRoundTrip verifies a token with nothing but the published JSON.
func TestJWKSRoundTrip(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []oauth.Algorithm{oauth.EdDSA, oauth.RS256} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, algorithm)
			id, secret := w.client(t, orgA)
			raw := token(t, w.Service, id, secret).Raw
			set, err := w.JWKS(t.Context())
			if err != nil {
				t.Fatalf("JWKS = %v", err)
			}
			data, err := json.Marshal(set)
			if err != nil {
				t.Fatal(err)
			}
			var doc struct{ Keys []map[string]string }
			if err := json.Unmarshal(data, &doc); err != nil || len(doc.Keys) != 1 {
				t.Fatalf("%s: %v, want one key", data, err)
			}
			key := doc.Keys[0]
			if key["use"] != "sig" || key["alg"] != string(algorithm) || key["d"] != "" {
				t.Errorf("published key = %v", key)
			}
			number := func(member string) []byte {
				t.Helper()
				b, err := base64.RawURLEncoding.Strict().DecodeString(key[member])
				if err != nil || len(b) == 0 {
					t.Fatalf("member %s of %v: %v", member, key, err)
				}
				return b
			}
			var public crypto.PublicKey
			switch key["kty"] {
			case "OKP":
				public = ed25519.PublicKey(number("x"))
			case "RSA":
				public = &rsa.PublicKey{N: new(big.Int).SetBytes(number("n")), E: int(new(big.Int).SetBytes(number("e")).Int64())}
			}
			parsed, err := jwt.NewParser(jwt.WithTimeFunc(w.clock.now)).Parse(raw, func(*jwt.Token) (any, error) { return public, nil })
			if err != nil {
				t.Fatalf("the token does not verify with the published key: %v", err)
			}
			if parsed.Header["kid"] != key["kid"] || parsed.Header["typ"] != "at+jwt" {
				t.Errorf("header = %v, want kid %s and typ at+jwt", parsed.Header, key["kid"])
			}
			claims := parsed.Claims.(jwt.MapClaims)
			for claim, want := range map[string]any{"iss": issuer, "aud": aud, "sub": id, "client_id": id, "org": orgA, "iat": float64(t0.Unix()), "exp": float64(t0.Unix() + 86400)} {
				if claims[claim] != want {
					t.Errorf("claim %s = %v, want %v", claim, claims[claim], want)
				}
			}
		})
	}
}

// TestThumbprints uses the examples of RFC 7638, section 3.1, and RFC 8037, appendix A.3.
func TestThumbprints(t *testing.T) {
	t.Parallel()
	bytes := func(s string) []byte {
		t.Helper()
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	modulus := "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	for _, test := range []struct {
		key  crypto.PublicKey
		want oauth.JWK
	}{
		{&rsa.PublicKey{N: new(big.Int).SetBytes(bytes(modulus)), E: 65537}, oauth.JWK{KeyType: "RSA", Use: "sig", Algorithm: "RS256", KeyID: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", Modulus: modulus, Exponent: "AQAB"}},
		{ed25519.PublicKey(bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")), oauth.JWK{KeyType: "OKP", Use: "sig", Algorithm: "EdDSA", KeyID: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", Curve: "Ed25519", X: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}},
	} {
		got, err := oauth.NewJWK(test.key)
		if err != nil {
			t.Fatalf("newJWK = %v", err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("newJWK (-want +got):\n%s", diff)
		}
	}
	if _, err := oauth.NewJWK("no key"); err == nil {
		t.Error("newJWK of a string = nil, want an error")
	}
}

func TestAgedKeyIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, oauth.EdDSA)
	const age = 90 * 24 * time.Hour
	rotate := func() bool {
		t.Helper()
		rotated, err := w.RotateAgedKey(t.Context(), age)
		if err != nil {
			t.Fatalf("RotateAgedKey: %v", err)
		}
		return rotated
	}
	w.clock.advance(age)
	if rotate() {
		t.Error("a key of exactly this age was replaced, want it kept")
	}
	w.clock.advance(time.Millisecond)
	if !rotate() || rotate() {
		t.Error("an older key must be replaced, once")
	}
}
