package pages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
)

const (
	screen = `document.body.dataset.screen`
	title  = `document.getElementById("headline").textContent`
)

func (p *page) screen(want string) {
	p.t.Helper()
	p.wait(screen + ` === "` + want + `"`)
}

// exit presses the exit button and confirms.
func (p *page) exit() {
	p.t.Helper()
	p.eval(`document.getElementById("exit").click()`)
	p.wait(`document.getElementById("confirm").open`)
	p.eval(`document.getElementById("confirmYes").click()`)
}

func TestInBrowser(t *testing.T) {
	t.Parallel()
	b := startChrome(t)
	for name, story := range map[string]func(*testing.T, *chrome){
		"agent waits, supervisor comes, agent ends": storyOfASession,
		"reload keeps the connection":               storyOfAReload,
		"a second tab replaces the first":           storyOfTwoTabs,
		"supervisor leaves and comes back":          storyOfALeave,
		"the session ends elsewhere":                storyOfAnEnd,
		"the link is opened twice":                  storyOfAUsedLink,
		"the link is too old when the page opens":   storyOfAnOldLink,
		"removed by the API":                        storyOfARemoval,
		"the keyboard alone":                        storyOfAKeyboard,
		"input is reported, rarely":                 storyOfInput,
		"the network breaks":                        storyOfALostConnection,
		"German, dark, narrow":                      storyOfAPhone,
		"busy agent":                                storyOfABusyAgent,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, b)
		})
	}
}

func storyOfASession(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	token := h.token(t, s, annPID)
	agent := b.person(t).open(h.base+"/cobrowse/join?token="+token, look{})
	agent.screen("waiting")
	if got, want := agent.eval(`location.href`), h.address(s); got != want {
		t.Errorf("address = %v, want %v", got, want)
	}
	if got := agent.eval(`document.documentElement.outerHTML`).(string); strings.Contains(got, token) {
		t.Error("the token is in the page")
	}
	agent.wait(`document.querySelectorAll("#peers li").length === 2`)
	agent.wait(`document.querySelector("#peers .here .name").textContent === "Ada Agent (you)"`)
	agent.wait(`/^1[45]:\d\d$/.test(document.getElementById("timer").textContent)`)

	supervisor := b.person(t).open(h.joinURL(t, s, benPID), look{})
	for _, p := range []*page{agent, supervisor} {
		p.screen("live")
		p.wait(`document.querySelectorAll("#peers .here").length === 2`)
		if got := p.eval(title); got != "You are connected. The session is live." {
			t.Errorf("headline = %v, want that it is live", got)
		}
	}
	if got := supervisor.eval(`document.cookie + JSON.stringify(sessionStorage)`).(string); strings.Contains(got, "resume") {
		t.Errorf("a script can read the viewer's secret: %s", got)
	}
	if got := supervisor.eval(`document.getElementById("exit").textContent`); got != "Leave session" {
		t.Errorf("the supervisor's exit says %v", got)
	}
	agent.exit()
	for _, p := range []*page{agent, supervisor} {
		p.screen("ended")
		if got := p.eval(`document.getElementById("text").textContent`); got != "The customer or the agent has ended it." {
			t.Errorf("reason = %v", got)
		}
		if got := p.eval(`document.activeElement.id`); got != "headline" {
			t.Errorf("focus is on %v, want the headline", got)
		}
		p.quiet(h.base)
	}
	// The ended session's address answers for itself.
	agent.navigate(h.address(s))
	if got := agent.eval(screen + ` + performance.getEntriesByType("navigation")[0].responseStatus`); got != "ended410" {
		t.Errorf("reload of an ended session: %v, want ended410", got)
	}
	if strings.Contains(h.log.String(), token) {
		t.Error("the log has the token in it")
	}
}

func storyOfAReload(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	supervisor := b.person(t).open(h.joinURL(t, s, benPID), look{})
	for range 3 {
		for _, p := range []*page{agent, supervisor} {
			p.screen("live")
			p.reload()
		}
	}
	agent.screen("live")
	supervisor.screen("live")
	supervisor.wait(`document.querySelectorAll("#peers .here").length === 2`)
	agent.quiet(h.base)
	supervisor.quiet(h.base)
}

