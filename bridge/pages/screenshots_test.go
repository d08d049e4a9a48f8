package pages_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// The pictures in docs/images can be taken: COBRIDGE_SCREENSHOTS=docs/images, as an
// absolute path, rewrites them. Look at them before they are committed.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("COBRIDGE_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	b := startChrome(t)
	for _, tt := range []struct {
		suffix string
		look
		names []string
	}{
		{"", look{width: 1100, height: 620}, []string{"fresh", "waiting", "live", "confirm", "ended", "expired"}},
		{"-dark", look{width: 1100, height: 620, dark: true}, []string{"waiting", "live", "ended", "expired"}},
		{"-narrow", look{width: 360, height: 740}, []string{"live"}},
	} {
		suffix, l := tt.suffix, tt.look
		save := func(p *page, name string) {
			t.Helper()
			if !slices.Contains(tt.names, name) {
				return
			}
			p.eval(`document.activeElement.blur()`)
			p.eval(`document.fonts.ready.then(() => new Promise((done) => setTimeout(done, 150)))`)
			data := p.screenshot()
			if len(data) > 80<<10 {
				t.Errorf("%s has %d bytes, want at most 80 KiB", name, len(data))
			}
			if err := os.WriteFile(filepath.Join(dir, "join-"+name+suffix+".png"), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		h := newHouse(t)
		s := h.start(t, everybody)
		late := h.start(t, agentAndSupervisor)
		expired := h.joinURL(t, late, annPID)
		// What is seen until the script has had its first answer.
		blocked := b.person(t).open(expired, look{width: l.width, height: l.height, dark: l.dark, block: "*/api/v2/*"})
		save(blocked, "fresh")
		fresh := b.person(t).open(h.joinURL(t, s, annPID), l)
		fresh.screen("waiting")
		save(fresh, "waiting")
		other := b.person(t).open(h.joinURL(t, s, s.Sharer()), l)
		other.screen("live")
		fresh.screen("live")
		b.person(t).open(h.joinURL(t, s, benPID), l).screen("live")
		fresh.wait(`document.querySelectorAll("#peers .here").length === 3`)
		save(fresh, "live")
		fresh.eval(`document.getElementById("exit").click()`)
		fresh.wait(`document.getElementById("confirm").open`)
		save(fresh, "confirm")
		fresh.eval(`document.getElementById("confirmYes").click()`)
		fresh.screen("ended")
		save(fresh, "ended")
		h.advance(16 * time.Minute)
		save(b.person(t).open(expired, l), "expired")
	}
}
