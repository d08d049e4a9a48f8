package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// isTerminal reports whether somebody may look at what is written to w. The null
// device counts as one, which does no harm.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// status is one line on a terminal that is written over again and again. The zero
// value shows nothing.
type status struct {
	w     io.Writer // nil = nobody looks
	width int       // of what stands there, in characters
}

// statusOf returns the status line of a terminal; what is none stays clean.
func statusOf(w io.Writer) *status {
	if !isTerminal(w) {
		return &status{}
	}
	return &status{w: w}
}

// show replaces the line.
func (s *status) show(format string, args ...any) {
	if s.w == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	width := len([]rune(text))
	_, _ = fmt.Fprint(s.w, "\r"+text+strings.Repeat(" ", max(0, s.width-width)))
	s.width = width
}

// clear takes the line away, so that what comes next stands at its place.
func (s *status) clear() {
	if s.w != nil && s.width > 0 {
		_, _ = fmt.Fprint(s.w, "\r"+strings.Repeat(" ", s.width)+"\r")
		s.width = 0
	}
}
