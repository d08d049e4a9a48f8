// Package webhook sends what package notify has to tell to addresses on the web. It
// knows HTTP and nothing of what is told, to whom, or when it is tried again.
//
// Start with [Sender]. It may be used concurrently.
package webhook
