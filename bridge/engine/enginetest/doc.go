// Package enginetest is the one behaviour suite that every engine passes: what the
// store interfaces of packages cobrowse, conversations and oauth promise, and what
// must hold when many callers want the same thing at once. It knows no engine and
// speaks to one through those interfaces alone.
//
// Start with [Run] and [Engine]. The suite tells an engine the time; it never waits
// for time to pass, except for the pause before a failed event is tried again.
package enginetest
