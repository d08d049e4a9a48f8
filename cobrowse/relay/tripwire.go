package relay

import (
	"bytes"
	"strconv"
	"strings"
)

// maskConstant is what the sharer's script puts in place of each value that it
// masks: a constant, so that not even a length gets out.
const maskConstant = "••••••••"

// maxFields bounds the form fields that are remembered of one page. No page that a
// person fills in has as many.
const maxFields = 1 << 15

// The kinds of events and of incremental events that are told apart, as rrweb
// numbers them: https://github.com/rrweb-io/rrweb/blob/main/packages/types/src/index.ts
const (
	eventFull        = 2
	eventIncremental = 3
	eventMeta        = 4

	sourceMouseMove = 1
	sourceScroll    = 3
	sourceTouchMove = 6
	sourceDrag      = 12
)

// tripwire looks for values that must not leave the sharer's browser in what has
// left it. The script masks them; this catches a broken build of it or a forged
// client. It knows which of a page's fields are private from the serialised tree of
// the full frame and from what was added since, and holds every value that such a
// field gets against the mask.
type tripwire struct {
	scanner
	epoch   uint32
	fields  map[int64]secrecy // by node id: the form fields of this epoch
	above   []level           // of the node that is being read
	found   *MaskingError     // the first one in this frame
	tooMany bool              // private fields
}

// secrecy says why the value of a form field is private. 0: it need not be.
type secrecy uint8

const (
	secretPassword secrecy = 1 << iota // and has been one: a revealed password stays private
	secretFill                         // by its autocomplete
	secretHidden                       // type hidden: has no value at all here, not even a masked one
)

// level is a node on the way to the one that is being read.
type level struct {
	siblings int // where the array starts in which it stands; -1 if in none
	start    int // where it starts
}

// fieldValue is what was read of a field's value, never the value itself.
type fieldValue uint8

const (
	valueAbsent fieldValue = iota
	valueEmpty
	valueMasked
	valueOther
)

// leaks tells whether a field of this secrecy may not have that value.
func (s secrecy) leaks(v fieldValue) bool {
	if s&secretHidden != 0 {
		return v > valueEmpty
	}
	return s != 0 && v == valueOther
}

// eventCount is what was read of the events of one frame.
type eventCount struct {
	n     int
	full  int  // FullSnapshot events
	pair  bool // the first two are Meta and FullSnapshot
	still int  // events that are no movements
}

// fit tells whether these are events that a frame of that mark may have.
func (c eventCount) fit(m mark) bool {
	switch m {
	case markFull:
		return c.n == 2 && c.pair
	case markMove:
		return c.full == 0 && c.still == 0
	default:
		return c.full == 0
	}
}

// events reads the array of events.
func (w *tripwire) events() eventCount {
	var c eventCount
	last := int64(noInteger)
	for more := w.open('['); more && w.more(']'); {
		kind, source := w.event()
		c.n++
		if kind == eventFull {
			c.full++
			c.pair = c.n == 2 && last == eventMeta
		}
		if kind != eventIncremental || (source != sourceMouseMove && source != sourceScroll && source != sourceTouchMove && source != sourceDrag) {
			c.still++
		}
		last = kind
	}
	return c
}

// event reads one event. Its data is read in the same way whatever its kind, so that
// it does not matter which of the two stands first.
func (w *tripwire) event() (kind, source int64) {
	const (
		memberType = 1 << iota
		memberData
	)
	kind, source = noInteger, noInteger
	var seen uint
	tree := false
	for more := w.open('{'); more && w.more('}'); {
		switch string(w.key()) {
		case "type":
			w.once(&seen, memberType)
			kind = w.integer()
		case "data":
			w.once(&seen, memberData)
			source, tree = w.eventData()
		default:
			w.value()
		}
	}
	if kind == noInteger || kind == eventFull && !tree {
		w.fail()
	}
	return kind, source
}

