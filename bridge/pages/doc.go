// Package pages serves what people see in a browser: the page that a join URL
// opens, the pages that say why it does not, and their scripts and styles. It
// sets the headers that keep a join token from leaking.
//
// It knows no rules of cobrowsing: package cobrowse says whether a token is good,
// and the page's script, not a GET of the page, redeems it. The sources live in
// package webui.
//
// Start with [New] and [Pages.Mount]; [Pages.Guard] keeps the viewers' own origin
// free of everything else. All methods may be called concurrently.
package pages
