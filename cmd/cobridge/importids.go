package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// wanted is what a list of session ids names.
type wanted struct {
	ids     []string // lower-case UUIDs, each once, in the order of the list
	again   int      // how often an id was named again
	invalid []string // one sentence for each line that is none, with its number
}

// maxIDLine is the longest line of a list that can be one, in bytes: an id, and why
// it failed the last time.
const maxIDLine = 1024

var listedID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// readIDs reads a list: one id in each line, comments from # on, blank lines.
func readIDs(in io.Reader) (wanted, error) {
	var list wanted
	seen := map[string]bool{}
	r := bufio.NewReaderSize(in, maxIDLine)
	for number := 1; ; number++ {
		line, err := r.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		text := string(line)
		for errors.Is(err, bufio.ErrBufferFull) { // the rest of it says nothing
			_, err = r.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return wanted{}, fmt.Errorf("read ids: %w", err)
		}
		if number == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		text, _, commented := strings.Cut(text, "#")
		id := strings.ToLower(strings.TrimSpace(text))
		switch {
		case long && !commented:
			list.invalid = append(list.invalid, fmt.Sprintf("line %d is too long for a session id", number))
		case id == "":
		case !listedID.MatchString(id):
			list.invalid = append(list.invalid, fmt.Sprintf("line %d is not a session id: %q", number, excerpt(id)))
		case seen[id]:
			list.again++
		default:
			seen[id] = true
			list.ids = append(list.ids, id)
		}
		if errors.Is(err, io.EOF) {
			return list, nil
		}
	}
}

// excerpt is as much of a line as says which one it is.
func excerpt(text string) string {
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return text
}
