package pages_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/cobrowse"
)

// The document of the picture, and what stands in it.
const (
	picture  = `document.querySelector("#picture .slot:last-child iframe").contentDocument`
	isShown  = `document.body.dataset.view === "picture"`
	headline = `document.getElementById("veilHead").textContent`
)

func TestViewer(t *testing.T) {
	t.Parallel()
	b := startChrome(t)
	for name, story := range map[string]func(*testing.T, *chrome){
		"the picture follows the page":      storyOfAPicture,
		"control is asked for and used":     storyOfControl,
		"what is refused is said":           storyOfRefusals,
		"the keyboard alone, in control":    storyOfKeysInControl,
		"pointers, drawings, navigation":    storyOfPointers,
		"looking around":                    storyOfLookingAround,
		"pauses and absences":               storyOfPauses,
		"news while the viewer is away":     storyOfAnAbsentViewer,
		"a picture that breaks":             storyOfABrokenPicture,
		"a page of quirks":                  storyOfQuirks,
		"images come from named sites only": storyOfAssetOrigins,
		"the tab is hidden":                 storyOfAHiddenTab,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, b)
		})
	}
}

// stage is a session with a picture in the agent's browser.
type stage struct {
	*house
	session  cobrowse.Session
	customer *sharer
	agent    *page
	site     *recording
}

func newStage(t *testing.T, b *chrome, html string) *stage {
	t.Helper()
	g := &stage{house: newHouse(t), site: b.record(t, html, look{width: 1180, height: 760})}
	g.house.site(t, nil)
	g.session = g.start(t, everybody)
	g.agent = b.person(t).open(g.joinURL(t, g.session, annPID), look{})
	g.agent.screen("waiting")
	g.customer = g.share(t, g.session)
	g.agent.screen("live")
	g.customer.full(g.site.first())
	g.agent.wait(isShown)
	g.site.more()
	return g
}

// forward sends what was recorded since.
func (g *stage) forward() {
	g.customer.t.Helper()
	if events := g.site.more(); len(events) > 0 {
		g.customer.ev("", events...)
	}
}

// grant lets the agent do something.
func (g *stage) grant(kind string) {
	g.agent.t.Helper()
	g.agent.ask(kind)
	g.customer.allow(kind)
	g.agent.wait(`document.querySelector("#grants [data-kind=` + kind + `]").dataset.state === "granted"`)
}

// ctl waits for an action of the viewer and answers it.
func (g *stage) ctl(kind string, answer map[string]any) map[string]any {
	g.agent.t.Helper()
	f := g.customer.wait("ctl", func(f map[string]any) bool { return f["k"] == kind && f["answered"] == nil })
	f["answered"] = true
	done := map[string]any{"t": "done", "to": f["from"], "n": f["n"], "ok": true, "path": "#x"}
	maps.Copy(done, answer)
	g.customer.send(done)
	return f
}

