// Package oauth holds the rules of applications that call the service: OAuth
// clients and their secrets, scopes and their aliases, the client credentials grant
// (RFC 6749, section 4.4), access tokens (JWTs in the profile of RFC 9068), the keys
// that sign them, revocation (RFC 7009) and introspection (RFC 7662).
//
// It knows no HTTP and no database: package bridge/api speaks the wire formats, and
// an engine implements [Store]. It knows organisations by their id alone.
//
// Start with [Service], which does everything, [Client], which is what is stored, and
// [Principal], which is what a verified access token says about its bearer. A Service
// may be used by any number of goroutines; values that it hands out belong to the
// caller, with the exception of [Principal.Scopes], which is shared and only read.
package oauth
