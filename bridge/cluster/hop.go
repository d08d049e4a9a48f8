package cluster

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// HopHeader is the header by which one process tells another for whom it speaks.
const HopHeader = "Cobridge-Hop"

// hopLife is how far the clocks of two processes, and a request's way between them, may
// be apart.
const hopLife = 30 * time.Second

const hopVersion = "v1"

// ErrHop is the answer to a header that no process of ours has written, or written long ago.
var ErrHop = errors.New("the request does not come from a node of this installation")

// Hop is what a process says of a request that it sends on.
type Hop struct {
	To     string // name of the process that the request is for
	Client netip.Addr
	Secure bool // the client's connection is encrypted
	At     time.Time
}

// Request is what a hop is about: the signature is for this request alone.
type Request struct{ Method, Target, Host string }

// Sign returns the value of the header. The key is of the installation, at least 32
// random bytes.
func (h Hop) Sign(key []byte, r Request) string {
	fields := strings.Join([]string{hopVersion, h.To, strconv.FormatInt(h.At.UnixMilli(), 10), strconv.FormatBool(h.Secure), h.Client.String()}, " ")
	return fields + " " + base64.RawURLEncoding.EncodeToString(hopSum(key, fields, r))
}

// hopSum signs with lengths, so that no two requests have the same text.
func hopSum(key []byte, fields string, r Request) []byte {
	sum := hmac.New(sha256.New, key)
	for _, part := range []string{"cobridge hop", fields, r.Method, r.Target, r.Host} {
		_, _ = fmt.Fprintf(sum, "%d:%s\n", len(part), part) // a hash does not fail
	}
	return sum.Sum(nil)
}

// ReadHop checks the value of the header. It fails with ErrHop.
func ReadHop(key []byte, r Request, header string, now time.Time) (Hop, error) {
	i := strings.LastIndexByte(header, ' ')
	if i < 0 {
		return Hop{}, ErrHop
	}
	fields := header[:i]
	sum, err := base64.RawURLEncoding.Strict().DecodeString(header[i+1:])
	if err != nil || !hmac.Equal(sum, hopSum(key, fields, r)) {
		return Hop{}, ErrHop
	}
	words := strings.Split(fields, " ")
	if len(words) != 5 || words[0] != hopVersion {
		return Hop{}, ErrHop
	}
	h := Hop{To: words[1], Secure: words[3] == "true"}
	ms, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil {
		return Hop{}, ErrHop
	}
	h.At = time.UnixMilli(ms).UTC()
	if age := now.Sub(h.At); age > hopLife || age < -hopLife {
		return Hop{}, ErrHop
	}
	if h.Client, err = netip.ParseAddr(words[4]); err != nil && words[4] != (netip.Addr{}).String() {
		return Hop{}, ErrHop
	}
	return h, nil
}
