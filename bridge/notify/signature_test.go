package notify_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/notify"
)

// The vector that the libraries of the Standard Webhooks project are tested with
// (https://github.com/standard-webhooks/standard-webhooks/tree/main/libraries).
const (
	vectorSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSignPublishedVector(t *testing.T) {
	t.Parallel()
	key, err := notify.ParseSecret(vectorSecret)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1614265330, 999)
	if got := notify.Sign([]notify.WebhookSecret{{Key: key}}, vectorID, at, []byte(vectorBody)); got != vectorSignature {
		t.Errorf("Sign = %q, want %q", got, vectorSignature)
	}
	if got := (notify.WebhookSecret{Key: key}).Text(); got != vectorSecret {
		t.Errorf("Text = %q, want %q", got, vectorSecret)
	}
	// While a secret is replaced both sign, the newest first; afterwards one does.
	old := bytes.Repeat([]byte{7}, 24)
	both := []notify.WebhookSecret{{Key: key}, {Key: old, ExpiresAt: at.Add(time.Second)}}
	got := strings.Fields(notify.Sign(both, vectorID, at, []byte(vectorBody)))
	if len(got) != 2 || got[0] != vectorSignature || got[1] == vectorSignature {
		t.Errorf("Sign with two secrets = %q", got)
	}
	both[1].ExpiresAt = at
	if got := notify.Sign(both, vectorID, at, []byte(vectorBody)); got != vectorSignature {
		t.Errorf("Sign with an expired secret = %q, want %q", got, vectorSignature)
	}
}

func TestParseSecret(t *testing.T) {
	t.Parallel()
	encoded := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, tt := range []struct {
		text string
		good bool
	}{
		{encoded(24), true},
		{encoded(64), true},
		{encoded(23), false},
		{encoded(65), false},
		{"", false},
		{"whsec_", false},
		{strings.TrimPrefix(vectorSecret, "whsec_"), false},
		{"whsec_####", false},
		{vectorSecret + "\n", false},
		{strings.ToUpper(vectorSecret), false},
	} {
		if _, err := notify.ParseSecret(tt.text); (err == nil) != tt.good {
			t.Errorf("ParseSecret(%q) = %v, want good %t", tt.text, err, tt.good)
		} else if err != nil && strings.Contains(err.Error(), "###") {
			t.Errorf("ParseSecret shows the secret: %v", err)
		}
	}
}

// verify is what a receiver does, after the text of the scheme and not after Sign.
func verify(secret string, r notify.SendRequest) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(string(r.ID) + "." + strconv.FormatInt(r.At.Unix(), 10) + "." + string(r.Body)))
	for one := range strings.SplitSeq(r.Signature, " ") {
		version, signature, _ := strings.Cut(one, ",")
		given, err := base64.StdEncoding.DecodeString(signature)
		if version == "v1" && err == nil && hmac.Equal(given, mac.Sum(nil)) {
			return true
		}
	}
	return false
}
