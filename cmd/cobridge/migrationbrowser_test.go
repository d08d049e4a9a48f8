package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/devtools"
	"github.com/cobridge/cobridge/bridge/testenv"
)

// oldPage is a page with the old snippet.
const oldPage = `<!doctype html><html lang="en"><head><title>Checkout</title><link rel="icon" href="data:,">
<script>
(function (doc, id, cfg) {
  if (doc.getElementById(id)) return;
  var el = doc.createElement('script');
  el.id = id; el.src = cfg.src; el.setAttribute('data-gcb-url', cfg.app);
  doc.head.appendChild(el);
})(document, 'genesys-js', {src: '%[1]s/cobrowse/js/gcb.min.js', app: '%[1]s/cobrowse'});
</script></head><body><h1>Checkout</h1>
<input id="name" aria-label="Name"><input id="password" type="password" aria-label="Password"><input id="iban" aria-label="IBAN">
</body></html>`

// What docs/migration.md says to do by hand in two browsers, by the drop-in profile:
// an agent who types the digits into slave.html sees what is typed, as with the old
// product, and neither passwords nor what the DOM restrictions mask.
func TestMigrationByHand(t *testing.T) {
	t.Parallel()
	chromium := testenv.Need(t, testenv.Chromium)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	dir := t.TempDir()
	base := "http://" + freeAddress(t)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, oldPage, base)
	}))
	t.Cleanup(shop.Close)
	origin := strings.Replace(shop.URL, "127.0.0.1", "shop.localhost", 1)
	profile := strings.NewReplacer("https://cob.example", base, "https://shop.example", origin).Replace(yamlBlocks(readMigration(t))[0])
	for _, name := range []string{"desk", "reports", "import"} {
		writeFile(t, dir, name+".secret", strings.Repeat(name, 20))
	}
	restrictions := writeFile(t, dir, "domrestrictions.xml", `<domRestrictions><restrictionsSet>
<uriTemplate type="regexp" pattern="`+regexp.QuoteMeta(origin)+`/checkout.*"/><dataMasking><element selector="#iban"/></dataMasking>
</restrictionsSet></domRestrictions>`)
	p := start(t, "serve", "--config", writeFile(t, dir, "cobridge.yaml", profile), "--listen", strings.TrimPrefix(base, "http://"), "--admin-listen", "127.0.0.1:0",
		"--store", "bolt:"+filepath.Join(dir, "cobridge.db"), "--legacy-dom-restrictions-source", restrictions)
	p.until(t, "listening")

	browser, err := devtools.Start(ctx, chromium)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = browser.Close() })
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	open := func(address string) *devtools.Page {
		t.Helper()
		person, err := browser.NewPerson(ctx)
		do(err)
		page, err := person.Open(ctx, address, devtools.View{})
		do(err)
		return page
	}
	fill := func(page *devtools.Page, selector, text string) {
		t.Helper()
		_, err := page.Eval(ctx, `document.querySelector("`+selector+`").focus()`)
		do(err)
		do(page.Type(ctx, text))
	}
	customer := open(origin + "/checkout")
	do(customer.Press(ctx, "Co-browsing"))
	do(pressUntil(ctx, customer, "Yes", `Cobridge.state === "asking"`))
	do(pressUntil(ctx, customer, "Allow", `["waiting", "live"].includes(Cobridge.state)`))
	digits := regexp.MustCompile(`Token: (\d{9}) `).FindStringSubmatch(p.until(t, "Session created. Token: "))
	if digits == nil {
		t.Fatal("the log line has no digits")
	}
	agent := open(base + "/cobrowse/slave.html")
	do(agent.Wait(ctx, `document.querySelector("#digits") && !document.querySelector("#form").hidden`))
	fill(agent, "#digits", digits[1])
	do(agent.Press(ctx, "Join"))
	const picture = `document.querySelector("#picture .slot:last-child iframe").contentDocument`
	do(agent.Wait(ctx, picture+`.querySelector("h1").textContent === "Checkout"`))

	fill(customer, "#password", "planted-password")
	fill(customer, "#iban", "planted-iban")
	fill(customer, "#name", "Kim Customer")
	do(agent.Wait(ctx, picture+`.querySelector("#name").value === "Kim Customer"`))
	seen, err := agent.Eval(ctx, `[...`+picture+`.querySelectorAll("input")].map((e) => e.value).join() + `+picture+`.documentElement.outerHTML`)
	do(err)
	if text, _ := seen.(string); !strings.HasPrefix(text, "Kim Customer,••••••••,••••••••") || strings.Contains(text, "planted") {
		t.Errorf("the agent sees %s, want the name and two masks", text)
	}
}

// pressUntil presses a button until something is true: a question that has just
// appeared does not heed clicks that were meant for something else.
func pressUntil(ctx context.Context, page *devtools.Page, button, condition string) error {
	try := func(do func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return do(ctx)
	}
	for {
		pressed := try(func(ctx context.Context) error { return page.Press(ctx, button) })
		came := try(func(ctx context.Context) error { return page.Wait(ctx, condition) })
		if came == nil {
			return nil
		}
		if ctx.Err() != nil {
			return errors.Join(pressed, came)
		}
	}
}
