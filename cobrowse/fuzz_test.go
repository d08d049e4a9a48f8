package cobrowse

import (
	"slices"
	"testing"
	"time"

	"github.com/cobridge/cobridge"
)

// FuzzJoinToken: whatever stands in a join URL is either one of our tokens or
// refused with a code that the page knows.
func FuzzJoinToken(f *testing.F) {
	now := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	tokens := NewJoinTokens([]byte("0123456789abcdef0123456789abcdef"), "https://bridge.example", 15*time.Minute, func() time.Time { return now })
	good, err := tokens.issue(Session{ID: "s1", OrgID: "o1"}, Participant{ID: "p1", Role: RoleAgent})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good.Raw, good.Raw + "\n", good.Raw[:len(good.Raw)-1], "eyJhbGciOiJub25lIn0.e30.", "a.b.c", "..", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		claims, err := tokens.verify(raw)
		if err == nil {
			if raw != good.Raw || claims.SessionID != "s1" || claims.Subject != "p1" || claims.Role != RoleAgent {
				t.Errorf("verify(%q) = %+v, want a refusal", raw, claims)
			}
			return
		}
		if code := cobridge.CodeOf(err); !slices.Contains([]cobridge.Code{cobridge.CodeJoinTokenInvalid, cobridge.CodeJoinTokenExpired}, code) {
			t.Errorf("verify(%q): code %q", raw, code)
		}
	})
}
