package live_test

import (
	"strings"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/client/live"
)

// What no rule of a page shows does not leave it, and what a rule shows does.
func TestWhatLeaves(t *testing.T) {
	t.Parallel()
	const secret = "planted-secret"
	for html, leaves := range map[string]bool{
		`<input value="planted-secret">`:                                                         false,
		`<input data-cb-show value="planted-secret">`:                                            true,
		`<input data-cb-show type="password" value="planted-secret">`:                            false,
		`<input data-cb-show type="hidden" value="planted-secret">`:                              false,
		`<input data-cb-show autocomplete="one-time-code" value="planted-secret">`:               false,
		`<input data-cb-show autocomplete="current-password" value="planted-secret">`:            false,
		`<input data-cb-show autocomplete="new-password" value="planted-secret">`:                false,
		`<input data-cb-show autocomplete="section-a billing CC-number" value="planted-secret">`: false,
		`<input data-cb-show autocomplete="street-address" value="planted-secret">`:              true,
		`<input data-cb-show data-cb-mask value="planted-secret">`:                               false,
		`<div data-cb-mask><input data-cb-show value="planted-secret"></div>`:                    false,
		`<div data-cb-block><input data-cb-show value="planted-secret"></div>`:                   false,
		`<textarea>planted-secret</textarea>`:                                                    false,
		`<textarea data-cb-show>planted-secret</textarea>`:                                       true,
		`<textarea data-cb-show autocomplete="one-time-code">planted-secret</textarea>`:          false,
		`<select><option>planted-secret</option></select>`:                                       false,
		`<select data-cb-show><option>planted-secret</option></select>`:                          true,
		`<select data-cb-show autocomplete="cc-type"><option>planted-secret</option></select>`:   false,
		`<select autocomplete="cc-type"><option data-cb-show>planted-secret</option></select>`:   false,
		`<p contenteditable>planted-secret</p>`:                                                  false,
		`<p contenteditable="false">planted-secret</p>`:                                          true,
		`<p contenteditable data-cb-show>planted-secret</p>`:                                     true,
		`<p>planted-secret</p>`:                                                                    true,
		`<p data-cb-mask>planted-secret</p>`:                                                       false,
		`<div data-cb-block><p data-cb-show>planted-secret</p></div>`:                              false,
		`<input list="l" data-cb-show><datalist id="l"><option>planted-secret</option></datalist>`: false,
	} {
		recorded, err := live.Recorded(live.Page{URL: shop, HTML: "<!doctype html><body>" + html})
		if err != nil {
			t.Errorf("%s: %v", html, err)
			continue
		}
		if got := strings.Contains(string(recorded), secret); got != leaves {
			t.Errorf("%s: the secret leaves = %t, want %t:\n%s", html, got, leaves, recorded)
		}
	}
}
