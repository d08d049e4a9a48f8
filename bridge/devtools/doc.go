// Package devtools drives a headless Chromium over its DevTools protocol
// (https://chromedevtools.github.io/devtools-protocol/): people with cookies of
// their own, pages, what goes over their wires, keys, clicks and pictures. It is
// what the masking proof, the measurements and the tests of the pages look
// through; it knows nothing of cobrowsing.
//
// Start with [Start]. Everything may be used concurrently. Whoever calls Start
// calls [Browser.Close]; no browser outlives it.
package devtools
