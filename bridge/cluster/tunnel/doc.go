// Package tunnel takes a WebSocket to the process that has the room of its session.
//
// The request goes there as it came, with a signed header that says for whom; what is
// answered goes back, and after an upgrade the bytes of both sides, unread but for the
// borders of the server's frames: between two of them a client can be told to come
// again. The package refuses to know what is in a frame and who may come in: that is
// the owner's. It knows nothing of rooms but what [cluster.Node] tells.
//
// Start with [New], [Tunnels.Relay] and [Tunnels.Relayed]. Everything may be called
// concurrently.
package tunnel