func storyOfAPicture(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	g.customer.send(map[string]any{"t": "page", "url": "https://shop.example/checkout", "title": "Checkout"})
	agent.wait(`document.querySelector(".where").innerText.replace(/\s+/g, " ") === "Page of Kim Customer shop.example/checkout Checkout"`)
	if got := agent.eval(`document.querySelectorAll(".where a").length`); got != 0.0 {
		t.Errorf("the address is a link")
	}
	want := g.site.eval(`document.body.innerText.replace(/\s+/g, " ")`)
	if got := agent.eval(picture + `.body.innerText.replace(/\s+/g, " ")`); got != want {
		t.Errorf("picture = %q, want %q", got, want)
	}
	frame := `document.querySelector("#picture iframe")`
	if got := agent.eval(frame + `.getAttribute("sandbox") + " " + ` + frame + `.inert + " " + ` + frame + `.tabIndex`); got != "allow-same-origin true -1" {
		t.Errorf("frame = %v", got)
	}
	// The whole viewport of the sharer fits, at its own proportions.
	if got := agent.eval(`(() => { const c = document.getElementById("canvas").getBoundingClientRect(), v = document.getElementById("view").getBoundingClientRect();
		return c.width <= v.width + 1 && c.height <= v.height + 1 && Math.abs(c.width / c.height - 1180 / 760) < 0.01; })()`); got != true {
		t.Error("the picture does not fit")
	}
	// What is typed and what changes.
	g.site.eval(`document.getElementById("city").focus()`)
	for _, key := range "Bremen" {
		g.site.call("Input.insertText", map[string]any{"text": string(key)})
		g.forward()
	}
	agent.wait(picture + `.getElementById("city").value === "Bremen"`)
	if got := agent.eval(`document.activeElement.tagName`); got != "BODY" {
		t.Errorf("focus went to %v", got)
	}
	g.site.eval(`(() => { const p = document.createElement("p"); p.id = "new"; p.textContent = "Added"; document.querySelector("aside").append(p); scrollTo(0, 300); })()`)
	g.forward()
	agent.wait(picture + `.getElementById("new")?.textContent === "Added"`)
	agent.wait(picture + `.defaultView.scrollY === 300`)
	// Late comers see the same.
	supervisor := b.person(t).open(g.joinURL(t, g.session, benPID), look{})
	supervisor.wait(isShown + ` && ` + picture + `.getElementById("new")?.textContent === "Added" && ` + picture + `.getElementById("city").value === "Bremen"`)
	if got := supervisor.eval(`document.getElementById("doing").hidden`); got != true {
		t.Error("a supervisor is offered to ask for something")
	}
	// A private field.
	g.customer.send(map[string]any{"t": "focus", "e": 1, "id": g.site.id("#card"), "masked": true})
	agent.wait(`!document.querySelector("#marks .private").hidden && document.getElementById("aside").textContent.includes("private field")`)
	// Another page: the old picture stays until the new one is built.
	g.site.eval(`document.body.textContent = "Thank you"`)
	g.customer.load(b.record(t, `<!doctype html><title>Thanks</title><h1>Thank you</h1>`, look{width: 800, height: 600}).first())
	agent.wait(picture + `.body.innerText.trim() === "Thank you" && document.querySelectorAll("#picture .slot").length === 1`)
	if got := agent.eval(`document.querySelector("#marks .private").hidden && document.getElementById("aside").hidden`); got != true {
		t.Error("the private field outlived its page")
	}
	agent.wait(`Math.abs(document.getElementById("canvas").offsetWidth / document.getElementById("canvas").offsetHeight - 4 / 3) < 0.01`)
	// A reload of the viewer changes nothing.
	agent.reload()
	agent.wait(isShown + ` && ` + picture + `.body.innerText.trim() === "Thank you"`)
	// A gap is mended.
	g.customer.s++
	g.customer.ev("", map[string]any{"type": 3, "data": map[string]any{"source": 3, "id": 1, "x": 0, "y": 0}, "timestamp": 1})
	g.customer.wait("need")
	agent.exit()
	agent.screen("ended")
	if got := agent.eval(`document.querySelectorAll("iframe").length`); got != 0.0 {
		t.Error("the picture is there after the end")
	}
	agent.quiet(g.base)
	supervisor.quiet(g.base)
}

