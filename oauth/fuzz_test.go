package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// FuzzVerify sends anything as a token: the answer is a refusal, unless it is the token
// that was issued.
func FuzzVerify(f *testing.F) {
	w := newWorld(f, oauth.EdDSA)
	id, secret := w.client(f, orgA, oauth.ScopeUsers)
	good := token(f, w.Service, id, secret).Raw
	f.Add(good)
	f.Add("")
	f.Add("kq0-opaque")
	f.Add("Bearer " + good)
	f.Add(good + "\r\n")
	f.Add(strings.Replace(good, ".", "..", 1))
	// RFC 7515, appendix A.1 and A.5; RFC 8037, appendix A.4.
	f.Add("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.")
	f.Add("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg")
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := w.Verify(t.Context(), raw)
		switch {
		case raw == good:
			if err != nil || p.ClientID != id {
				t.Errorf("Verify of the good token = %+v, %v", p, err)
			}
		case cobridge.CodeOf(err) != cobridge.CodeBadCredentials:
			t.Errorf("Verify(%q) = %+v, %v, want %s", raw, p, err, cobridge.CodeBadCredentials)
		}
	})
}

// FuzzVerifyClaims signs anything as claims with the right key: what is accepted names
// the issuer, the audience and a living client of that organisation.
func FuzzVerifyClaims(f *testing.F) {
	w := newWorld(f, oauth.EdDSA)
	id, secret := w.client(f, orgA, oauth.ScopeUsers)
	good := token(f, w.Service, id, secret).Raw
	key := newForger(f, w, good)
	parts := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"iss":"joe","exp":1300819380,"http://example.com/is_root":true}`)) // RFC 7519, section 3.1
	f.Add([]byte(strings.Replace(string(payload), `"aud":"`+aud+`"`, `"aud":["`+aud+`","x"]`, 1)))
	f.Add([]byte(strings.Replace(string(payload), `"exp":`, `"exp":9`, 1)))
	f.Add([]byte(strings.Replace(string(payload), `"exp":`, `"exp":1e`, 1)))
	f.Add([]byte(strings.Repeat(`{"aud":[`, 200)))
	f.Fuzz(func(t *testing.T, payload []byte) {
		input := parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload)
		signature, err := jwt.SigningMethodEdDSA.Sign(input, key.private)
		if err != nil {
			t.Fatal(err)
		}
		p, err := w.Verify(t.Context(), input+"."+base64.RawURLEncoding.EncodeToString(signature))
		if err != nil {
			if got := cobridge.CodeOf(err); got != cobridge.CodeBadCredentials {
				t.Fatalf("Verify(%q) = %v, want %s", payload, err, cobridge.CodeBadCredentials)
			}
			return
		}
		var claims struct {
			Iss string
			Aud any
		}
		if err := json.Unmarshal(payload, &claims); err != nil {
			t.Fatalf("accepted %q, which is no JSON object: %v", payload, err)
		}
		list, _ := claims.Aud.([]any)
		if claims.Iss != issuer || claims.Aud != any(aud) && !slices.Contains(list, any(aud)) ||
			p.ClientID != id || p.OrgID != orgA || p.TokenID == "" || !p.ExpiresAt.After(t0) {
			t.Errorf("accepted %q as %+v", payload, p)
		}
	})
}
