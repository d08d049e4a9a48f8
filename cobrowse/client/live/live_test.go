package live_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/cobrowse/client/live"
)

// What the customer's script would mask is masked, and the rest is seen.
func TestPicture(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.session(t)
	sharer, viewer, ctx := h.pair(t, s, checkout)
	p, err := viewer.WaitPicture(ctx, func(p live.Picture) bool { return p.Title != "" })
	if err != nil {
		t.Fatal(err)
	}
	if p.URL != shop+"/checkout" || p.Title != "Checkout" || p.Width != 1280 {
		t.Errorf("the page is %s, %q, %d wide", p.URL, p.Title, p.Width)
	}
	if !strings.Contains(p.Text, "Total 12 EUR\n") || strings.Contains(p.Text, "DE02") || strings.Contains(p.Text, "hidden corner") {
		t.Errorf("the text is %q", p.Text)
	}
	want := []live.Field{
		{Name: "name", Type: "text", Masked: true, Selector: "#name"},
		{Name: "voucher", Type: "text", Selector: "html>body>form>label:nth-of-type(2)>input"},
		{Name: "password", Type: "password", Masked: true, Selector: "#password"},
		{Name: "card", Type: "text", Masked: true, Selector: "#card"},
		{Name: "gift", Type: "checkbox", Selector: "html>body>form>label:nth-of-type(5)>input"},
		{Name: "country", Type: "select", Value: "Germany", Selector: "html>body>form>select"},
		{Name: "note", Type: "textarea", Masked: true, Selector: "html>body>form>textarea"},
	}
	if diff := cmp.Diff(want, p.Fields); diff != "" {
		t.Errorf("the fields (-want +got):\n%s", diff)
	}
	// What the customer does.
	for _, set := range [][2]string{{"voucher", "QUIET10"}, {"#name", "Kim Customer"}, {"gift", "true"}, {"country", "Austria"}, {"password", ""}} {
		if err := sharer.Set(set[0], set[1]); err != nil {
			t.Errorf("Set %q: %v", set, err)
		}
	}
	for _, err := range []error{sharer.Text("#total", "Total 9 EUR"), sharer.Append("#list", "<li>First</li><li>Second <input name=more value=secret></li>"), sharer.Scroll(0, 120)} {
		if err != nil {
			t.Error(err)
		}
	}
	p, err = viewer.WaitPicture(ctx, func(p live.Picture) bool { return p.Top == 120 })
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) live.Field {
		f, ok := p.Field(name)
		if !ok {
			t.Errorf("there is no field %q", name)
		}
		return f
	}
	if field("voucher").Value != "QUIET10" || !field("name").Masked || !field("gift").Checked || field("country").Value != "Austria" || field("password").Masked || !field("more").Masked {
		t.Errorf("the fields are %+v", p.Fields)
	}
	if !strings.Contains(p.Text, "Total 9 EUR") || strings.Contains(p.Text, "12 EUR") || !strings.Contains(p.Text, "First\nSecond") {
		t.Errorf("the text is %q", p.Text)
	}
	// Another page, and the record of both.
	if err := sharer.Navigate(cart); err != nil {
		t.Fatal(err)
	}
	if p, err = viewer.WaitPicture(ctx, func(p live.Picture) bool { return p.Title == "Cart" && strings.Contains(p.Text, "Your cart") }); err != nil || p.URL != cart.URL || p.Epoch < 2 {
		t.Errorf("the other page is %+v (%v)", p, err)
	}
	// A pause shows nothing.
	if err := sharer.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := viewer.WaitState(ctx, "paused"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sharer.Set("coupon", "x"), sharer.Append("body", "<p>meanwhile</p>"), sharer.Resume()); err != nil {
		t.Fatal(err)
	}
	if err := viewer.WaitText(ctx, "meanwhile"); err != nil {
		t.Error(err)
	}
	if err := viewer.End(ctx); err != nil {
		t.Errorf("End = %v", err)
	}
	<-sharer.Done()
	if ended, ok := errors.AsType[*live.EndedError](sharer.Err()); !ok || ended.Why == "" {
		t.Errorf("the sharer ends with %v, want an end reason", sharer.Err())
	}
	record, err := h.HistoryRecord(t.Context(), s.ID)
	if err != nil || len(record.Pages) < 2 || record.Pages[0].URL != shop+"/checkout" {
		t.Errorf("the record has the pages %+v (%v)", record.Pages, err)
	}
}

