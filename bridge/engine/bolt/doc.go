// Package bolt is the embedded engine: everything that the installation stores, in
// one bbolt file that belongs to one process. It implements the store interfaces of
// packages cobrowse, conversations, oauth and knowledge; it knows no rule of theirs and judges
// no expiry by a clock of its own.
//
// Start with [Open] and [Store]. A write is answered after the commit that holds it
// has reached the disk; one goroutine does all writing and puts the writes that wait
// at the same moment into one commit; a store that is volatile has no such goroutine, and
// commits later. What every request needs (live sessions, OAuth
// clients, revocations) is kept in memory as well, and is brought up to date between
// a commit and its answer.
//
// All methods of Store may be called concurrently. Values are copies, except for the
// slices of OAuth clients, which oauth.Store allows to be shared.
package bolt
