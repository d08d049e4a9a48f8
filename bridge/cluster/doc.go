// Package cluster knows which processes serve one store together, and in which of them
// the room of a session is: exactly one, its owner.
//
// A process is a [Node]: it says every few seconds that it is there. One that has been
// silent for too long is buried by the others, and a name that was buried never comes
// back: a process that was only suspended finds out, gives up every room and goes on
// under another name. [Node.Hold] takes a room for a link that was let in, [Node.Drop]
// gives it back with the last one, and [Node.Route] tells where a room is. The package
// refuses to know what happens in a room, how a connection gets to its owner (package
// tunnel does), and what a session is: nothing it decides guards the store, where
// sessions have versions.
//
// Start with [New] and [Node.Run]. Everything may be called concurrently.
package cluster
