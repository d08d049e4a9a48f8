package live_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

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
