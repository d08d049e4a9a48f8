package relay

import "sync"

// Forms is the number of wire encodings that a frame remembers.
const Forms = 2

// Frame is one message on its way to clients: immutable, encoded for the wire once
// for all who get it. Its methods may be called concurrently.
type Frame struct {
	kind    string
	payload []byte
	wire    [Forms]struct {
		once sync.Once
		data []byte
	}
}

// NewFrame returns a frame of the given kind, its member "t". payload is the JSON
// text; it is not copied and must not change any more.
func NewFrame(kind string, payload []byte) *Frame {
	return &Frame{kind: kind, payload: payload}
}

// Kind returns the frame's kind, for example "ev".
func (f *Frame) Kind() string { return f.kind }

// Payload returns the JSON text. It must not be changed.
func (f *Frame) Payload() []byte { return f.payload }

// Wire returns the payload as encode made it for the given form, 0 up to Forms-1.
// encode runs once per form, whoever asks first; the others wait for it. The result
// is kept as long as the frame and must not be changed.
func (f *Frame) Wire(form int, encode func(payload []byte) []byte) []byte {
	w := &f.wire[form]
	w.once.Do(func() { w.data = encode(f.payload) })
	return w.data
}
