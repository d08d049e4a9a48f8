package stream

// DecodeFrame is decodeFrame as the tests see it: the kind of the frame.
func DecodeFrame(data []byte) (kind string, err error) {
	f, err := decodeFrame(data)
	return f.kind, err
}
