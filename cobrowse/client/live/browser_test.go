package live_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/devtools"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/cobrowse/client/live"
)

// browserPatience is longer: a browser has to start.
const browserPatience = 60 * time.Second

// startBrowser returns what opens an address for somebody.
func startBrowser(t *testing.T) (context.Context, func(address string) *devtools.Page) {
	t.Helper()
	chromium := testenv.Need(t, testenv.Chromium)
	ctx, cancel := context.WithTimeout(t.Context(), browserPatience)
	browser, err := devtools.Start(ctx, chromium)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = browser.Close()
		cancel()
	})
	return ctx, func(address string) *devtools.Page {
		t.Helper()
		person, err := browser.NewPerson(ctx)
		if err != nil {
			t.Fatal(err)
		}
		page, err := person.Open(ctx, address, devtools.View{})
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
}

// shown is the picture in the viewer's page.
const shown = `document.querySelector("#picture .slot:last-child iframe").contentDocument`

// An agent in a browser sees the page of the sharer in Go, and fills a field of it.
func TestBrowserSeesSharer(t *testing.T) {
	t.Parallel()
	ctx, open := startBrowser(t)
	h := newHouse(t)
	s := h.session(t)
	sharer, err := live.Share(ctx, live.Options{JoinURL: joinURL(t, s, "customer"), Decide: func(live.Request) bool { return true }}, checkout)
	if err != nil {
		t.Fatal(err)
	}
	defer sharer.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	agent := open(joinURL(t, s, "agent"))
	must(agent.Wait(ctx, shown+`.querySelector("h1").textContent === "Checkout"`))
	must(sharer.Set("voucher", "QUIET10"))
	must(sharer.Set("name", "Kim Customer"))
	must(sharer.Set("country", "Austria"))
	must(sharer.Set("gift", "true"))
	must(sharer.Text("#total", "Total 9 EUR"))
	must(sharer.Append("#list", "<li>Tea</li>"))
	must(agent.Wait(ctx, shown+`.querySelector("#list").textContent === "Tea"`))
	got, err := agent.Eval(ctx, `[...`+shown+`.querySelectorAll("input,textarea,select")].map((e) => e.type === "checkbox" ? e.checked : e.value).join("|") + "|" + `+shown+`.querySelector("#total").textContent`)
	must(err)
	const mask = live.Mask
	if want := strings.Join([]string{mask, "QUIET10", mask, mask, "true", "Austria", mask, "Total 9 EUR"}, "|"); got != want {
		t.Errorf("the browser shows %v, want %s", got, want)
	}
	inside, err := agent.Eval(ctx, shown+`.documentElement.outerHTML`)
	must(err)
	for _, secret := range []string{"open sesame", "4111", "DE02", "hidden corner", "secret=1", "Kim Customer"} {
		if strings.Contains(fmt.Sprint(inside), secret) {
			t.Errorf("the browser has %q", secret)
		}
	}
	// Control: the agent clicks into the field in the picture and types.
	_, err = agent.Eval(ctx, `(document.querySelector("#ask-control").click(), true)`)
	must(err)
	must(agent.Wait(ctx, `document.body.hasAttribute("data-control")`))
	place, err := agent.Eval(ctx, `(() => {
		const frame = document.querySelector("#picture .slot:last-child iframe");
		const field = frame.contentDocument.querySelector("[name=voucher]").getBoundingClientRect();
		const outer = frame.getBoundingClientRect();
		const scale = outer.width / frame.offsetWidth;
		return [outer.left + (field.left + field.width / 2) * scale, outer.top + (field.top + field.height / 2) * scale].join();
	})()`)
	must(err)
	var x, y float64
	if _, err := fmt.Sscanf(fmt.Sprint(place), "%g,%g", &x, &y); err != nil {
		t.Fatalf("the field is at %v: %v", place, err)
	}
	must(agent.Click(ctx, x, y))
	must(agent.Type(ctx, "-2"))
	must(sharer.WaitValue(ctx, "voucher", "QUIET10-2"))
	must(agent.Wait(ctx, shown+`.querySelector("[name=voucher]").value === "QUIET10-2"`))
	// Another page, and the end.
	must(sharer.Navigate(cart))
	must(agent.Wait(ctx, shown+`.querySelector("h1").textContent === "Your cart"`))
	must(sharer.End(ctx))
	must(agent.Wait(ctx, `document.body.dataset.screen === "ended"`))
}

