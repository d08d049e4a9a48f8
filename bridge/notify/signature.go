package notify

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// WebhookSecret is a key that deliveries are signed with.
type WebhookSecret struct {
	Key       []byte // 24 to 64 bytes
	CreatedAt time.Time
	ExpiresAt time.Time // zero = it signs until it is replaced
}

// The bounds of a key, as the scheme has them
// (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
const (
	minKey       = 24 // bytes
	maxKey       = 64
	newKey       = 32
	secretPrefix = "whsec_"
)

// Text returns the secret as receivers are given it: whsec_ and base64.
func (s WebhookSecret) Text() string {
	return secretPrefix + base64.StdEncoding.EncodeToString(s.Key)
}

// ErrSecret is what [ParseSecret] fails with.
var ErrSecret = errors.New("want whsec_ and 24 to 64 bytes in base64")

// ParseSecret reads a secret in the form of [WebhookSecret.Text] and returns its key.
func ParseSecret(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < minKey || len(key) > maxKey || strings.ContainsAny(encoded, "\r\n") {
		return nil, ErrSecret // without the cause, which has parts of the secret in it
	}
	return key, nil
}

func newSecret(at time.Time) WebhookSecret {
	key := make([]byte, newKey)
	_, _ = rand.Read(key) // it never fails
	return WebhookSecret{Key: key, CreatedAt: at}
}

// rotate puts a secret in front; the one before signs besides until the given time.
func (w *Webhook) rotate(s WebhookSecret, until time.Time) {
	old := w.Secrets[0]
	old.ExpiresAt = until
	w.Secrets = []WebhookSecret{s, old}
}

// hasKey reports whether the webhook signs with this key first.
func (w Webhook) hasKey(key []byte) bool {
	return len(w.Secrets) > 0 && hmac.Equal(w.Secrets[0].Key, key)
}

// Sign returns the value of the header webhook-signature: one signature for each
// secret that is good at the time, the newest first.
func Sign(secrets []WebhookSecret, id DeliveryID, at time.Time, body []byte) string {
	signed := slices.Concat([]byte(id), []byte("."), []byte(strconv.FormatInt(at.Unix(), 10)), []byte("."), body)
	var all []string
	for _, s := range secrets {
		if !s.ExpiresAt.IsZero() && !at.Before(s.ExpiresAt) {
			continue
		}
		mac := hmac.New(sha256.New, s.Key)
		mac.Write(signed)
		all = append(all, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(all, " ")
}
