// Package client calls the cloud style API of cobridge, or of anything that
// speaks the same: conversations, users, cobrowse sessions, join tokens, history
// and deployments, with OAuth client credentials. It gets and renews the access
// token, waits where the service asks for it, and repeats what can be repeated
// safely. It knows neither the service's packages nor its rules: what it sends
// and returns is what stands on the wire.
//
// Start with [New] and [Client.EnsureSession]; [Client.WaitActive] and
// [Client.JoinLink] are what most callers need next. Tests give [Options].Transport
// that of package mocks. docs/client.md is a guide with a table of errors.
//
// Failures of the service are an [*Error]. A [Client] may be used concurrently.
package client
