package bayeux

import "sync/atomic"

// Stats is what a server has come to: how much there is now, and how often
// something has happened since the start.
type Stats struct {
	Clients int // now
	Parked  int // long polls that wait now
	Resting int // connections between two long polls now
	Sockets int // WebSockets open now

	Handshakes uint64 // clients let in
	Refused    uint64 // clients refused
	Unknown    uint64 // messages with a client id that is none
	Polls      uint64 // connects of long-polling that had to wait
	Limited    uint64 // messages refused because their client had sent too many
	Calls      uint64 // messages on service channels with an answer
	Published  uint64 // messages of clients on broadcast channels
	Delivered  uint64 // events put in a client's queue
	Restored   uint64 // events put back because they did not arrive
	Panics     uint64 // in functions of the application, or here

	Disconnected   uint64 // clients gone, by Reason
	ConnectionLost uint64
	Overflowed     uint64
	Dismissed      uint64
}

type counters struct {
	parked                                                                                      atomic.Int64
	handshakes, refused, unknown, limited, polls, calls, published, delivered, restored, panics atomic.Uint64
	disconnected, connectionLost, overflowed, dismissed                                         atomic.Uint64
}

func (n *counters) gone(reason Reason) {
	switch reason {
	case Disconnected:
		n.disconnected.Add(1)
	case ConnectionLost:
		n.connectionLost.Add(1)
	case Overflowed:
		n.overflowed.Add(1)
	case Dismissed:
		n.dismissed.Add(1)
	}
}

// Stats returns what the server has come to.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	stats := Stats{Clients: len(s.clients), Sockets: len(s.sockets), Parked: int(s.counters.parked.Load())}
	stats.Resting = max(0, len(s.lines)-stats.Parked)
	s.mu.Unlock()
	n := &s.counters
	stats.Handshakes, stats.Refused, stats.Unknown = n.handshakes.Load(), n.refused.Load(), n.unknown.Load()
	stats.Limited = n.limited.Load()
	stats.Polls, stats.Calls, stats.Published, stats.Delivered = n.polls.Load(), n.calls.Load(), n.published.Load(), n.delivered.Load()
	stats.Restored, stats.Panics = n.restored.Load(), n.panics.Load()
	stats.Disconnected, stats.ConnectionLost = n.disconnected.Load(), n.connectionLost.Load()
	stats.Overflowed, stats.Dismissed = n.overflowed.Load(), n.dismissed.Load()
	return stats
}
