package live_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/cobrowse/client/live"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

const shop = "https://shop.example"

// checkout is a page with fields of every kind.
var checkout = live.Page{URL: shop + "/checkout?basket=4711", HTML: `<!doctype html><title>Checkout</title>
<h1>Checkout</h1><p id="total">Total <b>12 EUR</b></p>
<form action="/pay">
<label>Name <input name="name" id="name" value="Kim"></label>
<label>Voucher <input name="voucher" data-cb-show></label>
<label>Password <input type="password" id="password" value="open sesame"></label>
<label>Card <input id="card" autocomplete="cc-number" data-cb-show value="4111111111111111"></label>
<label><input type="checkbox" name="gift"> A gift</label>
<select name="country" data-cb-show><option value="de">Germany</option><option value="at">Austria</option></select>
<textarea name="note">Ring twice</textarea>
<button>Pay</button>
</form>
<p data-cb-mask id="iban">DE02 1234</p><div data-cb-block>hidden corner</div>
<a href="/cart?secret=1">Cart</a> <a id="elsewhere" href="https://elsewhere.example/">Elsewhere</a><ul id="list"></ul>`}

var cart = live.Page{URL: shop + "/cart", HTML: `<title>Cart</title><h1>Your cart</h1><input name="coupon">`}

// house is a service on a loopback port.
type house struct {
	*client.Client
	base string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Demo(config.DemoOptions{Listen: ln.Addr().String(), Store: "bolt:" + filepath.Join(t.TempDir(), "store.db"), Now: time.Now()})
	app, err := bridge.Open(t.Context(), cfg, bridge.Options{Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Clock: time.Now, Version: "test"})
	if err != nil {
		_ = ln.Close()
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, ln, nil) }()
	h := &house{base: app.BaseURL()}
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
		if err := app.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	if h.Client, err = client.New(client.Options{BaseURL: h.base, ClientID: config.DemoClientID, ClientSecret: config.DemoClientSecret}); err != nil {
		t.Fatal(err)
	}
	return h
}

// session starts one in which a customer shares, with everything allowed.
func (h *house) session(t *testing.T, change ...func(*client.NewDeployment)) client.Session {
	t.Helper()
	yes := true
	d := client.NewDeployment{Name: "Shop", AllowedOrigins: []string{shop}, AllowAgentControl: true, AllowAgentNavigation: true, AllowDraw: true}
	for _, f := range change {
		f(&d)
	}
	deployment, err := h.CreateDeployment(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	s, err := h.CreateSession(t.Context(), client.NewSession{
		ConversationID: config.DemoConversationID, DeploymentID: deployment.ID, Settings: &client.NewSettings{AllowRemoteControl: &yes},
		Participants: []client.Invite{{Role: "customer", Name: "Kim Customer"}, {UserID: config.DemoAgentID, Role: "agent"}, {UserID: config.DemoSupervisorID, Role: "supervisor"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func joinURL(t *testing.T, s client.Session, role string) string {
	t.Helper()
	for _, p := range s.Participants {
		if p.Role == role {
			return p.JoinURL
		}
	}
	t.Fatalf("nobody is the %s", role)
	return ""
}

// events collects what is told.
type events struct {
	mu  sync.Mutex
	all []live.Event
}

func (e *events) add(one live.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, one)
}

func (e *events) count(fits func(live.Event) bool) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, one := range e.all {
		if fits(one) {
			n++
		}
	}
	return n
}

// pair lets a sharer and an agent in and waits for the first picture.
func (h *house) pair(t *testing.T, s client.Session, page live.Page, change ...func(*live.Options)) (*live.Sharer, *live.Viewer, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	o := live.Options{JoinURL: joinURL(t, s, "customer"), Decide: func(live.Request) bool { return true }}
	for _, f := range change {
		f(&o)
	}
	sharer, err := live.Share(ctx, o, page)
	if err != nil {
		t.Fatalf("Share: %v", err)
	}
	t.Cleanup(sharer.Close)
	viewer, err := live.View(ctx, live.Options{JoinURL: joinURL(t, s, "agent")})
	if err != nil {
		t.Fatalf("View: %v", err)
	}
	t.Cleanup(viewer.Close)
	if _, err := viewer.WaitPicture(ctx, func(live.Picture) bool { return true }); err != nil {
		t.Fatalf("the first picture: %v", err)
	}
	return sharer, viewer, ctx
}
