package notify

import "time"

// Limits bounds what channels may cost. A zero in a field means its default.
type Limits struct {
	Channels int           // of one client; one more removes another. 20
	Topics   int           // of one channel; 1000
	Life     time.Duration // of a channel since it was subscribed last; 24 h
	Frames   int           // that may wait for one connection; 1000
	Bytes    int           // of them; 4 MiB
}

// DefaultLimits returns the defaults. The first three are those of the Notifications API
// (https://developer.genesys.cloud/notificationsalerts/notifications/).
func DefaultLimits() Limits {
	return Limits{
		Channels: 20, Topics: 1000, Life: 24 * time.Hour,
		// Whoever is a thousand events behind is better off with a new look. The largest
		// frame has a quarter of the bytes.
		Frames: 1000, Bytes: 4 * MaxFrame,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	fill(&l.Channels, d.Channels)
	fill(&l.Topics, d.Topics)
	fill(&l.Life, d.Life)
	fill(&l.Frames, d.Frames)
	fill(&l.Bytes, d.Bytes)
	return l
}

func fill[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

const (
	// MaxFrame is the largest frame that may be told, in bytes: a conversation with
	// fifty participants.
	MaxFrame = 1 << 20

	maxID    = 64  // bytes of an id in a topic: a UUID fits
	maxTopic = 200 // bytes; the longest has about 110

	purgeBatch = 500 // channels deleted in one call, so that others get their turn
	userBatch  = 100 // users asked for at once, as much as the Users API takes
)
