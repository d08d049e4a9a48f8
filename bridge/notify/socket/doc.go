// Package socket is the WebSocket of notification channels: upgrade, heartbeats, the
// few messages that a client may send, and goodbye. What is told on it, and to whom, is
// decided in bridge/notify; it knows nothing of conversations and sessions.
//
// The address that a client connects to is the credential, as at Genesys Cloud: it has
// the channel's random id in it, carries no access token, and is never logged. Start
// with [Server]. One goroutine reads a connection and one writes to it; nobody waits for
// either. All methods of Server may be called concurrently.
package socket
