package cobrowse

import (
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"

	"github.com/cobridge/cobridge"
)

// SessionToken is the number that a customer reads out: exactly nine decimal digits.
type SessionToken string

// sessionTokenDigits is fixed by the legacy product: its pages show three groups of three.
const (
	sessionTokenDigits = 9
	sessionTokens      = 1_000_000_000
)

// NewSessionToken returns nine random digits. They are not yet claimed.
func NewSessionToken() (SessionToken, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(sessionTokens))
	if err != nil {
		return "", fmt.Errorf("draw a session token: %w", err)
	}
	return SessionToken(fmt.Sprintf("%09d", n)), nil
}

// ParseSessionToken reads nine digits as people write them: spaces and hyphens
// between the digits are ignored, for instance "123 456 789" or "123-456-789".
// It fails with CodeConstraintValidation.
func ParseSessionToken(text string) (SessionToken, error) {
	var digits strings.Builder
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits.WriteRune(r)
		case r == ' ' || r == '-' || r == '\u00a0':
		default:
			return "", badSessionToken()
		}
		if digits.Len() > sessionTokenDigits {
			return "", badSessionToken()
		}
	}
	if digits.Len() != sessionTokenDigits {
		return "", badSessionToken()
	}
	return SessionToken(digits.String()), nil
}

func badSessionToken() error {
	return &cobridge.Error{
		Code: cobridge.CodeConstraintValidation, Message: "A session token has nine digits.",
		Details: []cobridge.Detail{{FieldName: "sessionToken", ErrorCode: "format"}},
	}
}
