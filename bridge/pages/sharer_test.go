package pages_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/cobrowse"
)

const shopOrigin = "https://shop.example"

// site makes a deployment that every customer's session gets from then on.
func (h *house) site(t *testing.T, change func(*cobrowse.Deployment)) cobrowse.Deployment {
	t.Helper()
	d := cobrowse.Deployment{
		OrgID: org, Name: "Shop", AllowedOrigins: []string{shopOrigin}, DefaultFor: []cobrowse.Role{cobrowse.RoleCustomer},
		Rules: cobrowse.SharingRules{AllowAgentControl: true, AllowAgentNavigation: true, AllowDraw: true},
	}
	if change != nil {
		change(&d)
	}
	d, err := h.Cobrowse().CreateDeployment(t.Context(), d)
	if err != nil {
		t.Fatalf("CreateDeployment: %v", err)
	}
	return d
}

// sharer is the customer's side of a session as a program plays it: it can send
// what no script of ours would.
type sharer struct {
	t    *testing.T
	conn *websocket.Conn
	e, s int

	mu     sync.Mutex
	frames []map[string]any // those that came
	came   chan struct{}    // closed and replaced with each one
}

// share connects as a session's sharer and agrees to sharing.
func (h *house) share(t *testing.T, s cobrowse.Session) *sharer {
	t.Helper()
	address := strings.Replace(h.base, "http", "ws", 1) + "/api/v2/cobrowse/sessions/" + string(s.ID) + "/stream"
	conn, response, err := (&websocket.Dialer{HandshakeTimeout: patience, Subprotocols: []string{"cobridge.v1"}}).DialContext(t.Context(), address, nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	_ = response.Body.Close()
	p := &sharer{t: t, conn: conn, e: 1, came: make(chan struct{})}
	var reading sync.WaitGroup
	reading.Go(p.read)
	t.Cleanup(func() {
		_ = conn.Close()
		reading.Wait()
	})
	p.send(map[string]any{"t": "hello", "v": 1, "token": h.token(t, s, s.Sharer()), "tab": "one", "epoch": 1, "vw": 1180, "vh": 760})
	p.wait("welcome")
	p.send(map[string]any{"t": "consent", "kind": "sharing", "ok": true, "text": "test"})
	return p
}

func (p *sharer) read() {
	for {
		var frame map[string]any
		if err := p.conn.ReadJSON(&frame); err != nil {
			return
		}
		p.mu.Lock()
		p.frames = append(p.frames, frame)
		close(p.came)
		p.came = make(chan struct{})
		p.mu.Unlock()
	}
}

// send sends a frame; its member t stands first, as the protocol wants it.
func (p *sharer) send(frame map[string]any) {
	p.t.Helper()
	rest := maps.Clone(frame)
	delete(rest, "t")
	data, err := json.Marshal(rest)
	if err == nil {
		head := fmt.Sprintf(`{"t":%q,`, frame["t"])
		err = p.conn.WriteMessage(websocket.TextMessage, append([]byte(head), data[1:]...))
	}
	if err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// ev sends events as one frame.
func (p *sharer) ev(kind string, events ...any) {
	p.t.Helper()
	p.s++
	batch, err := json.Marshal(events)
	if err != nil {
		p.t.Fatal(err)
	}
	if kind != "" {
		kind = `"k":"` + kind + `",`
	}
	frame := fmt.Sprintf(`{"t":"ev","e":%d,"s":%d,"c":1732200000000,%s"b":%s}`, p.e, p.s, kind, batch)
	if err := p.conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// full sends a page as a full frame: what Meta and FullSnapshot hold.
func (p *sharer) full(events []any) {
	p.t.Helper()
	p.ev("full", events...)
}

// load is what a page load does: a new epoch.
func (p *sharer) load(events []any) {
	p.t.Helper()
	p.e++
	p.s = 0
	p.full(events)
}

// wait returns the newest frame of a kind, as soon as there is one that fits.
func (p *sharer) wait(kind string, fits ...func(map[string]any) bool) map[string]any {
	p.t.Helper()
	deadline := time.After(patience)
	for {
		p.mu.Lock()
		came := p.came
		for _, frame := range slices.Backward(p.frames) {
			if frame["t"] == kind && (len(fits) == 0 || fits[0](frame)) {
				p.mu.Unlock()
				return frame
			}
		}
		p.mu.Unlock()
		select {
		case <-came:
		case <-deadline:
			p.t.Fatalf("no frame %s came; there are %v and %v", kind, p.kinds(), p.all("err"))
		}
	}
}

func (p *sharer) kinds() []any {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []any
	for _, frame := range p.frames {
		all = append(all, frame["t"])
	}
	return all
}

// all returns the frames of a kind.
func (p *sharer) all(kind string) []map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.frames), func(f map[string]any) bool { return f["t"] != kind })
}

// allow agrees to what somebody asked for.
func (p *sharer) allow(kind string) {
	p.t.Helper()
	question := p.wait("ask", func(f map[string]any) bool { return f["kind"] == kind && f["answered"] == nil })
	question["answered"] = true
	p.send(map[string]any{"t": "consent", "kind": kind, "ok": true, "to": question["from"], "n": question["n"], "text": "test"})
}

// recording is a page in the browser whose events are recorded by the same
// recorder that the customer's script has.
type recording struct{ *page }

