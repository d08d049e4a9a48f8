package socket

import "time"

// Limits bounds what connections may cost. A zero in a field means its default.
type Limits struct {
	Heartbeat time.Duration // between two heartbeats; 30 s
	PingEvery time.Duration // between two pings of the protocol; 20 s
	DeadAfter time.Duration // without a frame or a pong; 60 s
	Write     time.Duration // for one write; 10 s
	Close     time.Duration // from the decision to close until the connection is cut; 2 s
	Leave     time.Duration // from the news that the service stops until the connection closes; 2 s

	FrameBytes      int     // of one frame from a client; 256 KiB
	FramesPerSecond float64 // from one client, sustained; 10
	FrameBurst      int     // 50

	Sockets int // open at a time; 5000
}

// DefaultLimits returns the defaults.
func DefaultLimits() Limits {
	return Limits{
		Heartbeat: 30 * time.Second, // as the real service
		// Below the 60 s after which common proxies cut a silent connection.
		PingEvery: 20 * time.Second, DeadAfter: 60 * time.Second,
		Write: 10 * time.Second, Close: 2 * time.Second,
		// The real service gives a minute. Nobody waits that long for a process to stop.
		Leave: 2 * time.Second,
		// A thousand topics in one message.
		FrameBytes: 256 << 10,
		// A ping now and then, and a subscription for each new colleague.
		FramesPerSecond: 10, FrameBurst: 50,
		// At about 30 KB for an idle one this is 150 MB.
		Sockets: 5000,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	fill(&l.Heartbeat, d.Heartbeat)
	fill(&l.PingEvery, d.PingEvery)
	fill(&l.DeadAfter, d.DeadAfter)
	fill(&l.Write, d.Write)
	fill(&l.Close, d.Close)
	fill(&l.Leave, d.Leave)
	fill(&l.FrameBytes, d.FrameBytes)
	fill(&l.FramesPerSecond, d.FramesPerSecond)
	fill(&l.FrameBurst, d.FrameBurst)
	fill(&l.Sockets, d.Sockets)
	return l
}

func fill[T int | float64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

const (
	readBuffer  = 1024             // bytes, of each connection
	writeBuffer = 4096             // bytes; they are shared
	maxDepth    = 8                // levels of a client's frame; documented ones have two
	callTime    = 9 * time.Second  // for one subscription
	lookAgain   = 15 * time.Minute // at the latest, whether the channel's time is over
)
