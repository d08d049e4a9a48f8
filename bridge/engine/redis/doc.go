// Package redis is the engine for more than one node: everything that the installation
// stores, on Redis 7.0 or later or Valkey 7.2 or later, as one server, behind Sentinel
// or as a cluster. It implements the store interfaces of packages cobrowse,
// conversations, oauth, knowledge and notify; it knows no rule of theirs and judges no
// expiry by a clock, neither its own nor the server's. The server's clock is asked for
// two things alone: how long a follower's lease lasts, and how old a change is that
// nobody has finished.
//
// Start with [Open] and [Store]; docs/operations.md has the layout of the keys. No
// command has keys of two slots. What is decided together lies in one slot: a session
// with its later history record in its own, and the local directory, OAuth, deployments,
// Knowledge Center sessions and notification channels in one each. A change of a
// session is decided in the session's slot, by one script; what it takes elsewhere is
// taken before, pending, and what it leaves elsewhere (indexes, events, claims) stands
// in an outbox in that slot until it has been done, by this process or by any other.
//
// All methods of Store may be called concurrently, by any number of processes. Values
// are copies.
package redis
