package cobrowse

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
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
	Current       [32]byte // SHA-256; zero = there is none
	Previous      [32]byte // replaced by Current, which has not been used yet
	PreviousUntil time.Time
	Tab           string // browser tab that got Current; only it may use Previous
}

// newResumeSecret returns a secret and its hash.
func newResumeSecret() (ResumeSecret, [32]byte) {
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
	return current && r.Current != [32]byte{} ||
		previous && r.Previous != [32]byte{} && at.Before(r.PreviousUntil) && tab != "" && tab == r.Tab
}

// rotate replaces the used secret by a new one. The used one stays good for a
// minute in the same tab, or until the new one is used.
func (r Resume) rotate(used ResumeSecret, tab string, at time.Time) (Resume, ResumeSecret) {
	secret, hash := newResumeSecret()
	return Resume{Current: hash, Previous: sha256.Sum256([]byte(used)), PreviousUntil: at.Add(resumeOverlap), Tab: tab}, secret
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
