package web

import "time"

// The limits of everything that a caller may send. Each is a default that
// [Config] may change, or a fixed rule of this package.
const (
	// defaultReadTimeout bounds the reading of one request, head and body: long
	// enough for the largest body over a slow line, short enough that a caller who
	// drips bytes does not hold a connection for long.
	defaultReadTimeout = 15 * time.Second
	// defaultWriteTimeout bounds the writing of one answer; twice the read side,
	// because exports are larger than any request.
	defaultWriteTimeout = 30 * time.Second
	// defaultIdleTimeout is how long a connection may rest between requests. A bit
	// above the 60 s of common load balancers and the 90 s of Go's clients, so that
	// they close first and no request meets a connection that we are just closing.
	defaultIdleTimeout = 100 * time.Second
	// defaultRequestTimeout is the deadline of a request's context. The published
	// client gives up after 10 s; one second is left for writing and the network.
	defaultRequestTimeout = 9 * time.Second

	// defaultBodyLimit is the server's hard limit for a body, checked before any
	// route is known. Routes have their own, lower limit in [DecodeLimit], so that
	// 401 and 403 come before 413. fasthttp reserves as much as a request announces
	// before any of it has come, so this is also what each connection can be made to
	// cost by whoever sends nothing more.
	defaultBodyLimit = 256 << 10
	// DefaultBodyLimit is what [Decode] accepts, in bytes. The largest documented
	// request, a conversation with a full attribute map, is below a fifth of it.
	DefaultBodyLimit = 64 << 10
	// defaultReadBufferSize holds one request head and stays allocated as long as
	// the connection lives, WebSockets too. Heads of real clients, with an access
	// token and a join token in the URL, stay below 4 KiB.
	defaultReadBufferSize = 8 << 10
	// defaultConcurrency is the number of connections served at a time. At about
	// 18 KB for an idle one that is below 400 MB.
	defaultConcurrency = 20_000

	// maxDepth is how deep JSON may nest; the deepest documented body has five levels.
	maxDepth = 64
	// maxFieldName cuts field names that are repeated in an error answer.
	maxFieldName = 128
	// maxContextID is the longest correlation id taken over from a caller: a UUID
	// has 36 characters, trace ids of other systems up to 64.
	maxContextID = 64
	// maxHops is how many entries of X-Forwarded-For are looked at, from the right.
	maxHops = 16

	// DefaultPageSize is the number of entities on a page when nobody asks for
	// another one, as in the cloud.
	DefaultPageSize = 25
	// MaxPageSize is the largest page, as in the cloud.
	MaxPageSize = 100
	// maxPageNumber keeps the product of number and size far from overflow.
	maxPageNumber = 1_000_000

	// defaultRetryAfter is said with 503 when the failure itself does not know.
	defaultRetryAfter = 5 * time.Second
	// hstsMaxAge is one year, the usual minimum for browsers' preload lists.
	hstsMaxAge = 365 * 24 * time.Hour
)