// record opens a page with the given body and starts recording.
func (b *chrome) record(t *testing.T, html string, l look) *recording {
	t.Helper()
	script, err := os.ReadFile("../../cobrowse/webui/third_party/rrweb/record.js")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/record.js":
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(script)
		case "/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte(html + `<script type="module">
				import { record } from '/record.js';
				window.events = [];
				record({ emit: (e) => window.events.push(e), maskAllInputs: false, slimDOMOptions: 'all', sampling: { scroll: 0 } });
				window.idOf = (selector) => record.mirror.getId(document.querySelector(selector));
			</script>`))
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(server.Close)
	r := &recording{b.person(t).open(server.URL+"/", l)}
	r.wait(`window.events?.some((e) => e.type === 2)`)
	return r
}

// first returns Meta and FullSnapshot of the page as it was at first.
func (r *recording) first() []any {
	r.t.Helper()
	return r.events(`window.opening ??= window.events.filter((e) => e.type === 2 || e.type === 4)`)
}

// more returns the events since the last call.
func (r *recording) more() []any {
	r.t.Helper()
	return r.events(`new Promise((done) => setTimeout(() => done(window.events.splice(0).filter((e) => e.type === 3)), 60))`)
}

func (r *recording) events(expression string) []any {
	r.t.Helper()
	events, ok := r.eval(expression).([]any)
	if !ok {
		r.t.Fatalf("%s is no list", expression)
	}
	return events
}

// id returns the recorder's id of an element.
func (r *recording) id(selector string) int {
	r.t.Helper()
	id, ok := r.eval(`window.idOf("` + selector + `")`).(float64)
	if !ok || id < 1 {
		r.t.Fatalf("%s has no id", selector)
	}
	return int(id)
}

// shop is a page that is shared in tests and pictures.
const shop = `<!doctype html><html lang="en"><head><title>Checkout</title><style>
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #20242c; background: #f6f4ef; }
header { display: flex; gap: 24px; align-items: center; padding: 18px 40px; background: #243b35; color: #fff; }
header b { font-size: 20px; } header span { opacity: .8 }
main { display: grid; grid-template-columns: 1fr 320px; gap: 32px; padding: 32px 40px; }
h1 { margin: 0 0 16px; font-size: 28px; }
form, aside { background: #fff; border-radius: 14px; padding: 24px; box-shadow: 0 1px 3px #0002; }
label { display: block; margin-bottom: 14px; font-weight: 600; font-size: 14px; }
input, select { display: block; box-sizing: border-box; width: 100%; margin-top: 4px; padding: 10px 12px; font: inherit; font-weight: 400; border: 1px solid #bbb5a8; border-radius: 8px; background: #fff; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; }
button { padding: 12px 22px; font: inherit; font-weight: 600; color: #fff; background: #b4541a; border: 0; border-radius: 10px; }
aside p { display: flex; justify-content: space-between; margin: 8px 0; } .long { height: 900px; }
</style></head><body>
<header><b>Quiet Rooms</b><span>Lamps</span><span>Mugs</span><span>Blankets</span></header>
<main><form id="form"><h1>Checkout</h1>
<div class="two"><label>First name<input id="first" value="Kim"></label><label>City<input id="city" value=""></label></div>
<label>Delivery<select id="delivery"><option value="a">Standard, 3 days</option><option value="b">Express, tomorrow</option><option value="c">Collect in the shop</option></select></label>
<div class="two"><label>Card number<input id="card" value="••••••••"></label><label>Wanted on<input id="date" type="date" value="2026-03-02"></label></div>
<label><input id="gift" type="checkbox" style="display:inline;width:auto"> Wrap it as a gift</label>
<button type="button" id="go">Continue</button></form>
<aside><h2>Your basket</h2><p><span>Desk lamp</span><b>89.00</b></p><p><span>Mug, two of them</span><b>28.00</b></p><p><span>Delivery</span><b>4.90</b></p><p><b>Total</b><b>121.90</b></p></aside></main>
<div class="long"></div><p id="end">The end</p></body></html>`

// ask presses the button that asks for something.
func (p *page) ask(kind string) {
	p.t.Helper()
	p.eval(`document.getElementById("ask-` + kind + `").click()`)
}

// mouse sends a real event of the mouse at a place of the window.
func (p *page) mouse(kind string, x, y float64, more map[string]any) {
	p.t.Helper()
	event := map[string]any{"type": kind, "x": x, "y": y}
	if kind != "mouseMoved" && kind != "mouseWheel" {
		event["button"], event["clickCount"] = "left", 1
	}
	maps.Copy(event, more)
	p.call("Input.dispatchMouseEvent", event)
}

// draw drags the mouse along places of the window.
func (p *page) draw(points [][2]float64) {
	p.t.Helper()
	p.mouse("mousePressed", points[0][0], points[0][1], nil)
	for _, point := range points[1:] {
		p.mouse("mouseMoved", point[0], point[1], map[string]any{"button": "left", "buttons": 1})
	}
	last := points[len(points)-1]
	p.mouse("mouseReleased", last[0], last[1], nil)
}

// at returns where the middle of an element of the picture is in the window.
func (p *page) at(selector string) (x, y float64) {
	p.t.Helper()
	place, ok := p.eval(`(() => {
		const frame = document.querySelector("#picture .slot:last-child iframe");
		const outer = frame.getBoundingClientRect();
		const scale = outer.width / frame.offsetWidth;
		const box = frame.contentDocument.querySelector("` + selector + `").getBoundingClientRect();
		return [outer.left + (box.left + box.width / 2) * scale, outer.top + (box.top + box.height / 2) * scale];
	})()`).([]any)
	if !ok || len(place) != 2 {
		p.t.Fatalf("%s is nowhere", selector)
	}
	return place[0].(float64), place[1].(float64)
}

// click clicks an element of the picture.
func (p *page) click(selector string) {
	p.t.Helper()
	x, y := p.at(selector)
	p.mouse("mouseMoved", x, y, nil)
	p.mouse("mousePressed", x, y, nil)
	p.mouse("mouseReleased", x, y, nil)
}
