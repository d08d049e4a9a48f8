// Package cobridge holds the few things every part of the project shares: the
// published error codes, the [Error] that carries one, and the [Clock]. It knows
// no protocol, no framework and no database, and imports the standard library only.
//
// The service itself is put together in package bridge; the rules are in packages
// cobrowse, conversations and oauth.
package cobridge
