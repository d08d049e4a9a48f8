// Package webui holds the browser side of cobrowsing: pages, scripts, styles and
// the texts of both in every language, as plain files without a framework. It has
// no logic in Go.
//
// Sources are in src, third-party scripts in third_party. Command bundler, a module
// of its own, makes dist out of both, which is committed: building cobridge needs
// neither it nor Node.
//
// Start with [Files] and [Dist], which package bridge/pages serves. Both may be
// read concurrently.
package webui