func storyOfControl(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	// Looking only: nothing that is clicked or typed goes anywhere.
	agent.click("#city")
	agent.key("a", 65)
	g.grant("control")
	if got := g.customer.all("ctl"); len(got) > 0 {
		t.Errorf("without a grant %v was sent", got)
	}
	agent.click("#city")
	f := g.ctl("click", nil)
	if int(f["id"].(float64)) != g.site.id("#city") || f["e"] != 1.0 || f["name"] != "Ada Agent" {
		t.Errorf("click = %v, want one on %d", f, g.site.id("#city"))
	}
	agent.call("Input.insertText", map[string]any{"text": "Bre"})
	f = g.ctl("text", nil)
	if f["v"] != "Bre" || int(f["id"].(float64)) != g.site.id("#city") {
		t.Errorf("text = %v", f)
	}
	agent.key("Backspace", 8)
	if f = g.ctl("key", nil); f["key"] != "Backspace" {
		t.Errorf("key = %v", f)
	}
	// A list of options is chosen from here.
	agent.click("#delivery")
	agent.wait(`!document.getElementById("chooser").hidden && document.activeElement.localName === "select"`)
	if got := agent.eval(`[...document.activeElement.options].map((o) => o.textContent).join()`); got != "Standard, 3 days,Express, tomorrow,Collect in the shop" {
		t.Errorf("options = %v", got)
	}
	agent.key("ArrowDown", 40)
	agent.key("Enter", 13)
	if f = g.ctl("set", nil); f["v"] != "#1" || int(f["id"].(float64)) != g.site.id("#delivery") {
		t.Errorf("choice = %v", f)
	}
	agent.click("#date")
	agent.wait(`document.activeElement.type === "date"`)
	agent.eval(`document.activeElement.value = "2026-04-05"`)
	agent.eval(`document.querySelector("#chooser .primary").click()`)
	f = g.customer.wait("ctl", func(f map[string]any) bool { return f["v"] == "2026-04-05" })
	if int(f["id"].(float64)) != g.site.id("#date") {
		t.Errorf("date = %v", f)
	}
	agent.click("#gift")
	g.ctl("click", nil)
	// The wheel scrolls the customer's page, to a place.
	x, y := agent.at("#form")
	agent.mouse("mouseWheel", x, y, map[string]any{"deltaX": 0, "deltaY": 240})
	if f = g.ctl("scroll", nil); f["y"] != 240.0 || f["id"] == nil {
		t.Errorf("scroll = %v", f)
	}
	// So does a finger.
	for i, kind := range []string{"pointerdown", "pointermove", "pointerup"} {
		agent.eval(fmt.Sprintf(`document.getElementById("overlay").dispatchEvent(new PointerEvent(%q, { pointerType: "touch", button: 0, clientX: %f, clientY: %f, bubbles: true, cancelable: true }))`,
			kind, x, y-float64(100*i)))
	}
	if f = g.ctl("scroll", nil); f["y"].(float64) < 250 {
		t.Errorf("a finger scrolled to %v, want farther", f)
	}
	// Escape outside of the picture gives control back.
	agent.eval(`document.getElementById("look").focus()`)
	agent.key("Escape", 27)
	agent.wait(`document.querySelector("#grants [data-kind=control]").dataset.state === "idle"`)
	g.customer.wait("grants", func(f map[string]any) bool { return len(f["list"].([]any)) == 0 })
	// The customer takes it as well.
	g.grant("control")
	g.customer.send(map[string]any{"t": "revoke", "kind": "control"})
	agent.wait(`!document.body.hasAttribute("data-control") && document.getElementById("spoken").textContent === "You are not in control any more."`)
	agent.quiet(g.base)
}

func storyOfRefusals(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	agent.ask("control")
	question := g.customer.wait("ask")
	if got := agent.eval(`document.getElementById("ask-control").disabled && document.getElementById("state-control").textContent`); got != "Kim Customer is being asked …" {
		t.Errorf("state = %v", got)
	}
	g.customer.send(map[string]any{"t": "consent", "kind": "control", "ok": false, "to": question["from"], "n": question["n"]})
	agent.wait(`document.getElementById("state-control").textContent === "Kim Customer has declined"`)
	agent.ask("control") // at once
	agent.wait(`document.getElementById("state-control").textContent === "Not now: Kim Customer is being asked, or has just declined"`)
	g.advance(15 * time.Second)
	agent.ask("control")
	second := g.customer.wait("ask", func(f map[string]any) bool { return f["n"] != question["n"] })
	g.customer.send(map[string]any{"t": "consent", "kind": "control", "ok": true, "to": second["from"], "n": second["n"]})
	agent.wait(`document.body.hasAttribute("data-control")`)
	for why, want := range map[string]string{
		"stale": "the page has changed meanwhile", "gone": "that place is no longer there", "masked": "this is private", "readonly": "this cannot be changed",
		"submit": "only the customer may send this", "offsite": "that leads to another site", "unsafe": "that is not safe", "denied": "that is not allowed",
		"busy": "somebody is typing there, or too much at once", "error": "that did not work",
	} {
		agent.click("#go")
		g.ctl("click", map[string]any{"ok": false, "why": why})
		agent.wait(fmt.Sprintf(`document.getElementById("refusal").textContent === "Click refused: %s"`, want))
	}
	// Of the page before: the server says so itself.
	g.customer.load(g.site.first())
	agent.wait(`document.querySelectorAll("#picture .slot").length === 1`)
	agent.quiet(g.base)
}

