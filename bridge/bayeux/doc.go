// Package bayeux is a server for the Bayeux protocol, the one that the cometd
// JavaScript clients speak (https://docs.cometd.org/current9/reference/#_bayeux):
// handshakes, subscriptions, messages on service and broadcast channels, over
// WebSocket, long-polling and callback-polling. It knows nothing of what the
// messages are about, keeps nothing beyond the life of the process, and refuses
// to be a message queue: a client that does not fetch what waits for it is
// forgotten.
//
// Start with [New] and [Config]; [Server.HandleService] answers a channel,
// [Server.Deliver] and [Server.Publish] send events, [Server.Mount] adds the
// routes, and Config.OnGone tells that a client has left or was lost.
//
// The application below must be one of bridge/web: a waiting long-polling request
// is taken out of the HTTP server and costs neither a goroutine nor a buffer
// (docs/adr/0017-bayeux.md), which needs KeepHijackedConns.
//
// Everything here may be called concurrently. Functions given by the application
// are called without a lock held and may call the Server.
package bayeux