// What the scripted sharer lets out of a page is what the customer's script lets out
// of it, whatever the rules.
func TestSharersAgree(t *testing.T) {
	t.Parallel()
	ctx, open := startBrowser(t)
	h := newHouse(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const page = `<!doctype html><html lang="en"><head><title>Account</title><link rel="icon" href="data:,"></head><body>
<h1 title="Kim's account" data-owner="4711" data-kind="private">Account of Kim</h1><p data-cb-mask>DE02 <b>1234</b></p><div data-cb-block>corner</div>
<p contenteditable="true">a note</p><a href="/cart?secret=1">Cart</a><p class="price">12 EUR</p>
<form action="/pay"><input name="name" value="Kim"><input id="shown" data-cb-show value="seen" placeholder="A code">
<input type="password" id="password" value="open sesame" data-cb-show><input id="card" autocomplete="billing cc-number" data-cb-show value="4111"><input type="hidden" name="csrf" value="token">
<input type="checkbox" name="gift" checked><input type="radio" name="way" value="a"><input type="radio" name="way" value="b" checked data-cb-mask>
<input type="date" name="born" value="1980-01-02"><input type="number" name="age" value="44" data-cb-show><input type="submit" value="Pay"><input type="button" value="Help" data-cb-mask>
<textarea name="note">Ring twice</textarea><textarea id="open" data-cb-show>In the garden</textarea>
<select name="secret"><option>One</option><option selected>Two</option></select><select id="country" data-cb-show><option value="de">Germany</option><option value="at" selected>Austria</option></select></form>
%s</body></html>`
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, page, fmt.Sprintf(`<script src="%s/cobrowse/js/cobridge.js" data-deployment="%s" async></script>`, h.base, strings.TrimPrefix(r.URL.Path, "/")))
	}))
	defer site.Close()
	for name, rules := range map[string]client.NewDeployment{
		"no rules": {},
		"private":  {TextMode: "private", ShowSelectors: []string{"h1", "[name=note]"}},
		"rules": {
			MaskSelectors: []string{"h1", ".price"}, BlockSelectors: []string{"a"}, ShowSelectors: []string{"form > input", "select"}, NeverShowSelectors: []string{"[name=name]"},
			PageRules: []client.PageRule{{URLPattern: ".*", MaskSelectors: []string{"#shown"}}, {URLPattern: "https://elsewhere.example/.*", MaskSelectors: []string{"#country"}}},
		},
	} {
		rules.Name, rules.AllowedOrigins = name, []string{site.URL}
		deployment, err := h.CreateDeployment(ctx, rules)
		must(err)
		look := func(attached client.Session) (live.Picture, string) {
			t.Helper()
			viewer, err := live.View(ctx, live.Options{JoinURL: joinURL(t, attached, "agent")})
			must(err)
			defer viewer.Close()
			p, err := viewer.WaitPicture(ctx, func(p live.Picture) bool { return len(p.Fields) > 0 })
			must(err)
			outline := viewer.Outline()
			must(viewer.End(ctx))
			p.Epoch, p.Width, p.Height = 0, 0, 0
			return p, outline
		}
		customer := open(site.URL + "/" + deployment.ID)
		must(customer.Wait(ctx, `window.Cobridge?.state === "off"`))
		_, err = customer.Eval(ctx, `(Cobridge.start().then((s) => { window.digits = s.sessionToken; }), true)`)
		must(err)
		must(customer.Press(ctx, "Allow"))
		must(customer.Wait(ctx, `window.digits?.length === 9`))
		digits, err := customer.Eval(ctx, `digits`)
		must(err)
		agent := client.Invite{UserID: config.DemoAgentID, Role: "agent"}
		attached, err := h.Attach(ctx, client.Attachment{SessionToken: fmt.Sprint(digits), ConversationID: config.DemoConversationID, Participant: agent})
		must(err)
		want, outline := look(attached)
		outline = strings.TrimSuffix(outline, "div class=\"rr-block\"\n") // the script's own panel

		started, err := h.StartFromPage(ctx, deployment.ID, site.URL, "Kim")
		must(err)
		sharer, err := live.Share(ctx, live.Options{JoinURL: started.JoinURL}, live.Page{URL: site.URL + "/" + deployment.ID, HTML: fmt.Sprintf(page, "")})
		must(err)
		attached, err = h.Attach(ctx, client.Attachment{SessionToken: started.SessionToken, ConversationID: config.DemoConversationID, Participant: agent})
		must(err)
		got, scripted := look(attached)
		if diff := cmp.Diff(want, got) + cmp.Diff(strings.Split(outline, "\n"), strings.Split(scripted, "\n")); diff != "" {
			t.Errorf("%s: the picture of the scripted sharer is another one (-script +scripted):\n%s", name, diff)
		}
		sharer.Close()
	}
}