func storyOfKeysInControl(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	focused := func(want string) {
		t.Helper()
		agent.wait(`document.activeElement.id === "` + want + `"`)
	}
	tab := func(want string) {
		t.Helper()
		agent.key("Tab", 9)
		focused(want)
	}
	agent.key("Tab", 9) // the link that skips
	tab("look")
	tab("overlay")
	if got := agent.eval(`document.activeElement.getAttribute("aria-label")`); got != "Shared page. You look only." {
		t.Errorf("label = %v", got)
	}
	tab("ask-control")
	agent.key("Enter", 13)
	g.customer.allow("control")
	agent.wait(`document.body.hasAttribute("data-control")`)
	agent.eval(`document.getElementById("look").focus()`)
	tab("catcher")
	// From here on keys are the customer's.
	agent.key("Tab", 9)
	if f := g.ctl("key", nil); f["key"] != "Tab" || f["id"] != nil {
		t.Errorf("key = %v", f)
	}
	focused("catcher")
	g.site.eval(`document.getElementById("first").focus()`)
	g.forward()
	agent.call("Input.insertText", map[string]any{"text": "ö"})
	if f := g.ctl("text", nil); f["v"] != "ö" {
		t.Errorf("text = %v", f)
	}
	agent.key("Escape", 27)
	if f := g.ctl("key", nil); f["key"] != "Escape" {
		t.Errorf("key = %v", f)
	}
	if got := agent.eval(`document.body.hasAttribute("data-control")`); got != true {
		t.Error("Escape inside of the picture gave control back")
	}
	if got := agent.eval(`getComputedStyle(document.getElementById("keysHint")).display !== "none" && document.getElementById("keysHint").textContent`); got != "Your keys go to the shared page. F6 leaves it." {
		t.Errorf("hint = %v", got)
	}
	agent.key("F6", 117)
	focused("ask-control")
	agent.key("Escape", 27)
	agent.wait(`!document.body.hasAttribute("data-control")`)
	agent.quiet(g.base)
}

func storyOfPointers(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	supervisor := b.person(t).open(g.joinURL(t, g.session, benPID), look{width: 1000, height: 700})
	supervisor.wait(isShown)
	g.customer.send(map[string]any{"t": "ptr", "x": 5, "y": 5, "id": g.site.id("#go"), "fx": 0.5, "fy": 0.5})
	// The node counts, not the coordinates; in every viewer at its own scale.
	for _, p := range []*page{agent, supervisor} {
		p.wait(`document.querySelector(".pointer[data-tone=customer] span")?.textContent === "Kim Customer"`)
		x, y := p.at("#go")
		p.wait(fmt.Sprintf(`(() => { const box = document.querySelector(".pointer[data-tone=customer]").getBoundingClientRect();
			return Math.hypot(box.left - %f, box.top - %f) < 3; })()`, x, y))
	}
	x, y := agent.at("#city")
	agent.mouse("mouseMoved", x, y, nil)
	f := g.customer.wait("ptr", func(f map[string]any) bool { return f["id"] != nil && int(f["id"].(float64)) == g.site.id("#city") })
	if fx := f["fx"].(float64); fx < 0.45 || fx > 0.55 {
		t.Errorf("pointer = %v, want the middle", f)
	}
	agent.click("#go")
	g.customer.wait("ptr", func(f map[string]any) bool { return f["down"] == true })
	supervisor.wait(`document.querySelector(".pointer[data-tone=agent] span")?.textContent === "Ada Agent"`)

	g.grant("draw")
	agent.eval(`document.getElementById("pen").click()`)
	agent.draw([][2]float64{{300, 300}, {360, 320}, {420, 380}})
	for _, k := range []string{"begin", "pts", "end"} {
		g.customer.wait("draw", func(f map[string]any) bool { return f["k"] == k })
	}
	for _, p := range []*page{agent, supervisor} {
		p.wait(`document.querySelector("#ink polyline")?.points.numberOfItems >= 2`)
	}
	agent.eval(`document.getElementById("wipe").click()`)
	for _, p := range []*page{agent, supervisor} {
		p.wait(`!document.querySelector("#ink polyline")`)
	}
	if got := g.customer.all("ctl"); len(got) > 0 {
		t.Errorf("drawing sent %v", got)
	}

	g.grant("navigate")
	for _, k := range []string{"back", "forward", "reload"} {
		agent.eval(`document.getElementById("` + k + `").click()`)
		g.ctl(k, nil)
	}
	agent.eval(`document.getElementById("address").focus()`)
	agent.call("Input.insertText", map[string]any{"text": "/basket"})
	agent.key("Enter", 13)
	if f := g.ctl("goto", map[string]any{"ok": false, "why": "offsite"}); f["url"] != "/basket" {
		t.Errorf("goto = %v", f)
	}
	agent.wait(`document.getElementById("refusal").textContent === "Navigation refused: that leads to another site"`)
	agent.quiet(g.base)
	supervisor.quiet(g.base)
}

