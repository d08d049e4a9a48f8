package stream

import "time"

// Limits bounds what connections may cost. A zero in a field means its default.
type Limits struct {
	FrameBytes      int     // of one frame from a client, uncompressed; 16 KiB
	FramesPerSecond float64 // from one client, pings and pongs included, sustained; 20
	FrameBurst      int     // from one client at once; 60

	QueueFrames int // that wait for one slow client; 256
	QueueBytes  int // of them; 1 MiB

	Hello     time.Duration // until a client must have said who it is; 5 s
	PingEvery time.Duration // 20 s
	DeadAfter time.Duration // without a frame or a pong; 45 s
	Write     time.Duration // for one write; 10 s
	Close     time.Duration // from the decision to close until the connection is cut; 2 s
	Handshake time.Duration // for the 101 answer to reach the client; 10 s
	Call      time.Duration // for one call of the service; 9 s
	Refresh   time.Duration // between looks at a session that nothing is heard of; 15 s

	Sockets             int // open at a time; 10000
	SocketsPerNetwork   int // from one IPv4 address or IPv6 /64; 1000
	Strangers           int // of them, that have not said who they are; 1000
	StrangersPerNetwork int // 50
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		// The largest frame a client may send here is a page's address and title.
		FrameBytes: 16 << 10,
		// A person's input is reported every ten seconds: this is far above what our
		// pages send, and far below what costs anything.
		FramesPerSecond: 20, FrameBurst: 60,
		// What a client misses while its network pauses for a few seconds.
		QueueFrames: 256, QueueBytes: 1 << 20,
		Hello: 5 * time.Second,
		// Below the 60 s after which common proxies cut a silent connection; two
		// pongs may be lost.
		PingEvery: 20 * time.Second, DeadAfter: 45 * time.Second,
		Write: 10 * time.Second, Close: 2 * time.Second, Handshake: 10 * time.Second, Call: 9 * time.Second,
		// User input moves the deadline without an event, at most this often.
		Refresh: 15 * time.Second,
		// At about 20 KB for an idle one this is 200 MB.
		Sockets: 10_000,
		// A contact centre is behind one address.
		SocketsPerNetwork: 1000,
		// They cost us something and have shown nothing yet.
		Strangers: 1000, StrangersPerNetwork: 50,
	}
}

// withDefaults fills what is zero.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	fill(&l.FrameBytes, d.FrameBytes)
	fill(&l.FramesPerSecond, d.FramesPerSecond)
	fill(&l.FrameBurst, d.FrameBurst)
	fill(&l.QueueFrames, d.QueueFrames)
	fill(&l.QueueBytes, d.QueueBytes)
	fill(&l.Hello, d.Hello)
	fill(&l.PingEvery, d.PingEvery)
	fill(&l.DeadAfter, d.DeadAfter)
	fill(&l.Write, d.Write)
	fill(&l.Close, d.Close)
	fill(&l.Handshake, d.Handshake)
	fill(&l.Call, d.Call)
	fill(&l.Refresh, d.Refresh)
	fill(&l.Sockets, d.Sockets)
	fill(&l.SocketsPerNetwork, d.SocketsPerNetwork)
	fill(&l.Strangers, d.Strangers)
	fill(&l.StrangersPerNetwork, d.StrangersPerNetwork)
	return l
}

func fill[T int | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Bounds that are no settings: they are part of the protocol.
const (
	maxDepth      = 16   // of JSON; documented frames have two levels
	maxToken      = 4096 // bytes of a join token or resume secret
	maxID         = 64   // bytes of a session or participant id: a UUID fits
	maxTab        = 64   // bytes of a tab's name, as in package cobrowse
	ioBuffer      = 1024 // bytes, of each connection for reading; for writing they are shared
	closeAttempts = 3    // attempts to report a closed connection to the service
)

// bucket limits a rate. It belongs to one goroutine.
type bucket struct {
	perSecond float64
	burst     float64
	left      float64
	at        time.Time
}

func newBucket(perSecond float64, burst int, now time.Time) *bucket {
	return &bucket{perSecond: perSecond, burst: float64(burst), left: float64(burst), at: now}
}

// take reports whether one more is within the rate.
func (b *bucket) take(now time.Time) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(b.burst, b.left+passed.Seconds()*b.perSecond)
		b.at = now
	}
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
