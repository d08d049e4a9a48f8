package maskproof

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/cobridge/cobridge/bridge/devtools"
)

// Config is what a proof needs. All but Elsewhere and Progress are required.
type Config struct {
	Chromium string // path of the browser
	Page     *Page
	PageURL  string // where Page is served: an address whose origin the deployment allows
	// Join is called when the page is shared, and returns the address that lets a
	// viewer in.
	Join func(context.Context) (string, error)
	// Elsewhere returns what was written besides the wire, such as the log and the
	// store, by what it is. It is called at the end.
	Elsewhere func() (map[string][]byte, error)
	Version   string           // of the service, for the report
	Now       func() time.Time // for the report
	Progress  func(string)     // told what is going on
}

// What the customer script's buttons are called in English.
const buttonAllow = "Allow"

// settle is how long a change may take to be on its way: recorders batch, and the
// canvas is looked at twice a second. The report says so.
const settle = 150 * time.Millisecond

// Run proves. It fails when the proof could not be carried out; secrets that were
// found are in the report.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	started := cfg.Now()
	cfg.Progress("starting " + cfg.Chromium)
	browser, err := devtools.Start(ctx, cfg.Chromium)
	if err != nil {
		return Report{}, err
	}
	t := newTap()
	version, err := browser.Version(ctx)
	steps := 0
	if err == nil {
		steps, err = drive(ctx, cfg, browser, t)
	}
	if err = errors.Join(err, browser.Close()); err != nil { //nolint:contextcheck // ctx may have ended
		return Report{}, err
	}
	if cfg.Elsewhere != nil {
		written, err := cfg.Elsewhere()
		if err != nil {
			return Report{}, fmt.Errorf("read what was written: %w", err)
		}
		for _, what := range slices.Sorted(maps.Keys(written)) {
			t.add(what, written[what])
		}
	}
	cfg.Progress("searching")
	r := newReport(cfg, started, steps, t)
	r.Browser = version
	return r, nil
}

// drive shares the page with a viewer and lets things happen on it. It returns how
// many things happened.
func drive(ctx context.Context, cfg Config, browser *devtools.Browser, t *tap) (int, error) {
	customer, err := browser.NewPerson(ctx)
	if err != nil {
		return 0, err
	}
	cfg.Progress("opening the page")
	page, err := customer.Open(ctx, cfg.PageURL, devtools.View{Hear: t.hear(cfg.Page.site, "frames that the customer's page got", sentFrames, sentRequests)})
	if err != nil {
		return 0, err
	}
	if err := share(ctx, page); err != nil {
		return 0, fmt.Errorf("share the page: %w", err)
	}
	address, err := cfg.Join(ctx)
	if err != nil {
		return 0, fmt.Errorf("let the viewer in: %w", err)
	}
	agent, err := browser.NewPerson(ctx)
	if err != nil {
		return 0, err
	}
	cfg.Progress("opening the viewer")
	viewer, err := agent.Open(ctx, address, devtools.View{Hear: t.hear("", viewerFrames, "frames sent by the viewer's browser", viewerRequests)})
	if err != nil {
		return 0, err
	}
	if err := viewer.Wait(ctx, picture+`.includes(`+strconv.Quote(cfg.Page.control)+`)`); err != nil {
		return 0, fmt.Errorf("see the page in the viewer: %w", err)
	}
	cfg.Progress("typing and changing things")
	steps, err := happen(ctx, cfg.Page, page)
	if err != nil {
		return 0, err
	}
	// The last step shows the control again, which is the sign that all came through.
	if err := viewer.Wait(ctx, picture+`.split(`+strconv.Quote(cfg.Page.control)+`).length > 2`); err != nil {
		return 0, fmt.Errorf("see the last change in the viewer: %w", err)
	}
	// A viewer who comes late gets everything anew. The browser reloads when it
	// pleases: the mark tells the document that is on its way out from the new one.
	if _, err := viewer.Eval(ctx, `(window.before = true, location.reload())`); err != nil {
		return 0, err
	}
	if err := viewer.Wait(ctx, `!window.before && `+picture+`.includes(`+strconv.Quote(cfg.Page.control)+`)`); err != nil {
		return 0, fmt.Errorf("see the page again: %w", err)
	}
	shown, err := viewer.Eval(ctx, `[...document.querySelectorAll('iframe')].map((f) => f.contentDocument.documentElement.outerHTML +
		[...f.contentDocument.querySelectorAll('input,textarea,select')].map((e) => e.value).join('\n')).join('\n')`)
	if err != nil {
		return 0, err
	}
	text, _ := shown.(string)
	t.add(viewerPicture, []byte(text))
	_, err = page.Eval(ctx, `Cobridge.stop()`)
	return steps, err
}

// picture is the text that the viewer sees.
const picture = `(document.querySelector('iframe')?.contentDocument?.body?.textContent ?? '')`

// share starts sharing as a customer does who presses a button of the page and
// then the one that agrees.
func share(ctx context.Context, page *devtools.Page) error {
	if err := page.Wait(ctx, `window.Cobridge?.state === 'off'`); err != nil {
		return err
	}
	if _, err := page.Eval(ctx, `(Cobridge.start(), true)`); err != nil {
		return err
	}
	if err := page.Press(ctx, buttonAllow); err != nil {
		return err
	}
	return page.Wait(ctx, `['waiting', 'live'].includes(Cobridge.state)`)
}

// happen types the secrets and runs the page's own steps.
func happen(ctx context.Context, p *Page, page *devtools.Page) (int, error) {
	steps := 0
	for _, k := range keyed() {
		if _, err := page.Eval(ctx, `document.getElementById(`+strconv.Quote(k.field)+`).focus()`); err != nil {
			return 0, err
		}
		if err := page.Type(ctx, p.typed[k.field].text); err != nil {
			return 0, err
		}
		if err := page.Wait(ctx, `(document.activeElement.value ?? document.activeElement.textContent).includes(`+strconv.Quote(p.typed[k.field].text)+`)`); err != nil {
			return 0, fmt.Errorf("type into %s: %w", k.field, err)
		}
		steps++
	}
	n, err := page.Eval(ctx, `proofSteps.length`)
	if err != nil {
		return 0, err
	}
	count, _ := n.(float64)
	for i := range int(count) {
		step := fmt.Sprintf(`Promise.resolve(proofSteps[%d]()).then(() => new Promise((done) => setTimeout(done, %d)))`, i, settle.Milliseconds())
		if _, err := page.Eval(ctx, step); err != nil {
			return 0, fmt.Errorf("step %d of the page: %w", i, err)
		}
		steps++
	}
	return steps, nil
}
