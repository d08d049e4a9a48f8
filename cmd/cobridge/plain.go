package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// plainWriter writes text of which a terminal shows every character and obeys none:
// names, titles and messages come from other people, and some characters move the
// cursor, rewrite what stands there or turn the direction of reading. They are written
// as \uXXXX, which in JSON means the same. Line ends and tabs stay. Each Write is given
// whole characters.
type plainWriter struct{ w io.Writer }

func (p plainWriter) Write(text []byte) (int, error) {
	if _, err := io.WriteString(p.w, plain(string(text))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// plain returns text as [plainWriter] writes it.
func plain(text string) string {
	if !strings.ContainsFunc(text, obeyed) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if obeyed(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// obeyed reports whether a terminal may do something at r in place of showing it.
func obeyed(r rune) bool {
	return r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError
}