// eventData reads the data of an event: a tree (full snapshot), or nodes added,
// attributes changed or a value typed (incremental).
func (w *tripwire) eventData() (source int64, tree bool) {
	const (
		memberSource = 1 << iota
		memberNode
		memberAdds
		memberAttributes
		memberID
		memberText
	)
	source = noInteger
	if w.next() != '{' {
		w.value()
		return source, false
	}
	id, typed := int64(noInteger), valueAbsent
	var seen uint
	for more := w.open('{'); more && w.more('}'); {
		switch string(w.key()) {
		case "source":
			w.once(&seen, memberSource)
			source = w.integer()
		case "node":
			w.once(&seen, memberNode)
			tree = w.next() == '{'
			w.node(-1)
		case "adds":
			w.once(&seen, memberAdds)
			w.each((*tripwire).added)
		case "attributes":
			w.once(&seen, memberAttributes)
			w.each((*tripwire).changed)
		case "id":
			w.once(&seen, memberID)
			id = w.integer()
		case "text":
			w.once(&seen, memberText)
			typed = w.fieldValue()
		default:
			w.value()
		}
	}
	if w.fields[id].leaks(typed) {
		w.report(id)
	}
	return source, tree
}

// each reads an array of objects with read, and skips whatever else there is.
func (w *tripwire) each(read func(*tripwire)) {
	if w.next() != '[' {
		w.value()
		return
	}
	for more := w.open('['); more && w.more(']'); {
		if w.next() == '{' {
			read(w)
		} else {
			w.value()
		}
	}
}

// added reads one added node.
func (w *tripwire) added() {
	const (
		memberNode = 1 << iota
		memberParent
	)
	before, parent := w.found, int64(noInteger)
	var seen uint
	for more := w.open('{'); more && w.more('}'); {
		switch string(w.key()) {
		case "node":
			w.once(&seen, memberNode)
			w.node(-1)
		case "parentId":
			w.once(&seen, memberParent)
			parent = w.integer()
		default:
			w.value()
		}
	}
	if before == nil && w.found != nil && parent != noInteger {
		w.found.Path = "#" + strconv.FormatInt(parent, 10) + ">" + w.found.Path
	}
}

// changed reads the changed attributes of one node.
func (w *tripwire) changed() {
	const (
		memberID = 1 << iota
		memberAttributes
	)
	id := int64(noInteger)
	var attrs attributes
	var seen uint
	for more := w.open('{'); more && w.more('}'); {
		switch string(w.key()) {
		case "id":
			w.once(&seen, memberID)
			id = w.integer()
		case "attributes":
			w.once(&seen, memberAttributes)
			w.attributes(&attrs)
		default:
			w.value()
		}
	}
	was, isField := w.fields[id]
	if !isField {
		return
	}
	now := attrs.secrecy(was)
	if now != was {
		w.fields[id] = now
	}
	if now.leaks(attrs.value) {
		w.report(id)
	}
}

// node reads a serialised node and those below it. siblings is where the array
// starts in which it stands, -1 if in none. How deep it goes is bounded by the
// levels of the frame.
func (w *tripwire) node(siblings int) {
	const (
		memberTag = 1 << iota
		memberAttributes
		memberChildren
		memberID
	)
	if w.next() != '{' {
		w.value()
		return
	}
	w.above = append(w.above, level{siblings: siblings, start: w.pos})
	id, isField := int64(noInteger), false
	var attrs attributes
	var seen uint
	for more := w.open('{'); more && w.more('}'); {
		switch string(w.key()) {
		case "tagName":
			w.once(&seen, memberTag)
			isField = w.fieldTag()
		case "attributes":
			w.once(&seen, memberAttributes)
			w.attributes(&attrs)
		case "childNodes":
			w.once(&seen, memberChildren)
			w.children()
		case "id":
			w.once(&seen, memberID)
			id = w.integer()
		default:
			w.value()
		}
	}
	if isField && !w.failed {
		s := attrs.secrecy(0)
		w.remember(id, s)
		if w.found == nil && s.leaks(attrs.value) {
			w.found = &MaskingError{Path: w.path()}
		}
	}
	w.above = w.above[:len(w.above)-1]
}

func (w *tripwire) children() {
	if w.next() != '[' {
		w.value()
		return
	}
	array := w.pos
	for more := w.open('['); more && w.more(']'); {
		w.node(array)
	}
}