// A viewer acts as far as it is let, and is told why not.
func TestControl(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.session(t)
	var seen events
	allow := true
	sharer, viewer, ctx := h.pair(t, s, checkout, func(o *live.Options) {
		o.OnEvent = seen.add
		o.Decide = func(r live.Request) bool { return allow && r.Role == "agent" && r.Name == "Ada Agent" }
		o.Site = func(url string) (live.Page, bool) { return cart, strings.HasPrefix(url, cart.URL) }
	})
	refused := func(why string, err error) {
		t.Helper()
		if r, ok := errors.AsType[*live.RefusedError](err); !ok || r.Why != why {
			t.Errorf("%v, want refused: %s", err, why)
		}
	}
	done := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	holds := func(field, want string) {
		t.Helper()
		if got, err := sharer.Value(field); err != nil || got != want {
			t.Errorf("%s holds %q (%v), want %q", field, got, err, want)
		}
	}
	refused("denied", viewer.Fill(ctx, "name", "x"))
	done(viewer.Ask(ctx, live.Control))
	done(viewer.Fill(ctx, "name", "Kim Customer"))
	holds("name", "Kim Customer")
	done(viewer.Type(ctx, "name", " junior"))
	done(viewer.Press(ctx, "name", "Backspace"))
	holds("name", "Kim Customer junio")
	done(viewer.Click(ctx, "gift"))
	holds("gift", "true")
	done(viewer.Fill(ctx, "country", "#1"))
	holds("country", "at")
	done(viewer.Fill(ctx, "textarea", "Ring once"))
	holds("note", "Ring once")
	done(viewer.Scroll(ctx, 0, 40))
	refused("masked", viewer.Fill(ctx, "password", "x"))
	refused("masked", viewer.Click(ctx, "#card"))
	refused("masked", viewer.Click(ctx, "#iban"))
	refused("submit", viewer.Click(ctx, "button"))
	refused("offsite", viewer.Click(ctx, "#elsewhere"))
	refused("denied", viewer.Goto(ctx, "/cart"))

	done(viewer.Ask(ctx, live.Navigate))
	done(viewer.Goto(ctx, "/cart"))
	done(viewer.WaitText(ctx, "Your cart"))
	done(viewer.Back(ctx))
	done(viewer.WaitText(ctx, "Checkout"))
	refused("unsafe", viewer.Goto(ctx, "javascript:alert(1)"))
	done(sharer.Allow(live.Draw, config.DemoAgentID))
	done(viewer.WaitGrant(ctx, live.Draw, true))
	done(viewer.Draw("#d00", [2]int{1, 2}, [2]int{3, 4}))
	done(viewer.Point(7, 8))

	done(sharer.Revoke(""))
	done(viewer.WaitGrant(ctx, live.Control, false))
	refused("denied", viewer.Fill(ctx, "name", "x"))
	allow = false
	refused("declined", viewer.Ask(ctx, live.Control))
	done(sharer.Allow(live.Control, config.DemoAgentID))
	done(viewer.WaitGrant(ctx, live.Control, true))
	done(viewer.Fill(ctx, "name", "y"))
	done(viewer.GiveBack(live.Control))
	done(viewer.WaitGrant(ctx, live.Control, false))

	done(sharer.End(ctx))
	if n := seen.count(func(e live.Event) bool {
		return e.Kind == live.EventAction && e.OK && e.What == "set" && e.Path == "#name"
	}); n != 2 {
		t.Errorf("the sharer was told of %d fillings of the name, want 2", n)
	}
	if n := seen.count(func(e live.Event) bool { return e.Kind == live.EventPointer }); n == 0 {
		t.Errorf("the sharer was told of no pointer and no line")
	}
	record, err := h.HistoryRecord(t.Context(), s.ID)
	if err != nil || len(record.Grants) < 3 || len(record.Actions) < 5 {
		t.Errorf("the record has %d grants and %d actions (%v)", len(record.Grants), len(record.Actions), err)
	}
}

