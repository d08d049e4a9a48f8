package web

import (
	"crypto/sha256"
	"encoding/hex"
)

// ResumeCookieName returns the name of the cookie that holds the resume secret of
// one participant of a cobrowse session: a browser may be in several sessions, and
// in one session as several participants. The id is hashed because a cookie's
// name has a smaller alphabet than ids.
func ResumeCookieName(participantID string) string {
	sum := sha256.Sum256([]byte(participantID))
	return "cobridge_resume_" + hex.EncodeToString(sum[:8])
}
