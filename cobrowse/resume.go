package cobrowse

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// resumeOverlap is how long a replaced resume secret still works, in case the
// answer that carried the new one never arrived.
const resumeOverlap = 60 * time.Second

// ResumeSecret keeps a participant connected across reloads: 256 random bits,
// base64url. It never stands in a URL, and only its hash is stored.
type ResumeSecret string

// Resume is what is stored of a participant's resume secrets.
type Resume struct {
	Current       Digest    `json:",omitzero"` // zero = there is none
	Previous      Digest    `json:",omitzero"` // replaced by Current, which has not been used yet
	PreviousUntil time.Time `json:",omitzero"`
	Tab           string    `json:",omitzero"` // browser tab that got Current; only it may use Previous
}

// Digest is a SHA-256. As text it is base64url, and empty if it is zero: an array
// of numbers would be most of a stored session.
type Digest [sha256.Size]byte

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) {
	if d == (Digest{}) {
		return nil, nil
	}
	return base64.RawURLEncoding.AppendEncode(nil, d[:]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(text []byte) error {
	*d = Digest{}
	if len(text) == 0 {
		return nil
	}
	if base64.RawURLEncoding.DecodedLen(len(text)) != len(d) {
		return errors.New("decode digest: wrong length")
	}
	if _, err := base64.RawURLEncoding.Decode(d[:], text); err != nil {
		return fmt.Errorf("decode digest: %w", err)
	}
	return nil
}

// newResumeSecret returns a secret and its hash.
func newResumeSecret() (ResumeSecret, Digest) {
	var b [32]byte
	rand.Read(b[:]) // never fails: https://pkg.go.dev/crypto/rand#Read
	secret := ResumeSecret(base64.RawURLEncoding.EncodeToString(b[:]))
	return secret, sha256.Sum256([]byte(secret))
}

// accepts reports whether the secret is good at the given time in the given tab.
func (r Resume) accepts(secret ResumeSecret, tab string, at time.Time) bool {
	sum := sha256.Sum256([]byte(secret))
	current := subtle.ConstantTimeCompare(sum[:], r.Current[:]) == 1
	previous := subtle.ConstantTimeCompare(sum[:], r.Previous[:]) == 1
	return current && r.Current != (Digest{}) ||
		previous && r.Previous != (Digest{}) && at.Before(r.PreviousUntil) && tab != "" && tab == r.Tab
}

// rotate replaces the used secret by a new one. The used one stays good for a
// minute in the same tab, or until the new one is used. One that was replaced
// before has what is left of its minute: using it again does not prolong it.
func (r Resume) rotate(used ResumeSecret, tab string, at time.Time) (Resume, ResumeSecret) {
	secret, hash := newResumeSecret()
	next := Resume{Current: hash, Previous: sha256.Sum256([]byte(used)), PreviousUntil: at.Add(resumeOverlap), Tab: tab}
	if next.Previous == r.Previous {
		next.PreviousUntil = r.PreviousUntil
	}
	return next, secret
}

// firstResume returns the state after a join token was redeemed in a tab.
func firstResume(tab string) (Resume, ResumeSecret) {
	secret, hash := newResumeSecret()
	return Resume{Current: hash, Tab: tab}, secret
}

// Resumes reports whether [Service.Connect] would let the participant in with
// this secret, without using it up.
func (p Participant) Resumes(secret ResumeSecret, tab string, at time.Time) bool {
	return p.Resume.accepts(secret, tab, at)
}