// The agent in Go sees the page of a customer in a browser, asks for control and
// fills a field in it.
func TestViewerSeesBrowser(t *testing.T) {
	t.Parallel()
	ctx, open := startBrowser(t)
	h := newHouse(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var deployment client.Deployment
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><title>Order</title><link rel="icon" href="data:,"><h1>Your order</h1>
<label>Name <input id="name" data-cb-show></label><label>Password <input id="password" type="password" value="open sesame"></label><p id="out"></p>
<script>document.querySelector("#name").addEventListener("input", (e) => { document.querySelector("#out").textContent = "Hello " + e.target.value; });</script>
<script src="%s/cobrowse/js/cobridge.js" data-deployment="%s" async></script>`, h.base, deployment.ID)
	}))
	defer site.Close()
	var err error
	deployment, err = h.CreateDeployment(ctx, client.NewDeployment{Name: "Site", AllowedOrigins: []string{site.URL}, AllowAgentControl: true})
	must(err)
	customer := open(site.URL)
	must(customer.Wait(ctx, `window.Cobridge?.state === "off"`))
	_, err = customer.Eval(ctx, `(Cobridge.start({name: "Kim Customer"}).then((s) => { window.digits = s.sessionToken; }), true)`)
	must(err)
	must(customer.Press(ctx, "Allow"))
	must(customer.Wait(ctx, `window.digits?.length === 9`))
	digits, err := customer.Eval(ctx, `digits`)
	must(err)
	attached, err := h.Attach(ctx, client.Attachment{SessionToken: fmt.Sprint(digits), ConversationID: config.DemoConversationID, Participant: client.Invite{UserID: config.DemoAgentID, Role: "agent"}})
	must(err)
	yes := true
	_, err = h.UpdateSession(ctx, attached.ID, client.NewSettings{AllowRemoteControl: &yes})
	must(err)
	viewer, err := live.View(ctx, live.Options{JoinURL: joinURL(t, attached, "agent")})
	must(err)
	defer viewer.Close()
	must(viewer.WaitText(ctx, "Your order"))
	p := viewer.Picture()
	if f, ok := p.Field("password"); !ok || !f.Masked || p.Title != "Order" || p.URL != site.URL+"/" {
		t.Errorf("the picture is %+v", p)
	}
	asked := make(chan error, 1)
	go func() { asked <- viewer.Ask(ctx, live.Control) }()
	// The question does not heed a click that was meant for something else.
	for over := false; !over; {
		try, cancel := context.WithTimeout(ctx, time.Second)
		_ = customer.Press(try, "Allow")
		cancel()
		select {
		case err := <-asked:
			must(err)
			over = true
		case <-ctx.Done():
			t.Fatal("nobody was let control the page")
		case <-time.After(100 * time.Millisecond):
		}
	}
	must(viewer.Fill(ctx, "name", "Ada"))
	must(customer.Wait(ctx, `document.querySelector("#name").value === "Ada"`))
	must(viewer.WaitText(ctx, "Hello Ada"))
	if f, _ := viewer.Picture().Field("name"); f.Value != "Ada" {
		t.Errorf("the field shows %+v", f)
	}
	must(viewer.End(ctx))
	must(customer.Wait(ctx, `Cobridge.state === "ended"`))
}
