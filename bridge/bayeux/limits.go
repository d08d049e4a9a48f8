package bayeux

import (
	"cmp"
	"time"
)

// Limits bounds what clients may cost. A zero in a field means its default.
type Limits struct {
	MessageBytes int // of one body or frame from a client; 64 KiB
	Messages     int // in one body or frame; 256
	PerSecond    int // messages of one client in the long run, connects apart; in one go Messages; 50

	QueueEvents int // that wait for one client; 1000
	QueueBytes  int // of them; 1 MiB

	Clients           int // at a time; 20000
	ClientsPerNetwork int // from one IPv4 address or IPv6 /64; 2000
	Sockets           int // WebSockets open at a time; 10000
	SocketsPerNetwork int // 2000
	Subscriptions     int // of one client to broadcast channels; 50
	Calls             int // of one client, that wait for the one in progress; 16

	Call      time.Duration // for one call of the application that came over a WebSocket; 9 s
	Write     time.Duration // for one write; 10 s
	Idle      time.Duration // a connection waits for its next request after a long poll; 100 s
	Look      time.Duration // between looks at waiting connections, whether their clients have gone; 5 s
	Settle    time.Duration // events rest after an answer that went over another connection; 20 ms
	Hello     time.Duration // until a WebSocket must have made a handshake; 10 s
	PingEvery time.Duration // 20 s
	DeadAfter time.Duration // without a frame or a pong on a WebSocket; 45 s
	Close     time.Duration // until a WebSocket is closed or cut that should be closed by its client; 2 s
	Return    time.Duration // the interval that clients are advised before they come back after a shutdown or to a full server; 2 s
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		// Clients cut their own messages at 8 KiB (cometd 5 and later).
		MessageBytes: 64 << 10,
		// A batch is what an application does in one go; ten are many.
		Messages: 256,
		// No page does that much for long; ten thousand of them would be a load.
		PerSecond: 50,
		// At the pace of a co-browse session this is more than it ever has.
		QueueEvents: 1000, QueueBytes: 1 << 20,
		// 20000 that wait cost about 45 MB (docs/adr/0017-bayeux.md).
		Clients: 20_000,
		// A contact centre is behind one address.
		ClientsPerNetwork: 2000,
		Sockets:           10_000, SocketsPerNetwork: 2000,
		Subscriptions: 50,
		Calls:         16,
		Call:          9 * time.Second, Write: 10 * time.Second,
		// As the server's own.
		Idle: 100 * time.Second,
		// A closed browser is noticed this much later at worst.
		Look: 5 * time.Second,
		// Longer than the way of an answer through this machine, shorter than people notice.
		Settle: 20 * time.Millisecond,
		Hello:  10 * time.Second,
		// Below the 60 s after which common proxies cut a silent connection; two
		// pongs may be lost.
		PingEvery: 20 * time.Second, DeadAfter: 45 * time.Second,
		Close:  2 * time.Second,
		Return: 2 * time.Second,
	}
}

// withDefaults fills what is zero.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	fill(&l.MessageBytes, d.MessageBytes)
	fill(&l.Messages, d.Messages)
	fill(&l.PerSecond, d.PerSecond)
	fill(&l.QueueEvents, d.QueueEvents)
	fill(&l.QueueBytes, d.QueueBytes)
	fill(&l.Clients, d.Clients)
	fill(&l.ClientsPerNetwork, d.ClientsPerNetwork)
	fill(&l.Sockets, d.Sockets)
	fill(&l.SocketsPerNetwork, d.SocketsPerNetwork)
	fill(&l.Subscriptions, d.Subscriptions)
	fill(&l.Calls, d.Calls)
	fill(&l.Call, d.Call)
	fill(&l.Write, d.Write)
	fill(&l.Idle, d.Idle)
	fill(&l.Look, d.Look)
	fill(&l.Settle, d.Settle)
	fill(&l.Hello, d.Hello)
	fill(&l.PingEvery, d.PingEvery)
	fill(&l.DeadAfter, d.DeadAfter)
	fill(&l.Close, d.Close)
	fill(&l.Return, d.Return)
	return l
}

func fill[T cmp.Ordered](field *T, value T) {
	*field = cmp.Or(*field, value)
}

// Bounds that are no settings.
const (
	maxDepth    = 64  // levels of JSON in one body or frame
	maxText     = 128 // bytes of an id, and of a channel's name
	maxCallback = 64  // characters of the name of a callback
	// calm is the least time between two connects that replace each other. Two tabs
	// with one client id would otherwise push each other away as fast as they can.
	calm = time.Second
	// socketBuffer is the buffer of a WebSocket, in bytes, each way. fasthttp's own
	// is below it.
	socketBuffer = 1024
)
