package cobrowse_test

import (
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/cobridge/cobridge/cobrowse"
)

func TestDigestAsText(t *testing.T) {
	t.Parallel()
	for _, d := range []cobrowse.Digest{{}, sha256.Sum256([]byte("secret"))} {
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		back := cobrowse.Digest{1, 2, 3}
		if err := json.Unmarshal(text, &back); err != nil || back != d {
			t.Errorf("%s came back as %v, %v", text, back, err)
		}
	}
	for _, bad := range []string{"AA", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		var d cobrowse.Digest
		if err := d.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("UnmarshalText(%q) succeeded", bad)
		}
	}
}
