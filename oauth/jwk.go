package oauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
)

// JWK is the public half of a signing key in the form of RFC 7517 (RSA: RFC 7518,
// section 6.3; Ed25519: RFC 8037). All values are base64url without padding.
type JWK struct {
	KeyType   string `json:"kty"` // OKP or RSA
	Use       string `json:"use"` // sig
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
	Curve     string `json:"crv,omitempty"` // OKP: Ed25519
	X         string `json:"x,omitempty"`   // OKP: the public key
	Modulus   string `json:"n,omitempty"`   // RSA
	Exponent  string `json:"e,omitempty"`   // RSA
}

// JWKSet is a set of keys as it is published (RFC 7517, section 5).
type JWKSet struct {
	Keys []JWK `json:"keys"`
}

// newJWK returns the public key in its published form; the key id is its thumbprint.
func newJWK(public crypto.PublicKey) (JWK, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	var jwk JWK
	var members string // in the order and form that RFC 7638, section 3.2, hashes
	switch key := public.(type) {
	case ed25519.PublicKey:
		jwk = JWK{KeyType: "OKP", Algorithm: string(EdDSA), Curve: "Ed25519", X: b64(key)}
		members = fmt.Sprintf(`{"crv":%q,"kty":"OKP","x":%q}`, jwk.Curve, jwk.X)
	case *rsa.PublicKey:
		jwk = JWK{KeyType: "RSA", Algorithm: string(RS256), Modulus: b64(key.N.Bytes()), Exponent: b64(big.NewInt(int64(key.E)).Bytes())}
		members = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, jwk.Exponent, jwk.Modulus)
	default:
		return JWK{}, fmt.Errorf("publish key: unsupported type %T", public)
	}
	thumbprint := sha256.Sum256([]byte(members))
	jwk.Use, jwk.KeyID = "sig", b64(thumbprint[:])
	return jwk, nil
}
