// Package stream is the WebSocket of a live cobrowse session: who is let in, one
// read and one write pump per connection, what everybody in a session is told when
// it changes, and which of their frames go to whom. docs/protocol.md describes
// frames and close codes, docs/adr/0014-live-stream.md how they travel.
//
// It knows no rules of cobrowsing: package cobrowse decides, and the stream only
// reports what happened and passes on what was decided, also on other nodes,
// which it hears of through [cobrowse.Events] alone. It does not look into the
// picture: that is the business of package relay.
//
// Start with [Hub]; [Limits] has every bound and [CloseCodes] every way a
// connection ends. All methods of Hub may be called concurrently.
package stream