func storyOfLookingAround(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	agent.eval(`document.getElementById("look").click()`)
	agent.wait(`!document.getElementById("freeMark").hidden && document.getElementById("scale").textContent === "100 %"`)
	x, y := agent.at("#city")
	agent.mouse("mouseWheel", x, y, map[string]any{"deltaX": 0, "deltaY": 200})
	agent.wait(picture + `.defaultView.scrollY === 200`)
	// The sharer's scrolling is not followed, but its changes are.
	g.site.eval(`scrollTo(0, 60); document.querySelector("h1").textContent = "Changed"`)
	g.forward()
	agent.wait(picture + `.querySelector("h1").textContent === "Changed"`)
	agent.eval(`document.getElementById("overlay").focus()`)
	agent.key("ArrowDown", 40)
	agent.wait(picture + `.defaultView.scrollY === 260`)
	if got := append(g.customer.all("ctl"), g.customer.all("scroll")...); len(got) > 0 {
		t.Errorf("looking around sent %v", got)
	}
	agent.eval(`document.getElementById("look").click()`)
	agent.wait(picture + `.defaultView.scrollY === 60 && document.getElementById("freeMark").hidden`)
	agent.quiet(g.base)
}

func storyOfPauses(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	for why, want := range map[string]string{"customer": "Kim Customer has paused sharing", "page": "This page is not shared"} {
		g.customer.send(map[string]any{"t": "pause", "on": true, "why": why})
		agent.screen("paused")
		agent.wait(headline + ` === "` + want + `" && !document.getElementById("veil").hidden`)
		// The picture of the round before may be on its way still.
		agent.wait(picture + `.querySelector("h1")?.textContent === "Checkout"`)
		g.customer.send(map[string]any{"t": "pause", "on": false, "why": why})
		g.customer.full(g.site.first())
		agent.screen("live")
		agent.wait(`document.getElementById("veil").hidden`)
	}
	g.customer.send(map[string]any{"t": "vis", "hidden": true})
	agent.wait(headline + ` === "Kim Customer is looking at another tab or window"`)
	g.customer.send(map[string]any{"t": "vis", "hidden": false})
	agent.wait(`document.getElementById("veil").hidden`)
	_ = g.customer.conn.Close()
	agent.screen("reconnecting")
	agent.wait(headline + ` === "The connection to Kim Customer is interrupted" && ` + isShown)
	agent.quiet(g.base)
}

