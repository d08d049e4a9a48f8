// Package webui holds the browser side of cobrowsing: pages, scripts, styles and
// the texts of both in every language, as plain files without a framework and
// without anything from elsewhere. It has no logic in Go.
//
// Start with [Files], which package bridge/pages serves. It may be read concurrently.
package webui
