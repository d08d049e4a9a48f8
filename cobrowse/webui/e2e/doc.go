// Package e2e holds the browser tests: the real program, real headless Chromium
// and pages that people made for people. Each *.test.mjs is one scenario or a few
// that share a browser; the Go test beside it builds the program and runs them
// with Node. It has no Go API and refuses to know how the program works inside:
// it sees what a browser shows, what a page's script may ask, and every byte
// that leaves a browser.
//
// Start reading at story.test.mjs. The modules beside the scenarios say what they
// hold: service.mjs the program, site.mjs web sites of customers, people.mjs the
// browser of each person, widget.mjs what the customer clicks, wire.mjs all that
// was sent, mirror.mjs whether two pages show the same, slowlink.mjs a network
// that can be bad. The reasons are in docs/adr/0013-browser-tests.md.
//
// Nothing here may be used concurrently.
package e2e
