// Package pages serves what browsers load: the page that a join URL opens, the
// history page, the pages that say why neither opens, the script for customers'
// pages, what pages and desktops of the old product load, and the shop and desktop
// of the demonstration. It sets the headers that keep tokens from leaking, and
// compresses nothing itself: package webui has every file compressed.
//
// It knows no rules of cobrowsing: package cobrowse says whether a token is good,
// and the page's script, not a GET of the page, redeems it. The sources live in
// package webui.
//
// Start with [New] and [Pages.Mount]; [Pages.MountLegacy] adds the old product's
// files, [Pages.MountDemo] the demonstration, and [Pages.Guard] keeps the viewers'
// own origin free of everything else. Everything is mounted before the application
// serves; then all methods may be called concurrently.
package pages
