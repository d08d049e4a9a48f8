package web

import (
	"encoding/base64"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// Bearer returns the access token of the Authorization header (RFC 6750, section
// 2.1); the scheme compares in any case. Without a usable one it fails with
// CodeAuthRequired.
func Bearer(c *fiber.Ctx) (string, error) {
	return BearerOf(string(c.Request().Header.Peek(fiber.HeaderAuthorization)))
}

// BearerOf is [Bearer] for an Authorization header that came in another way.
func BearerOf(header string) (string, error) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.Trim(token, " ")
	if !strings.EqualFold(scheme, "bearer") || token == "" || strings.ContainsAny(token, " ,\t") {
		return "", &cobridge.Error{Code: cobridge.CodeAuthRequired}
	}
	return token, nil
}

// Credentials are a client's id and secret, as a caller showed them.
type Credentials struct{ ID, Secret string }

// String leaves the secret out.
func (c Credentials) String() string { return "credentials of client " + c.ID }

// GoString leaves the secret out.
func (c Credentials) GoString() string { return c.String() }

// BasicCredentials returns the credentials that a Basic header may mean: none
// without such a header, one, or two where it reads differently once its parts are
// form-decoded. RFC 6749, section 2.3.1, wants them encoded; x/oauth2 does that,
// curl does not. A header that cannot be read gives empty ones, so that it is like
// unknown credentials, to the limit of wrong ones as well.
func BasicCredentials(c *fiber.Ctx) []Credentials {
	return BasicOf(c.Get(fiber.HeaderAuthorization))
}

// BasicOf is [BasicCredentials] for an Authorization header that came in another way.
func BasicOf(header string) []Credentials {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "basic") {
		return nil
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	id, secret, found := strings.Cut(string(text), ":")
	if err != nil || !found || !utf8.Valid(text) {
		return []Credentials{{}}
	}
	tries := []Credentials{{id, secret}}
	plainID, idErr := url.QueryUnescape(id)
	plainSecret, secretErr := url.QueryUnescape(secret)
	if decoded := (Credentials{plainID, plainSecret}); idErr == nil && secretErr == nil && decoded != tries[0] {
		tries = append(tries, decoded)
	}
	return tries
}
