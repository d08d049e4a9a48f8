package relay

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"math/bits"
	"strconv"
)

// scanner reads JSON text (RFC 8259, strictly) in one pass and builds nothing:
// encoding/json would take longer to validate a frame than it takes to relay it.
// Its callers descend where they know the structure and skip the rest with value.
// A failure is remembered and ends all loops; callers look at failed once.
type scanner struct {
	data   []byte
	pos    int
	levels int  // how many more objects and arrays may be opened
	first  bool // no member or element of the innermost object or array was read yet
	failed bool
}

func (s *scanner) fail() {
	s.failed = true
	s.pos = len(s.data)
}

// next returns the byte at which the next token starts, 0 at the end.
func (s *scanner) next() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// open reads the bracket that opens an object or array.
func (s *scanner) open(bracket byte) bool {
	if s.next() != bracket || s.levels == 0 {
		s.fail()
		return false
	}
	s.pos++
	s.levels--
	s.first = true
	return true
}

// more reads what stands before the next member or element: nothing or a comma. At
// the closing bracket it reads that and returns false, as it does after a failure.
func (s *scanner) more(bracket byte) bool {
	switch c := s.next(); {
	case c == bracket:
		s.pos++
		s.levels++
		s.first = false
		return false
	case c == 0:
		s.fail()
		return false
	case s.first:
		s.first = false
	case c == ',':
		s.pos++
	default:
		s.fail()
		return false
	}
	return true
}

// key reads a member's name and its colon. The result is unescaped: what a parser
// takes for "type" is "type" here.
func (s *scanner) key() []byte {
	key := s.text()
	if s.next() != ':' {
		s.fail()
		return nil
	}
	s.pos++
	return key
}

// once notes that a member was there. A second one of the same name is a failure:
// JavaScript takes the last one, others the first.
func (s *scanner) once(seen *uint, member uint) {
	if *seen&member != 0 {
		s.fail()
	}
	*seen |= member
}

// value skips a value of any kind.
func (s *scanner) value() {
	switch c := s.next(); c {
	case '{':
		for more := s.open('{'); more && s.more('}'); {
			s.name()
			s.value()
		}
	case '[':
		for more := s.open('['); more && s.more(']'); {
			s.value()
		}
	case '"':
		s.raw()
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
}

// name skips a member's name and its colon.
func (s *scanner) name() {
	s.raw()
	if s.next() != ':' {
		s.fail()
		return
	}
	s.pos++
}

func (s *scanner) word(want string) {
	if len(s.data)-s.pos < len(want) || string(s.data[s.pos:s.pos+len(want)]) != want {
		s.fail()
		return
	}
	s.pos += len(want)
}

// text reads a string and returns it unescaped. It copies only if there is an
// escape in it.
func (s *scanner) text() []byte {
	start := s.pos
	raw, escaped := s.raw()
	if !escaped || s.failed {
		return raw
	}
	start += bytes.IndexByte(s.data[start:], '"')
	var out string
	if err := json.Unmarshal(s.data[start:s.pos], &out); err != nil {
		s.fail()
	}
	return []byte(out)
}

// Eight bytes at a time: a full frame is mostly style sheets.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// marked has the high bit set in the first byte of x that is a control character, a
// quote or a backslash; 0 if none is. Bits above the lowest one mean nothing.
func marked(x uint64) uint64 {
	quote, backslash := x^(ones*'"'), x^(ones*'\\')
	return ((x-ones*' ')&^x | (quote-ones)&^quote | (backslash-ones)&^backslash) & highs
}

// raw reads a string and returns what stands between its quotes, and whether there
// are escapes in it.
func (s *scanner) raw() (between []byte, escaped bool) {
	if s.next() != '"' {
		s.fail()
		return nil, false
	}
	data, i := s.data, s.pos+1
	start := i
	for {
		for len(data)-i >= 8 {
			m := marked(binary.LittleEndian.Uint64(data[i:]))
			if m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(data) {
			break
		}
		switch c := data[i]; {
		case c == '"':
			s.pos = i + 1
			return data[start:i], escaped
		case c == '\\':
			escaped = true
			n := escapeLen(data[i:])
			if n == 0 {
				s.fail()
				return nil, false
			}
			i += n
		case c < ' ':
			s.fail()
			return nil, false
		default:
			i++
		}
	}
	s.fail()
	return nil, false
}

// escapeLen returns the length of the escape that data starts with, 0 if it is none.
func escapeLen(data []byte) int {
	if len(data) < 2 {
		return 0
	}
	switch data[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(data) < 6 {
			return 0
		}
		for _, c := range data[2:6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// number reads a number and returns it as it stands.
func (s *scanner) number() []byte {
	s.next()
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else {
		s.digits()
	}
	if s.at('.') {
		s.pos++
		s.digits()
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		s.digits()
	}
	if s.failed {
		return nil
	}
	return s.data[start:s.pos]
}

func (s *scanner) at(c byte) bool { return s.pos < len(s.data) && s.data[s.pos] == c }

func (s *scanner) digits() {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	if s.pos == start {
		s.fail()
	}
}

// noInteger is what integer returns for everything that is none.
const noInteger = math.MinInt64

// integer reads a value and returns it if it is an integer of up to 53 bits, however
// it is written: 27.0 and 2.7e1 are 27 to JavaScript.
func (s *scanner) integer() int64 {
	if c := s.next(); c != '-' && (c < '0' || c > '9') {
		s.value()
		return noInteger
	}
	text := s.number()
	n, plain := int64(0), len(text) > 0 && len(text) <= 15
	for _, c := range text {
		plain = plain && c >= '0' && c <= '9'
		n = n*10 + int64(c-'0')
	}
	if plain {
		return n
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return noInteger
	}
	return int64(f)
}
