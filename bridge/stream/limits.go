package stream

import (
	"time"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

// Limits bounds what connections may cost. A zero in a field means its default.
type Limits struct {
	FrameBytes      int     // of one frame from a client, uncompressed, other than ev; 16 KiB
	FramesPerSecond float64 // from one client, pings and pongs included, sustained; 20. ev, ctl, ptr and draw are counted by themselves
	FrameBurst      int     // from one client at once; 60

	EvPerSecond      float64 // ev frames from the sharer, sustained; 60
	EvBurst          int     // 240
	EvBytesPerSecond float64 // of them, sustained; 1 MiB
	EvBytesBurst     int     // 8 MiB
	CtlPerSecond     float64 // ctl frames from one viewer; 20, and as many at once. More are refused
	PtrPerSecond     float64 // ptr frames from one client; 20, and as many at once. More are dropped
	DrawPerSecond    float64 // draw frames from one viewer; 30, and as many at once. More are dropped
	Excess           int     // such frames, refused or dropped, at once, before the client is closed; a tenth of it per second; 1000

	// Picture bounds the picture of a session and what may wait for a client; zero =
	// relay.DefaultLimits().
	Picture relay.Limits

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
		// A page that moves all the time, in one frame per picture of the screen, and
		// what it does while it loads.
		EvPerSecond: 60, EvBurst: 240,
		// A person at a page makes 1.4 KiB/s; two full frames may come at once.
		EvBytesPerSecond: 1 << 20, EvBytesBurst: 8 << 20,
		// Nobody types faster; pointers move smoothly at this rate.
		CtlPerSecond: 20, PtrPerSecond: 20, DrawPerSecond: 30,
		// A client with a fault is not one with bad intentions; this one is either.
		Excess:  1000,
		Picture: relay.DefaultLimits(),
		Hello:   5 * time.Second,
		// Below the 60 s after which common proxies cut a silent connection; two
		// pongs may be lost.
		PingEvery: 20 * time.Second, DeadAfter: 45 * time.Second,
		Write: 10 * time.Second, Close: 2 * time.Second, Handshake: 10 * time.Second, Call: 9 * time.Second,
		// User input moves the deadline without an event, at most this often.
		Refresh: 15 * time.Second,
		// At about 25 KB for an idle one this is 250 MB.
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
	fill(&l.EvPerSecond, d.EvPerSecond)
	fill(&l.EvBurst, d.EvBurst)
	fill(&l.EvBytesPerSecond, d.EvBytesPerSecond)
	fill(&l.EvBytesBurst, d.EvBytesBurst)
	fill(&l.CtlPerSecond, d.CtlPerSecond)
	fill(&l.PtrPerSecond, d.PtrPerSecond)
	fill(&l.DrawPerSecond, d.DrawPerSecond)
	fill(&l.Excess, d.Excess)
	if l.Picture == (relay.Limits{}) {
		l.Picture = d.Picture
	}
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
	maxDepth  = 16      // of JSON, of all frames but ev; documented ones have three levels
	maxToken  = 4096    // bytes of a join token or resume secret
	maxID     = 64      // bytes of a session or participant id: a UUID fits
	maxTab    = 64      // bytes of a tab's name, as in package cobrowse
	maxValue  = 4 << 10 // bytes of ctl.v
	maxKey    = 32      // bytes of ctl.key, such as "ArrowDown"
	maxURL    = 2048    // bytes of ctl.url
	maxPoints = 128     // of one draw frame; more are left out
	maxColor  = 32      // bytes of draw.color
	maxPixel  = 1e6     // the largest coordinate; larger ones are brought down to it
)

// Bounds of what is remembered, and of how this is done.
const (
	readBuffer    = 256       // bytes, of each connection; fasthttp's below it saves the system calls
	writeBuffer   = 1024      // bytes; they are shared
	scratchStart  = 4 << 10   // bytes that a frame is read into at first
	scratchKept   = 256 << 10 // bytes; larger ones are not kept for the next frame
	closeAttempts = 3         // attempts to report a closed connection, or a violation, to the service

	actionsWaiting = 64               // actions of one viewer that the sharer has not answered
	actionAnswer   = 15 * time.Second // until the sharer must have answered one
	askAnswer      = 2 * time.Minute  // until the sharer must have answered a question
	askAgain       = 15 * time.Second // after it was declined
	askPause       = 3 * time.Second  // between two questions of one viewer
	askBurst       = 3                // questions of one viewer at once
)

// bucket limits a rate. It belongs to one goroutine.
type bucket struct {
	perSecond float64
	burst     float64
	left      float64
	at        time.Time
}

func newBucket(perSecond float64, burst int, now time.Time) bucket {
	return bucket{perSecond: perSecond, burst: float64(burst), left: float64(burst), at: now}
}

// take reports whether n more are within the rate.
func (b *bucket) take(now time.Time, n float64) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(b.burst, b.left+passed.Seconds()*b.perSecond)
		b.at = now
	}
	if b.left < n {
		return false
	}
	b.left -= n
	return true
}

// rates are those of one connection. They belong to its read pump.
type rates struct {
	frames, ev, evBytes, ctl, ptr, draw, ask, excess bucket
}

func newRates(l *Limits, now time.Time) *rates {
	once := func(perSecond float64) bucket { return newBucket(perSecond, int(max(1, perSecond)), now) }
	return &rates{
		frames: newBucket(l.FramesPerSecond, l.FrameBurst, now),
		ev:     newBucket(l.EvPerSecond, l.EvBurst, now), evBytes: newBucket(l.EvBytesPerSecond, l.EvBytesBurst, now),
		ctl: once(l.CtlPerSecond), ptr: once(l.PtrPerSecond), draw: once(l.DrawPerSecond),
		ask:    newBucket(1/askPause.Seconds(), askBurst, now),
		excess: newBucket(float64(l.Excess)/10, l.Excess, now),
	}
}
