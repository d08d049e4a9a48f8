package relay

import (
	"strconv"
	"strings"
)

// maxLevels bounds the second reading; what comes after the node was not read yet.
const maxLevels = 256

// path returns where the node stands that is being read, like
// "html>body>form>input[3]". It reads the siblings above it once more: a frame is
// refused with it, so this costs nothing where nothing is wrong.
func (w *tripwire) path() string {
	var steps []string
	for _, l := range w.above {
		tag := tagAt(w.data, l.start)
		if tag == "" {
			continue // a document
		}
		if n := w.position(l, tag); n > 1 {
			tag += "[" + strconv.Itoa(n) + "]"
		}
		steps = append(steps, tag)
	}
	return strings.Join(steps, ">")
}

// position counts a node among those siblings that have its tag, from 1.
func (w *tripwire) position(l level, tag string) int {
	if l.siblings < 0 {
		return 1
	}
	n := 0
	s := scanner{data: w.data, pos: l.siblings, levels: maxLevels}
	for more := s.open('['); more && s.more(']'); {
		s.next()
		start := s.pos
		if start >= l.start {
			return n + 1
		}
		if tagAt(w.data, start) == tag {
			n++
		}
		s.value()
	}
	return n
}

// tagAt returns the tag of the node that starts at pos, "" if it has none. It goes
// into a log: what is no plain tag name is "?".
func tagAt(data []byte, pos int) string {
	s := scanner{data: data, pos: pos, levels: maxLevels}
	if s.next() != '{' {
		return ""
	}
	for more := s.open('{'); more && s.more('}'); {
		if string(s.key()) != "tagName" {
			s.value()
			continue
		}
		if s.next() != '"' {
			return "?"
		}
		return plainTag(s.text())
	}
	return ""
}

func plainTag(tag []byte) string {
	const longest = 32
	if len(tag) == 0 || len(tag) > longest {
		return "?"
	}
	for _, c := range tag {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return "?"
		}
	}
	return strings.ToLower(string(tag))
}
