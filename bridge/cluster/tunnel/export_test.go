package tunnel

// Borders returns where, in the bytes of a server's frames that come in these pieces, no
// frame is under way: after which pieces.
func Borders(pieces [][]byte) []int {
	var b border
	var at []int
	for i, p := range pieces {
		b.pass(p)
		if b.between() {
			at = append(at, i)
		}
	}
	return at
}

// CloseFrame is a close frame of a server.
func CloseFrame(code uint16, reason string) []byte { return closeFrame(code, reason) }
