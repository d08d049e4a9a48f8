package relay

import "errors"

// Failures of Receive. A sharer whose frame is refused has a fault, or is none.
var (
	ErrBadFrame   = errors.New("not an ev frame")                      // close 4400
	ErrTooLarge   = errors.New("ev frame too large")                   // close 1009
	ErrStaleEpoch = errors.New("ev frame of an earlier page load")     // close 4400
	ErrPaused     = errors.New("ev frame while the picture is paused") // close 4400
)

// MaskingError says that a field that must be masked carried a value. It never
// holds the value.
type MaskingError struct {
	// Path leads to the field, for example "html>body>form>input[3]", where [3] means
	// the third input among its siblings. Where the tree above is not known it starts
	// with a node id: "#27".
	Path string
}

// Error names the field, not its value.
func (e *MaskingError) Error() string { return "field not masked: " + e.Path }