// What the sharer told before the viewer lost its connection need not be true any more.
func storyOfAnAbsentViewer(t *testing.T, b *chrome) {
	network := newProxy(t)
	direct := ""
	h := newHouse(t, func(c *config.Config) {
		c.BaseURL = network.base()
		network.lead(c.Listen)
		direct = "http://" + c.Listen
	})
	h.site(t, nil)
	s := h.start(t, everybody)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	agent.screen("waiting")
	h.base = direct
	customer := h.share(t, s)
	site := b.record(t, shop, look{width: 1180, height: 760})
	customer.full(site.first())
	agent.wait(isShown)
	card := site.id("#card")
	customer.send(map[string]any{"t": "focus", "e": 1, "id": card, "masked": true})
	customer.send(map[string]any{"t": "vis", "hidden": true})
	agent.wait(headline + ` === "Kim Customer is looking at another tab or window" && !document.getElementById("aside").hidden`)
	network.breakdown(true)
	agent.screen("reconnecting")
	customer.send(map[string]any{"t": "focus", "e": 1, "id": card, "masked": false})
	customer.send(map[string]any{"t": "vis", "hidden": false})
	network.breakdown(false)
	agent.screen("live")
	agent.wait(`document.getElementById("veil").hidden`)
	agent.wait(`document.getElementById("aside").hidden && document.querySelector("#marks .private").hidden`)
	// What still holds is told again.
	customer.send(map[string]any{"t": "focus", "e": 1, "id": card, "masked": true})
	agent.wait(`!document.getElementById("aside").hidden`)
	network.breakdown(true)
	agent.screen("reconnecting")
	network.breakdown(false)
	agent.screen("live")
	agent.wait(`!document.getElementById("aside").hidden && !document.querySelector("#marks .private").hidden`)
}

// What the replayer throws at is shown as such, and mended by the next full frame.
func storyOfABrokenPicture(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	missing := make([]any, 0, 30)
	for i := range 30 {
		missing = append(missing, map[string]any{"type": 3, "timestamp": 1, "data": map[string]any{
			"source": 0, "adds": []any{}, "removes": []any{map[string]any{"id": 70_000 + i, "parentId": 1}}, "texts": []any{}, "attributes": []any{},
		}})
	}
	g.customer.ev("", map[string]any{"type": 3, "timestamp": 1, "data": map[string]any{
		"source": 0, "adds": []any{map[string]any{"parentId": g.site.id("aside"), "nextId": nil, "node": map[string]any{"type": 3, "id": 9000, "textContent": "x"}}}, "removes": []any{}, "texts": []any{}, "attributes": []any{},
	}})
	agent.wait(picture + `.querySelector("aside").textContent.endsWith("x")`)
	g.customer.ev("", missing...)
	// The server has the same frames still, and gives them again until the page is another one.
	agent.wait(`!document.getElementById("veil").hidden && ["Catching up", "The page cannot be shown"].includes(` + headline + `)`)
	g.customer.load(g.site.first())
	agent.wait(`document.getElementById("veil").hidden && !` + picture + `.querySelector("aside").textContent.endsWith("x")`)
	// A page that cannot be built at all.
	root := map[string]any{"type": 2, "id": 5, "tagName": "html", "attributes": map[string]any{}, "childNodes": []any{}}
	g.customer.load([]any{
		map[string]any{"type": 4, "data": map[string]any{"href": "javascript:alert(1)", "width": 10, "height": 10}, "timestamp": 1},
		map[string]any{"type": 2, "data": map[string]any{"node": root, "initialOffset": map[string]any{}}, "timestamp": 1},
	})
	agent.wait(`!document.getElementById("veil").hidden`)
	g.customer.load(g.site.first())
	agent.wait(`document.getElementById("veil").hidden`)
	// What is thrown in an animation frame shows up at the window alone.
	agent.eval(`(() => { document.querySelector("#picture iframe").old = true; dispatchEvent(new ErrorEvent("error", { filename: location.origin + "/x.js" })); })()`)
	agent.wait(`document.querySelectorAll("#picture iframe").length === 1 && !document.querySelector("#picture iframe").old && ` + picture + `.querySelector("h1").textContent === "Checkout"`)
	agent.quiet(g.base)
}