func storyOfTwoTabs(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	person := b.person(t)
	first := person.open(h.joinURL(t, s, benPID), look{})
	first.screen("waiting")
	second := person.open(h.joinURL(t, s, benPID), look{})
	second.screen("waiting")
	first.screen("replaced")
	// The first takes over again: the cookie is the browser's.
	first.eval(`document.getElementById("again").click()`)
	first.screen("waiting")
	second.screen("replaced")
	first.quiet(h.base)
	second.quiet(h.base)

	// The sharer's secret belongs to one tab.
	agent := b.person(t)
	one := agent.open(h.joinURL(t, s, annPID), look{})
	one.screen("live")
	agent.open(h.joinURL(t, s, annPID), look{}).screen("live")
	one.screen("replaced")
	if got := one.eval(`document.getElementById("again").hidden`); got != true {
		t.Error("the sharer's old tab offers to take over")
	}
}

func storyOfALeave(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	person := b.person(t)
	supervisor := person.open(h.joinURL(t, s, benPID), look{})
	supervisor.screen("live")
	supervisor.exit()
	supervisor.screen("left")
	agent.wait(`document.querySelectorAll("#peers .here").length === 1`)
	agent.screen("live")
	person.open(h.joinURL(t, s, benPID), look{}).screen("live")
	agent.wait(`document.querySelectorAll("#peers .here").length === 2`)
	// Without a secret the address alone lets nobody in.
	stranger := b.person(t).open(h.address(s), look{})
	stranger.screen("refused")
	if got := stranger.eval(title); got != "This window cannot be connected again" {
		t.Errorf("headline = %v", got)
	}
	stranger.quiet(h.base)
}

func storyOfAnEnd(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, everybody)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	agent.screen("waiting")
	h.advance(21 * time.Minute)
	agent.screen("ended")
	if got := agent.eval(`document.getElementById("text").textContent`); got != "Nobody did anything for too long." {
		t.Errorf("reason = %v", got)
	}
	agent.quiet(h.base)
}

func storyOfAUsedLink(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	link := h.joinURL(t, s, annPID)
	for range 3 { // previews of a link do not burn it
		if got := get(t, link).StatusCode; got != 200 {
			t.Fatalf("GET = %d, want 200", got)
		}
	}
	person := b.person(t)
	person.open(link, look{}).screen("waiting")
	again := b.person(t).open(link, look{})
	again.screen("refused")
	if got := again.eval(title); got != "This join link was used before" {
		t.Errorf("headline = %v", got)
	}
	again.quiet(h.base)
}

// The link is good when the page is served and used by the time its script comes.
func storyOfAnOldLink(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	late := b.person(t).open(h.address(s), look{})
	late.screen("refused")
	// In this order: once it is joined, the session does not outlive the move of the clock.
	for _, head := range []string{"This join link has expired", "This join link was used before"} {
		token := h.token(t, s, annPID)
		if head == "This join link was used before" {
			if _, err := h.Cobrowse().Redeem(t.Context(), token, ""); err != nil {
				t.Fatalf("Redeem: %v", err)
			}
		} else {
			h.advance(16 * time.Minute)
		}
		// The fragment is read by the script alone, as after a hand-over.
		late.call("Page.navigate", map[string]any{"url": "about:blank"})
		late.call("Page.navigate", map[string]any{"url": h.address(s) + "#token=" + token})
		late.wait(title + ` === "` + head + `"`)
	}
	late.quiet(h.base)
}

func storyOfARemoval(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	supervisor := b.person(t).open(h.joinURL(t, s, benPID), look{})
	supervisor.screen("waiting")
	if _, err := h.Cobrowse().RemoveParticipant(t.Context(), org, s.ID, benPID); err != nil {
		t.Fatalf("RemoveParticipant: %v", err)
	}
	supervisor.screen("refused")
	if got := supervisor.eval(title); got != "You were removed from the session" {
		t.Errorf("headline = %v", got)
	}
}

func storyOfAKeyboard(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	agent.screen("waiting")
	focused := func(want string) {
		t.Helper()
		if got := agent.eval(`document.activeElement.id || document.activeElement.className`); got != want {
			t.Errorf("focus is on %v, want %s", got, want)
		}
	}
	agent.key("Tab", 9)
	focused("skip")
	agent.key("Tab", 9)
	focused("exit")
	agent.key("Enter", 13)
	agent.wait(`document.getElementById("confirm").open`)
	focused("confirmNo") // the harmless one
	agent.key("Escape", 27)
	agent.wait(`!document.getElementById("confirm").open`)
	focused("exit")
	agent.key("Enter", 13)
	agent.wait(`document.getElementById("confirm").open`)
	agent.key("Tab", 9)
	focused("confirmYes")
	agent.key("Enter", 13)
	agent.screen("ended")
	agent.quiet(h.base)
}

