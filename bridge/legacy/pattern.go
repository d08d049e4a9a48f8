package legacy

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"

	"github.com/cobridge/cobridge/cobrowse"
)

// maxJavaPattern is the longest regular expression that is looked at, in bytes; what
// it becomes has a bound of its own.
const maxJavaPattern = 4000

// translatePattern writes a regular expression of Java, as the old server took them,
// in the syntax of [cobrowse.CheckURLPattern]. Both match the same addresses, or it
// fails: with look-around, back references, possessive quantifiers and atomic groups,
// and with what Java and Go understand differently.
func translatePattern(java string) (string, error) {
	if java == "" {
		return "", errors.New("it is empty")
	}
	if len(java) > maxJavaPattern {
		return "", fmt.Errorf("it has more than %d characters", maxJavaPattern)
	}
	pattern, err := javaPattern(java)
	if err != nil {
		return "", err
	}
	if pattern == java && cobrowse.CheckURLPattern(java) == nil {
		return java, nil
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		if e, ok := errors.AsType[*syntax.Error](err); ok {
			return "", fmt.Errorf("%s, or not supported: %s", e.Code, quote(e.Expr))
		}
		return "", err
	}
	var out patternWriter
	out.write(tree)
	switch {
	case out.foreign:
		return "", errors.New("it matches characters that no address has: browsers write them as %C3%BC")
	case out.err != nil:
		return "", out.err
	}
	translated := out.String()
	if err := cobrowse.CheckURLPattern(translated); err != nil {
		return "", err
	}
	return translated, nil
}

// javaPattern refuses what Java means otherwise than Go, and rewrites what Go writes
// otherwise.
func javaPattern(java string) (string, error) {
	var out strings.Builder
	inClass, classStart := false, 0
	for i := 0; i < len(java); i++ {
		rest := java[i:]
		switch c := java[i]; {
		case c == '\\' && len(rest) == 1:
			return "", errors.New("it ends with a backslash")
		case c == '\\':
			next := rest[1]
			switch {
			case next == 'Q':
				quoted, _, _ := strings.Cut(rest[2:], `\E`)
				for _, r := range quoted {
					writeLiteral(&out, r)
				}
				i += 1 + len(quoted) // what follows is the end, or \E
				if strings.HasPrefix(java[i+1:], `\E`) {
					i += 2
				}
				continue
			case next == 'u' && len(rest) >= 6 && isHex(rest[2:6]):
				out.WriteString(`\x{` + rest[2:6] + `}`)
				i += 5
				continue
			case next == 'Z' && !inClass:
				out.WriteString(`\z`)
			case next == 'b' && strings.HasPrefix(rest[2:], "{"):
				return "", errors.New("boundaries of graphemes are not supported")
			case next >= '0' && next <= '9':
				return "", errors.New("back references and octal escapes are not supported")
			default:
				out.WriteString(rest[:2])
			}
			i++
			continue
		case inClass && c == '[':
			return "", errors.New("classes within classes are not supported")
		case inClass && strings.HasPrefix(rest, "&&"):
			return "", errors.New("intersections of classes are not supported")
		case inClass && c == ']' && i > classStart:
			inClass = false
		case !inClass && c == '[':
			inClass, classStart = true, i+1 // a ] right there is one of the class
			if strings.HasPrefix(rest, "[^") {
				out.WriteByte(c)
				i++
				classStart++
				c = '^'
			}
			out.WriteByte(c)
			continue
		}
		out.WriteByte(java[i])
	}
	return out.String(), nil
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

func writeLiteral(out *strings.Builder, r rune) {
	if r < 0x80 && !strings.ContainsRune("0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", r) {
		out.WriteByte('\\')
	}
	out.WriteRune(r)
}

// patternWriter writes a parsed regular expression in the syntax that Go and browsers
// share. Addresses have printable ASCII alone, so what else it matches is left out.
type patternWriter struct {
	strings.Builder
	foreign bool // it needs a character that no address has
	err     error
}

// The characters of addresses.
const (
	firstOfAddress = '!'
	lastOfAddress  = '~'
)

func (w *patternWriter) write(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		w.WriteString("(?:)")
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			w.literal(r, re.Flags&syntax.FoldCase != 0)
		}
	case syntax.OpCharClass:
		w.class(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL: // there are no lines in an address
		w.WriteByte('.')
	case syntax.OpBeginLine, syntax.OpBeginText:
		w.WriteByte('^')
	case syntax.OpEndLine, syntax.OpEndText:
		w.WriteByte('$')
	case syntax.OpWordBoundary:
		w.WriteString(`\b`)
	case syntax.OpNoWordBoundary:
		w.WriteString(`\B`)
	case syntax.OpCapture:
		w.group(re.Sub[0])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		w.repeat(re)
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			w.write(sub)
		}
	case syntax.OpAlternate:
		w.WriteString("(?:")
		for i, sub := range re.Sub {
			if i > 0 {
				w.WriteByte('|')
			}
			w.write(sub)
		}
		w.WriteByte(')')
	default: // OpNoMatch
		w.err = errors.New("it matches nothing")
	}
}

func (w *patternWriter) group(re *syntax.Regexp) {
	w.WriteString("(?:")
	w.write(re)
	w.WriteByte(')')
}

func (w *patternWriter) repeat(re *syntax.Regexp) {
	w.group(re.Sub[0])
	switch {
	case re.Op == syntax.OpStar:
		w.WriteByte('*')
	case re.Op == syntax.OpPlus:
		w.WriteByte('+')
	case re.Op == syntax.OpQuest:
		w.WriteByte('?')
	case re.Max == re.Min:
		_, _ = fmt.Fprintf(w, "{%d}", re.Min)
	case re.Max < 0:
		_, _ = fmt.Fprintf(w, "{%d,}", re.Min)
	default:
		_, _ = fmt.Fprintf(w, "{%d,%d}", re.Min, re.Max)
	}
}

func (w *patternWriter) literal(r rune, fold bool) {
	if r < firstOfAddress || r > lastOfAddress {
		w.foreign = true
		return
	}
	if letter := r | 0x20; fold && letter >= 'a' && letter <= 'z' {
		_, _ = fmt.Fprintf(w, "[%c%c]", letter, letter&^0x20)
		return
	}
	writeLiteral(&w.Builder, r)
}

// class writes the part of a class that addresses can have.
func (w *patternWriter) class(ranges []rune) {
	var out strings.Builder
	for i := 0; i < len(ranges); i += 2 {
		from, to := max(ranges[i], firstOfAddress), min(ranges[i+1], lastOfAddress)
		if from > to {
			continue
		}
		writeLiteral(&out, from)
		if to > from {
			out.WriteByte('-')
			writeLiteral(&out, to)
		}
	}
	if out.Len() == 0 {
		w.foreign = true
		return
	}
	_, _ = fmt.Fprintf(w, "[%s]", out.String())
}