// Both come back after a cut, and nothing is lost that was done meanwhile.
func TestComeBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var seen events
	sharer, viewer, ctx := h.pair(t, h.session(t), checkout, func(o *live.Options) { o.OnEvent = seen.add })
	joined := func(e live.Event) bool { return e.Kind == live.EventJoined }
	epoch := viewer.Picture().Epoch
	viewer.Cut()
	if err := sharer.Set("voucher", "ONE"); err != nil {
		t.Fatal(err)
	}
	is := func(value string) func(live.Picture) bool {
		return func(p live.Picture) bool {
			f, _ := p.Field("voucher")
			return f.Value == value
		}
	}
	if _, err := viewer.WaitPicture(ctx, is("ONE")); err != nil {
		t.Error(err)
	}
	sharer.Cut()
	for _, value := range []string{"TWO", "THREE"} { // also while there is no connection
		if err := sharer.Set("voucher", value); err != nil {
			t.Error(err)
		}
	}
	p, err := viewer.WaitPicture(ctx, is("THREE"))
	if err != nil {
		t.Error(err)
	}
	if p.Epoch != epoch {
		t.Errorf("the picture is of epoch %d, want %d: what was missing was there to be sent again", p.Epoch, epoch)
	}
	if n := seen.count(joined); n != 2 {
		t.Errorf("the sharer has joined %d times, want 2", n)
	}
	// A page that came meanwhile is another epoch.
	sharer.Cut()
	if err := sharer.Navigate(cart); err != nil {
		t.Error(err)
	}
	if err := viewer.WaitText(ctx, "Your cart"); err != nil {
		t.Error(err)
	}
	if err := viewer.Fill(ctx, "coupon", "x"); err == nil {
		t.Errorf("without a grant a field was filled")
	}
}

// The rules of the deployment hold.
func TestRules(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.session(t, func(d *client.NewDeployment) {
		d.TextMode, d.ShowSelectors, d.NeverShowSelectors, d.BlockSelectors = "private", []string{"h1", "form input[name=voucher]", "#name"}, []string{"#name"}, []string{"form > textarea"}
		d.ReadonlySelectors, d.PauseCriteria = []string{"[name=gift]"}, []client.PauseCriterion{{URLFragment: "/cart", Condition: "Includes"}}
	})
	sharer, viewer, ctx := h.pair(t, s, checkout)
	if err := errors.Join(sharer.Set("voucher", "V"), sharer.Set("name", "N"), sharer.Scroll(0, 1)); err != nil {
		t.Fatal(err)
	}
	p, err := viewer.WaitPicture(ctx, func(p live.Picture) bool { return p.Top == 1 })
	if err != nil {
		t.Fatal(err)
	}
	voucher, _ := p.Field("voucher")
	name, _ := p.Field("name")
	if _, ok := p.Field("note"); ok || voucher.Value != "V" || !name.Masked || !strings.HasPrefix(p.Text, "Checkout\n") || strings.Contains(p.Text, "Total") || p.Title != "" && p.Title != "••••" {
		t.Errorf("under the rules the picture is %+v", p)
	}
	if err := viewer.Ask(ctx, live.Control); err != nil {
		t.Fatal(err)
	}
	if r, ok := errors.AsType[*live.RefusedError](viewer.Click(ctx, "gift")); !ok || r.Why != "readonly" {
		t.Errorf("a readonly box is %v, want refused: readonly", r)
	}
	if err := sharer.Navigate(cart); err != nil {
		t.Fatal(err)
	}
	if err := viewer.WaitState(ctx, "paused"); err != nil {
		t.Error(err)
	}
	if err := sharer.Navigate(checkout); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(viewer.WaitState(ctx, "live"), viewer.WaitText(ctx, "Checkout")); err != nil {
		t.Error(err)
	}
}

