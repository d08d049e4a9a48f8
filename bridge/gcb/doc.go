// Package gcb reads from a real Genesys Co-browse server of the versions 8.1.3 to
// 9.0: the history of sessions, and where a live one is. It translates what that
// server says and decides nothing: who may see it is for package cobrowse to say.
//
// Start with [Client], a cobrowse.Remote. Such a server may be slow, gone, behind a
// gateway that answers with pages of its own, or lie about sizes: each read has a
// deadline and a size that it may not pass, is repeated where that may help, and
// fails with an [Error] that says why, without credentials, digits and what was sent.
//
// A Client may be used concurrently.
package gcb