func storyOfInput(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	b.person(t).open(h.joinURL(t, s, benPID), look{}).screen("live")
	agent.screen("live")
	before, err := h.Cobrowse().Look(t.Context(), s.ID)
	if err != nil {
		t.Fatal(err)
	}
	h.advance(5 * time.Minute) // by the server's clock alone, which the countdown follows after the next welcome
	agent.reload()
	agent.screen("live")
	h.advance(5 * time.Minute)
	agent.eval(`(() => { window.sent = []; const send = WebSocket.prototype.send; WebSocket.prototype.send = function (data) { window.sent.push(data); send.call(this, data); }; })()`)
	for range 5 {
		agent.key("a", 65)
	}
	agent.wait(`window.sent.length > 0`)
	if got := agent.eval(`window.sent.join()`); got != `{"t":"act"}` {
		t.Errorf("five keys sent %v, want one act", got)
	}
	for deadline := time.Now().Add(patience); ; {
		now, err := h.Cobrowse().Look(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		if now.LastActivityAt.Sub(before.LastActivityAt) > 9*time.Minute {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("last activity %s, want ten minutes after %s", now.LastActivityAt, before.LastActivityAt)
		}
	}
	// The deadline moved; the page's idea of the server's clock is five minutes behind by now.
	agent.wait(`/^(19|20):\d\d$/.test(document.getElementById("timer").textContent)`)
}

func storyOfALostConnection(t *testing.T, b *chrome) {
	network := newProxy(t)
	h := newHouse(t, func(c *config.Config) {
		c.BaseURL = network.base()
		network.lead(c.Listen)
	})
	s := h.start(t, agentAndSupervisor)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	supervisor := b.person(t).open(h.joinURL(t, s, benPID), look{})
	for range 2 { // also with the secret of a connection that was repaired
		agent.screen("live")
		supervisor.screen("live")
		network.breakdown(true)
		agent.screen("reconnecting")
		supervisor.screen("reconnecting")
		if got := agent.eval(`document.getElementById("exit").disabled`); got != true {
			t.Error("the exit button works without a connection")
		}
		network.breakdown(false)
	}
	agent.screen("live")
	supervisor.screen("live")
	supervisor.wait(`document.querySelectorAll("#peers .here").length === 2`)

	offline := func(on bool) {
		agent.call("Network.emulateNetworkConditions", map[string]any{"offline": on, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})
	}
	offline(true)
	agent.screen("offline")
	offline(false)
	agent.screen("live")

	// What ended meanwhile is over.
	network.breakdown(true)
	agent.screen("reconnecting")
	h.end(t, s)
	network.breakdown(false)
	agent.screen("ended")
}

func storyOfAPhone(t *testing.T, b *chrome) {
	h := newHouse(t)
	s := h.start(t, agentAndSupervisor)
	phone := b.person(t).open(h.joinURL(t, s, annPID), look{width: 360, height: 740, dark: true, language: "de-AT,de;q=0.9,en;q=0.5"})
	phone.screen("waiting")
	if got := phone.eval(`document.documentElement.lang + " " + ` + title); got != "de Sie sind verbunden. Wir warten auf die anderen." {
		t.Errorf("page = %v, want German", got)
	}
	for _, width := range []int{360, 480, 820, 1280, 1920} {
		phone.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": false})
		if got := phone.eval(`document.documentElement.scrollWidth - document.documentElement.clientWidth`); got != 0.0 {
			t.Errorf("%d pixels wide: the page is %v wider", width, got)
		}
	}
	if got := phone.eval(`getComputedStyle(document.body).backgroundColor`); got != "rgb(16, 21, 29)" {
		t.Errorf("background = %v, want the dark one", got)
	}
	phone.exit()
	phone.screen("ended")
	phone.quiet(h.base)
}

func storyOfABusyAgent(t *testing.T, b *chrome) {
	h := newHouse(t)
	one, two := h.start(t, agentAndSupervisor), h.start(t, agentAndSupervisor)
	first := b.person(t).open(h.joinURL(t, one, annPID), look{})
	first.screen("waiting")
	second := b.person(t).open(h.joinURL(t, two, annPID), look{})
	second.screen("refused")
	if got := second.eval(title); got != "You are still in another session" {
		t.Errorf("headline = %v", got)
	}
	first.exit()
	first.screen("ended")
	second.eval(`document.getElementById("again").click()`)
	second.screen("waiting")
}
