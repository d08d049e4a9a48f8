package redis

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// timeSize is the length of a moment in a member of an index: seconds, with the sign
// bit turned so that they sort, and nanoseconds. The range is that of time.Time.
const timeSize = 12

func binaryTime(t time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, timeSize), uint64(t.Unix())^1<<63) //nolint:gosec // keeps all bits of the signed number
	return string(binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond())))               //nolint:gosec // 0..999999999
}

func timeOf(s string) time.Time {
	seconds := binary.BigEndian.Uint64([]byte(s[:8])) ^ 1<<63
	return time.Unix(int64(seconds), int64(binary.BigEndian.Uint32([]byte(s[8:timeSize])))).UTC() //nolint:gosec // takes all bits back
}

// invertedTime is a moment so that later ones sort first.
func invertedTime(t time.Time) string {
	b := []byte(binaryTime(t))
	for i := range b {
		b[i] = ^b[i]
	}
	return string(b)
}

// after is the moment that follows t, as a bound that leaves t in.
func after(t time.Time) string { return binaryTime(t.Add(time.Nanosecond)) }

// decimalTime is a moment in digits alone and of one length, which scripts compare as
// strings: Lua does so by the server's locale, and its numbers are too short.
func decimalTime(t time.Time) string {
	return fmt.Sprintf("%020d%09d", uint64(t.Unix())^1<<63, t.Nanosecond()) //nolint:gosec // keeps all bits of the signed number
}

func parseDecimalTime(s string) (time.Time, error) {
	var seconds uint64
	var nanos int64
	if _, err := fmt.Sscanf(s, "%20d%09d", &seconds, &nanos); err != nil {
		return time.Time{}, fmt.Errorf("read what is stored: a moment: %w", err)
	}
	return time.Unix(int64(seconds^1<<63), nanos).UTC(), nil //nolint:gosec // takes all bits back
}

// str is a string with its length, so that no two lists of strings make the same
// member, whatever characters they have. It sorts by length first.
func str[T ~string](s T) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(s)))) + string(s) //nolint:gosec // what is stored is shorter than 4 GB
}

// cutStr takes the string off that str has put in front.
func cutStr(s string) (first, rest string) {
	n := 4 + int(binary.BigEndian.Uint32([]byte(s)))
	return s[4:n], s[n:]
}

// text is a string that sorts as it does without what follows it: zero bytes in it are
// followed by 0xff, its end by 0x01.
func text(s string) string { return strings.ReplaceAll(s, "\x00", "\x00\xff") + "\x00\x01" }

// successor is the first string behind all that start with prefix; "" if there is none.
func successor(prefix string) string {
	next := []byte(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return string(next[:i+1])
		}
	}
	return ""
}

// atLeast and below are bounds of a range by member.
func atLeast(s string) string { return "[" + s }

func below(s string) string {
	if s == "" {
		return "+"
	}
	return "(" + s
}

// part makes a string fit to stand in a key beside others and between the braces that
// name a slot: what is not a letter, a digit or one of -._~@ becomes %XX.
func part[T ~string](s T) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~@", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// encode is how domain structs are stored: JSON under their Go field names.
func encode(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode: %w", err)
	}
	return string(data), nil
}

func decode[T any](data string) (T, error) {
	var v T
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		return v, fmt.Errorf("decode what is stored: %w", err)
	}
	return v, nil
}
