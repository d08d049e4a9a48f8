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
	site := b.record(t, shop, look{width: 1180, height: 760})
	for _, tt := range []struct {
		suffix string
		look
		names []string
	}{
		{"", look{width: 1280, height: 800}, []string{"fresh", "waiting", "live", "private", "control", "choose", "drawing", "free", "paused", "confirm", "ended", "expired"}},
		{"-dark", look{width: 1280, height: 800, dark: true}, []string{"waiting", "control", "ended", "expired"}},
		{"-wide", look{width: 1920, height: 1080}, []string{"live"}},
		{"-tablet", look{width: 768, height: 1024}, []string{"control"}},
		{"-narrow", look{width: 360, height: 740}, []string{"waiting"}},
		{"-german", look{width: 1280, height: 800, language: "de"}, []string{"control"}},
	} {
		suffix, l := tt.suffix, tt.look
		save := func(p *page, name string) {
			t.Helper()
			if !slices.Contains(tt.names, name) {
				return
			}
			p.eval(`document.fonts.ready.then(() => new Promise((done) => setTimeout(done, 200)))`)
			data := p.screenshot()
			if len(data) > 160<<10 {
				t.Errorf("%s has %d bytes, want at most 160 KiB", name, len(data))
			}
			if err := os.WriteFile(filepath.Join(dir, "join-"+name+suffix+".png"), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		h := newHouse(t)
		h.site(t, nil)
		s := h.start(t, everybody)
		late := h.start(t, agentAndSupervisor)
		expired := h.joinURL(t, late, annPID)
		// What is seen until the script has had its first answer.
		blocked := b.person(t).open(expired, look{width: l.width, height: l.height, dark: l.dark, language: l.language, block: "*/api/v2/*"})
		save(blocked, "fresh")
		agent := b.person(t).open(h.joinURL(t, s, annPID), l)
		agent.screen("waiting")
		save(agent, "waiting")
		customer := h.share(t, s)
		customer.send(map[string]any{"t": "page", "url": "https://shop.example/checkout", "title": "Checkout"})
		b.person(t).open(h.joinURL(t, s, benPID), l).screen("live")
		agent.screen("live")
		customer.full(site.first())
		agent.wait(`document.body.dataset.view === "picture" && document.querySelectorAll("#peers .here").length === 3`)
		customer.send(map[string]any{"t": "ptr", "x": 300, "y": 260, "id": site.id("#city"), "fx": 0.4, "fy": 0.5})
		agent.wait(`document.querySelector("#marks .pointer")`)
		save(agent, "live")
		customer.send(map[string]any{"t": "focus", "e": 1, "id": site.id("#card"), "masked": true})
		agent.wait(`!document.querySelector("#marks .private").hidden`)
		save(agent, "private")
		customer.send(map[string]any{"t": "focus", "e": 1, "id": site.id("#card"), "masked": false})
		agent.ask("draw")
		customer.allow("draw")
		agent.wait(`!document.getElementById("drawTools").hidden`)
		agent.ask("control")
		agent.ask("navigate")
		customer.allow("control")
		agent.wait(`document.body.hasAttribute("data-control")`)
		agent.eval(`document.getElementById("catcher").focus()`)
		save(agent, "control")
		agent.click("#delivery")
		agent.wait(`!document.getElementById("chooser").hidden`)
		save(agent, "choose")
		agent.key("Escape", 27)
		agent.eval(`document.getElementById("pen").click()`)
		agent.draw([][2]float64{{700, 225}, {760, 214}, {900, 216}, {938, 270}, {910, 375}, {800, 392}, {700, 380}, {682, 300}, {690, 240}, {704, 222}})
		save(agent, "drawing")
		agent.eval(`document.getElementById("pen").click()`)
		if slices.Contains(tt.names, "free") {
			agent.eval(`document.getElementById("look").click()`)
			x, y := agent.at("#city")
			agent.mouse("mouseWheel", x, y, map[string]any{"deltaX": 0, "deltaY": 120})
			agent.wait(picture + `.defaultView.scrollY > 0`)
			save(agent, "free")
			agent.eval(`document.getElementById("look").click()`)
		}
		customer.send(map[string]any{"t": "pause", "on": true, "why": "customer"})
		agent.screen("paused")
		save(agent, "paused")
		agent.eval(`document.getElementById("exit").click()`)
		agent.wait(`document.getElementById("confirm").open`)
		save(agent, "confirm")
		agent.eval(`document.getElementById("confirmYes").click()`)
		agent.screen("ended")
		save(agent, "ended")
		h.advance(16 * time.Minute)
		save(b.person(t).open(expired, l), "expired")
	}
}