// Each way in that is closed says why.
func TestRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.session(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	customer, agent := joinURL(t, s, "customer"), joinURL(t, s, "agent")
	code := func(want string, err error) {
		t.Helper()
		if e, ok := errors.AsType[*live.Error](err); !ok || e.Code != want {
			t.Errorf("%v, want %s", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "eyJ") {
			t.Errorf("the error shows a token")
		}
	}
	view := func(o live.Options) error {
		v, err := live.View(ctx, o)
		if err == nil {
			v.Close()
		}
		return err
	}
	code("join.url.invalid", view(live.Options{}))
	code("join.url.invalid", view(live.Options{JoinURL: "https://x.example/"}))
	code("join.token.invalid", view(live.Options{JoinURL: h.base + "/cobrowse/join?token=abc"}))
	code("unreachable", view(live.Options{JoinURL: strings.Replace(agent, h.base, "http://127.0.0.1:9", 1)}))
	code("not.a.viewer", view(live.Options{JoinURL: customer}))
	_, err := live.Share(ctx, live.Options{JoinURL: agent}, checkout)
	code("not.a.sharer", err)
	code("join.token.used", view(live.Options{JoinURL: agent}))
	if _, err := live.Share(ctx, live.Options{JoinURL: customer}, live.Page{URL: "/relative"}); err == nil {
		t.Errorf("a page without an absolute address is shared")
	}
	// With the session's id the token is shown on the stream itself.
	token, err := h.IssueJoinToken(ctx, s.ID, config.DemoAgentID)
	if err != nil {
		t.Fatal(err)
	}
	first, err := live.View(ctx, live.Options{BaseURL: h.base, SessionID: s.ID, Token: token.Token})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	code("notAuthenticated", view(live.Options{BaseURL: h.base, SessionID: s.ID, Token: token.Token}))
	code("not.found", view(live.Options{BaseURL: h.base, SessionID: "nothing", Token: token.Token}))
	// Another connection of the same participant takes the place of the first.
	token, err = h.IssueJoinToken(ctx, s.ID, config.DemoAgentID)
	if err != nil {
		t.Fatal(err)
	}
	second, err := live.View(ctx, live.Options{JoinURL: token.JoinURL})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	<-first.Done()
	code("replaced", first.Err())
	if err := first.Act(); err == nil {
		t.Errorf("after the end a frame is sent")
	}
	// The end that somebody else decides on.
	if err := h.EndSession(ctx, s.ID); err != nil {
		t.Fatal(err)
	}
	<-second.Done()
	if ended, ok := errors.AsType[*live.EndedError](second.Err()); !ok || ended.Why != "ended" {
		t.Errorf("the end is %v, want ended", second.Err())
	}
	if err := second.WaitText(ctx, "x"); err == nil {
		t.Errorf("after the end a text was waited for without an error")
	}
}

// Everything ends with the context.
func TestContext(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := h.session(t)
	ctx, cancel := context.WithCancel(t.Context())
	sharer, err := live.Share(ctx, live.Options{JoinURL: joinURL(t, s, "customer")}, checkout)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Session(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-sharer.Done()
	if !errors.Is(sharer.Err(), context.Canceled) {
		t.Errorf("the end is %v, want the context's", sharer.Err())
	}
	if _, err := sharer.WaitPeer(t.Context(), "agent"); !errors.Is(err, context.Canceled) {
		t.Errorf("WaitPeer = %v, want the context's error", err)
	}
	if _, err := live.View(ctx, live.Options{JoinURL: joinURL(t, s, "agent")}); err == nil {
		t.Errorf("View succeeds with a context that is over")
	}
}
