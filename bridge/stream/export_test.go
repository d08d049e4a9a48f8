package stream

// DecodeFrame is decodeFrame as the tests see it: the kind of the frame.
func DecodeFrame(data []byte) (kind string, err error) {
	kind, _, err = decodeFrame(data)
	return kind, err
}