// Pages without a doctype are laid out as they were, under Trusted Types as well.
func storyOfQuirks(t *testing.T, b *chrome) {
	g := newStage(t, b, `<title>Old</title><body style="font-size: 30px"><table><tr><td id="cell">Old</td></tr></table>`)
	if got := g.site.eval(`document.compatMode`); got != "BackCompat" {
		t.Fatalf("the page is in %v", got)
	}
	if got := g.agent.eval(picture + `.compatMode`); got != "BackCompat" {
		t.Errorf("the picture is in %v", got)
	}
	// The frame's policy writes nothing else.
	for _, text := range []string{"<p>x", "<!DOCTYPE html><p>", `<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.0 Transitional//EN" ""><script>`} {
		if got, err := g.agent.try(`(() => { try { ` + picture + `.write(` + fmt.Sprintf("%q", text) + `); return "written"; } catch (e) { return e.name; } })()`); err != nil || got != "TypeError" {
			t.Errorf("write(%q) = %v, %v, want a TypeError", text, got, err)
		}
	}
	if got, err := g.agent.try(`(() => { try { document.body.innerHTML = "x"; return "written"; } catch (e) { return e.name; } })()`); err != nil || got != "TypeError" {
		t.Errorf("innerHTML = %v, %v, want a TypeError", got, err)
	}
}

func storyOfAHiddenTab(t *testing.T, b *chrome) {
	g := newStage(t, b, shop)
	agent := g.agent
	agent.eval(`(() => { let hidden = true; Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
		window.show = () => { hidden = false; document.dispatchEvent(new Event("visibilitychange")); };
		document.dispatchEvent(new Event("visibilitychange")); window.count = 0;
		WebSocket.prototype.send = new Proxy(WebSocket.prototype.send, { apply(f, self, args) { window.last = args[0]; return Reflect.apply(f, self, args); } }); })()`)
	for i := range 20 {
		g.site.eval(fmt.Sprintf(`document.querySelector("h1").textContent = "%d"`, i))
		g.forward()
	}
	agent.eval(`window.show()`)
	agent.wait(picture + `.querySelector("h1").textContent === "19"`)
	agent.quiet(g.base)
}

// The policy of the page names the sites of the session, also where the page came
// without the token: then it loads once more.
func storyOfAssetOrigins(t *testing.T, b *chrome) {
	beacon := newBeacon(t)
	var port string
	h := newHouse(t, func(c *config.Config) {
		_, port, _ = strings.Cut(c.Listen, ":")
		c.ViewerBaseURL = "http://viewer.localhost:" + port
	})
	d := h.site(t, func(d *cobrowse.Deployment) { d.Rules.AssetOrigins = []string{beacon.base} })
	if len(d.Rules.AssetOrigins) != 1 {
		t.Fatalf("origins = %v", d.Rules.AssetOrigins)
	}
	s := h.start(t, everybody)
	agent := b.person(t).open(h.joinURL(t, s, annPID), look{})
	agent.screen("waiting")
	if got, want := agent.eval(`location.href`), strings.Replace(h.address(s), h.base, "http://viewer.localhost:"+port, 1); !sameQuery(got.(string), want) {
		t.Errorf("address = %v, want %v", got, want)
	}
	customer := h.share(t, s)
	agent.screen("live")
	customer.full(b.record(t, `<!doctype html><img src="`+beacon.base+`/allowed.png"><img src="`+strings.Replace(beacon.base, "127.0.0.1", "localhost", 1)+`/refused.png"><style>body { background: url(`+beacon.base+`/allowed-by-style.png) }</style>`, look{}).first())
	agent.wait(isShown + ` && ` + picture + `.images[0].complete && ` + picture + `.images[1].complete`)
	agent.wait(picture + `.images[0].naturalWidth === 1`)
	agent.eval(`new Promise((done) => setTimeout(done, 200))`)
	if got := beacon.from("viewer"); len(got) != 1 || got[0] != "/allowed.png" {
		t.Errorf("requests of the viewer = %v, want the one for /allowed.png", got)
	}
	if got := beacon.from("leak"); len(got) > 0 {
		t.Errorf("requests for %v tell which session it is", got)
	}
}