// fieldTag reads a tag name and tells whether it is that of a form field.
func (w *tripwire) fieldTag() bool {
	if w.next() != '"' {
		w.value()
		return false
	}
	tag := w.text()
	return isWord(tag, "input") || isWord(tag, "textarea") || isWord(tag, "select")
}

// remember keeps a field of this epoch. Those that are not private are remembered
// because an attribute can make them so; of them, some may be forgotten.
func (w *tripwire) remember(id int64, s secrecy) {
	if id == noInteger {
		return
	}
	if _, known := w.fields[id]; !known && len(w.fields) >= maxFields {
		w.tooMany = w.tooMany || s != 0
		return
	}
	if w.fields == nil {
		w.fields = make(map[int64]secrecy)
	}
	w.fields[id] = s
}

// report names a field of which only the id is known here.
func (w *tripwire) report(id int64) {
	if w.found == nil {
		w.found = &MaskingError{Path: "#" + strconv.FormatInt(id, 10)}
	}
}

// attributes is what was read of the attributes of one node.
type attributes struct {
	seen     uint
	kind     string // of those that matter, in lower case: "hidden", "password", "" for all others
	fill     bool   // autocomplete names something private
	password bool   // rrweb's mark of an input that is or was a password
	value    fieldValue
}

const (
	attributeType = 1 << iota
	attributeFill
	attributePassword
	attributeValue
)

// secrecy returns what these attributes make of a field that was private as given.
func (a *attributes) secrecy(was secrecy) secrecy {
	if a.seen&attributeType != 0 {
		was &^= secretHidden
		switch a.kind {
		case "hidden":
			was |= secretHidden
		case "password":
			was |= secretPassword
		}
	}
	if a.password {
		was |= secretPassword
	}
	if a.seen&attributeFill != 0 {
		was &^= secretFill
		if a.fill {
			was |= secretFill
		}
	}
	return was
}

// attributes reads an object of attributes. Names and the values that matter are
// compared as HTML does, without regard to case.
func (w *tripwire) attributes(a *attributes) {
	if w.next() != '{' {
		w.value()
		return
	}
	for more := w.open('{'); more && w.more('}'); {
		switch key := w.key(); {
		case isWord(key, "type"):
			w.once(&a.seen, attributeType)
			switch text := w.textValue(); {
			case isWord(text, "hidden"):
				a.kind = "hidden"
			case isWord(text, "password"):
				a.kind = "password"
			}
		case isWord(key, "autocomplete"):
			w.once(&a.seen, attributeFill)
			a.fill = isPrivateFill(w.textValue())
		case isWord(key, "data-rr-is-password"):
			w.once(&a.seen, attributePassword)
			a.password = w.fieldValue() != valueAbsent
		case isWord(key, "value"):
			w.once(&a.seen, attributeValue)
			a.value = w.fieldValue()
		default:
			w.value()
		}
	}
}

// textValue reads a value and returns it if it is a string.
func (w *tripwire) textValue() []byte {
	if w.next() != '"' {
		w.value()
		return nil
	}
	return w.text()
}

// fieldValue reads what would become the value of a field. null is none; numbers
// and the like become text.
func (w *tripwire) fieldValue() fieldValue {
	switch w.next() {
	case '"':
		switch text := w.text(); {
		case len(text) == 0:
			return valueEmpty
		case string(text) == maskConstant:
			return valueMasked
		}
		return valueOther
	case 'n':
		w.value()
		return valueAbsent
	default:
		w.value()
		return valueOther
	}
}

// isPrivateFill tells whether an autocomplete attribute names a card, a password or
// a one-time code: https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#autofill
func isPrivateFill(text []byte) bool {
	for token := range bytes.FieldsSeq(text) {
		if len(token) > 3 && isWord(token[:3], "cc-") ||
			isWord(token, "one-time-code") || isWord(token, "current-password") || isWord(token, "new-password") {
			return true
		}
	}
	return false
}

// isWord compares text with a word in lower-case ASCII.
func isWord(text []byte, word string) bool {
	return len(text) == len(word) && strings.EqualFold(string(text), word)
}
