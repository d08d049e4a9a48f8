package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

const mask = "••••••••"

func input(id int, attributes string) string {
	return fmt.Sprintf(`{"type":2,"tagName":"input","attributes":{%s},"childNodes":[],"id":%d}`, attributes, id)
}

func wantMasking(t *testing.T, err error, path string) {
	t.Helper()
	masking, ok := errors.AsType[*relay.MaskingError](err)
	switch {
	case path == "" && err != nil:
		t.Errorf("Receive = %v, want nil", err)
	case path != "" && !ok:
		t.Errorf("Receive = %v, want a MaskingError", err)
	case path != "" && masking.Path != path:
		t.Errorf("path = %q, want %q", masking.Path, path)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error tells the value: %v", err)
	}
}

func TestTripwireInSnapshots(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, nodes string
		path        string // "" if nothing is wrong
	}{
		{"no fields", ``, ""},
		{"a visible text", input(9, `"type":"text","value":"hunter2"`), ""},
		{"a password masked", input(9, `"type":"password","value":"`+mask+`"`), ""},
		{"a password masked, escaped", input(9, `"type":"password","value":"`+strings.Repeat(`\u2022`, 8)+`"`), ""},
		{"an empty password", input(9, `"type":"password","value":""`), ""},
		{"a password without a value", input(9, `"type":"password"`), ""},
		{"a password with null", input(9, `"type":"password","value":null`), ""},
		{"a hidden one without a value", input(9, `"type":"hidden","name":"csrf"`), ""},
		{"a hidden one, empty", input(9, `"type":"hidden","value":""`), ""},
		{"a button of the form", `{"type":2,"tagName":"button","attributes":{"type":"submit","value":"hunter2"},"childNodes":[],"id":9}`, ""},
		{"autocomplete of a name", input(9, `"autocomplete":"section-a given-name","value":"Kim"`), ""},
		{"autocomplete that only looks like it", input(9, `"autocomplete":"cc-","value":"x"`), ""},

		{"a password", input(9, `"type":"password","value":"hunter2"`), "html>body>input"},
		{"a password, value first", input(9, `"value":"hunter2","type":"password"`), "html>body>input"},
		{"stars that tell the length", input(9, `"type":"password","value":"*******"`), "html>body>input"},
		{"another length of the mask", input(9, `"type":"password","value":"•••"`), "html>body>input"},
		{"upper case", strings.ReplaceAll(input(9, `"TYPE":"PASSWORD","VALUE":"hunter2"`), `"input"`, `"INPUT"`), "html>body>input"},
		{"a number", input(9, `"type":"password","value":4711`), "html>body>input"},
		{"a revealed password", input(9, `"type":"text","data-rr-is-password":"true","value":"hunter2"`), "html>body>input"},
		{"a card", input(9, `"autocomplete":"cc-number","value":"4111"`), "html>body>input"},
		{"a card of a section", input(9, `"autocomplete":"section-pay billing CC-Exp","value":"12/29"`), "html>body>input"},
		{"a one-time code", input(9, `"autocomplete":"one-time-code","value":"123456"`), "html>body>input"},
		{"a current password", input(9, `"autocomplete":"current-password","value":"hunter2"`), "html>body>input"},
		{"a new password", input(9, `"autocomplete":"new-password","value":"hunter2"`), "html>body>input"},
		{"a month to choose", `{"type":2,"tagName":"select","attributes":{"autocomplete":"cc-exp-month","value":"12"},"childNodes":[],"id":9}`, "html>body>select"},
		{"a hidden one", input(9, `"type":"hidden","value":"hunter2"`), "html>body>input"},
		{"a hidden one, masked", input(9, `"type":"hidden","value":"`+mask+`"`), "html>body>input"},
		{
			"the third one of a form",
			`{"type":2,"tagName":"form","attributes":{},"childNodes":[` + input(11, "") + `,{"type":3,"textContent":"and","id":12},` + input(13, "") + `,` +
				`{"type":2,"tagName":"p","attributes":{},"childNodes":[],"id":14},` + input(15, `"type":"password","value":"hunter2"`) + `],"id":10}`,
			"html>body>form>input[3]",
		},
		{
			"in a shadow root, members in another order",
			`{"id":10,"childNodes":[{"value":1,"isShadow":true,"id":11,"attributes":{"value":"hunter2","type":"password"},"childNodes":[],"tagName":"input","type":2}],` +
				`"isShadowHost":true,"attributes":{},"tagName":"x-login","type":2}`,
			"html>body>x-login>input",
		},
		{"names in disguise", `{"type":2,"t\u0061gName":"\u0069nput","attri\u0062utes":{"typ\u0065":"pass\u0077ord","v\u0061lue":"hunter2"},"childNodes":[],"id":9}`, "html>body>input"},
		{
			"a tag that is none",
			`{"type":2,"tagName":"hunter2 is it","attributes":{},"childNodes":[` + input(9, `"type":"password","value":"hunter2"`) + `],"id":8}`,
			"html>body>?>input",
		},
		{"the first of several is named", input(9, `"type":"password","value":"hunter2"`) + "," + input(10, `"type":"hidden","value":"hunter2"`), "html>body>input"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			room := relay.NewRooms(relay.DefaultLimits()).Open()
			defer room.Close()
			v := newViewer(t, "ada", relay.DefaultLimits())
			room.Join(v.queue)
			wantMasking(t, room.Receive(evFrame(1, 1, "full", fullEvents(tt.nodes))), tt.path)
			if got := len(v.queue.Take(nil)); (got > 0) != (tt.path == "") {
				t.Errorf("the viewer got %d frames", got)
			}
		})
	}
}

func TestTripwireRefusesTwoMembersOfOneName(t *testing.T) {
	t.Parallel()
	for name, node := range map[string]string{
		"types":      input(9, `"type":"password","type":"text","value":"hunter2"`),
		"values":     input(9, `"type":"password","value":"","value":"hunter2"`),
		"cases":      input(9, `"type":"password","value":"","VALUE":"hunter2"`),
		"attributes": `{"type":2,"tagName":"input","attributes":{"type":"password"},"attributes":{"value":"hunter2"},"id":9}`,
		"tags":       `{"type":2,"tagName":"p","tagName":"input","attributes":{"type":"password","value":"hunter2"},"id":9}`,
		"ids":        `{"type":2,"tagName":"input","attributes":{"type":"password"},"id":9,"i\u0064":10}`,
		"children":   `{"type":2,"tagName":"p","attributes":{},"childNodes":[],"childNodes":[` + input(9, `"type":"hidden","value":"x"`) + `],"id":8}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			room := relay.NewRooms(relay.DefaultLimits()).Open()
			defer room.Close()
			wantErr(t, "Receive", room.Receive(evFrame(1, 1, "full", fullEvents(node))), relay.ErrBadFrame)
		})
	}
}

func incremental(data string) string { return `{"type":3,"data":` + data + `,"timestamp":1}` }

func TestTripwireInChanges(t *testing.T) {
	t.Parallel()
	// 20 is a password, 21 hidden, 22 a visible text, 23 a card, 24 no field at all.
	page := fullEvents(input(20, `"type":"password"`) + "," + input(21, `"type":"hidden"`) + "," + input(22, `"type":"text","value":"Kim"`) + "," +
		input(23, `"autocomplete":"cc-number","value":"`+mask+`"`) + `,{"type":2,"tagName":"x-field","attributes":{},"childNodes":[],"id":24}`)
	typed := func(id int, text string) string {
		return incremental(fmt.Sprintf(`{"source":5,"text":%q,"isChecked":false,"id":%d}`, text, id))
	}
	set := func(id int, attributes string) string {
		return incremental(fmt.Sprintf(`{"source":0,"texts":[],"attributes":[{"id":%d,"attributes":{%s}}],"removes":[],"adds":[]}`, id, attributes))
	}
	add := func(nodes ...string) string {
		for i, n := range nodes {
			nodes[i] = `{"parentId":5,"nextId":null,"node":` + n + `}`
		}
		return incremental(`{"source":0,"texts":[],"attributes":[],"removes":[],"adds":[` + strings.Join(nodes, ",") + `]}`)
	}
	for _, tt := range []struct {
		name   string
		events []string // one frame each; the last one is judged
		path   string
	}{
		{"typing into a visible text", []string{typed(22, "hunter2")}, ""},
		{"typing into a password, masked", []string{typed(20, mask)}, ""},
		{"emptying a password", []string{typed(20, "")}, ""},
		{"a password is typed", []string{typed(20, "hunter2")}, "#20"},
		{"a password is typed, members in another order", []string{incremental(`{"id":20,"isChecked":false,"text":"hunter2","source":5}`)}, "#20"},
		{"a password is typed, the id in disguise", []string{incremental(`{"source":5,"text":"hunter2","id":2.0e1}`)}, "#20"},
		{"a card is typed", []string{typed(23, "4111")}, "#23"},
		{"a hidden one changes", []string{typed(21, mask)}, "#21"},
		{"the value of a password", []string{set(20, `"value":"hunter2"`)}, "#20"},
		{"the value of a password, masked", []string{set(20, `"value":"`+mask+`"`)}, ""},
		{"the value of a password is taken away", []string{set(20, `"value":null`)}, ""},
		{"the value of a hidden one", []string{set(21, `"value":"hunter2"`)}, "#21"},
		{"the value of a visible text", []string{set(22, `"value":"hunter2"`)}, ""},
		{"the value of no field", []string{set(24, `"type":"password","value":"hunter2"`)}, ""},
		{"a text turns into a password", []string{set(22, `"type":"password"`), typed(22, "hunter2")}, "#22"},
		{"a text turns into a password at once", []string{set(22, `"value":"hunter2","type":"password"`)}, "#22"},
		{"a text turns into a card", []string{set(22, `"autocomplete":"cc-csc"`), typed(22, "123")}, "#22"},
		{"a card turns into a text", []string{set(23, `"autocomplete":"off"`), typed(23, "hello")}, ""},
		{"a password is revealed", []string{set(20, `"type":"text"`), typed(20, "hunter2")}, "#20"},
		{"a hidden one is shown", []string{set(21, `"type":"text"`), typed(21, "hello")}, ""},
		{"a password is added", []string{add(input(30, `"type":"password"`)), typed(30, "hunter2")}, "#30"},
		{"a password is added with its value", []string{add(input(30, ``), input(31, `"type":"password","value":"hunter2"`))}, "#5>input"},
		{"a form is added", []string{add(`{"type":2,"tagName":"form","attributes":{},"childNodes":[` + input(30, "") + "," + input(31, `"type":"hidden","value":"1"`) + `],"id":29}`)}, "#5>form>input[2]"},
		{"in a batch of others", []string{typed(22, "a") + "," + set(22, `"class":"b"`) + "," + typed(20, "hunter2")}, "#20"},
		{"a style sheet's rules are no nodes", []string{incremental(`{"source":8,"id":4,"adds":[{"rule":".a{}","index":0}]}`)}, ""},
		{"ids of what a checkout no longer has", []string{"FULL", typed(20, "hunter2")}, ""},
		{"ids of the page before", []string{"RELOAD", typed(20, "hunter2")}, ""},
		{"ids of the page before, without a full frame", []string{"EPOCH", typed(20, "hunter2")}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			room := relay.NewRooms(relay.DefaultLimits()).Open()
			defer room.Close()
			epoch, seq := uint32(1), uint64(1)
			if err := room.Receive(evFrame(epoch, seq, "full", page)); err != nil {
				t.Fatal(err)
			}
			for i, events := range tt.events {
				seq++
				kind := ""
				switch events {
				case "RELOAD":
					epoch, seq, kind, events = 2, 1, "full", fullEvents("")
				case "EPOCH":
					epoch, seq, events = 2, 1, typed(9, "x")
				case "FULL":
					kind, events = "full", fullEvents("")
				}
				err := room.Receive(evFrame(epoch, seq, kind, events))
				if i < len(tt.events)-1 {
					wantMasking(t, err, "")
				} else {
					wantMasking(t, err, tt.path)
				}
			}
		})
	}
}

// Frames that somebody made in order to hurt: they are refused or relayed, in
// bounded time and memory.
func TestTripwireOnHostileFrames(t *testing.T) {
	t.Parallel()
	l := relay.DefaultLimits()
	fill := func(part string) string {
		return strings.TrimSuffix(strings.Repeat(part, (l.FullBytes-4000)/len(part)), ",")
	}
	nested := func(n int) string {
		return strings.Repeat(`{"tagName":"p","childNodes":[`, n) + input(9, `"type":"password","value":"hunter2"`) + strings.Repeat(`]}`, n)
	}
	for _, tt := range []struct {
		name, nodes string
		want        error // nil: a MaskingError
	}{
		{"a tree of brackets", fill("["), relay.ErrBadFrame},
		{"a deep tree", nested(60_000), relay.ErrBadFrame},
		{"as deep as it may be", nested(90), nil},
		{"many leaks", fill(input(9, `"type":"hidden","value":"hunter2"`) + ","), nil},
		{"many leaks, names last", fill(`{"attributes":{"type":"hidden","value":"hunter2"},"childNodes":[],"id":9,"tagName":"input"},`), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			room := relay.NewRooms(l).Open()
			defer room.Close()
			err := room.Receive(evFrame(1, 1, "full", fullEvents(tt.nodes)))
			if _, masking := errors.AsType[*relay.MaskingError](err); masking != (tt.want == nil) || !masking && !errors.Is(err, tt.want) {
				t.Errorf("Receive = %v, want %v", err, tt.want)
			}
		})
	}

	t.Run("more fields than anybody fills in", func(t *testing.T) {
		t.Parallel()
		room := relay.NewRooms(l).Open()
		defer room.Close()
		many := func(from, n int, attributes string) string {
			nodes := make([]string, n)
			for i := range nodes {
				nodes[i] = input(from+i, attributes)
			}
			return strings.Join(nodes, ",")
		}
		// Of fields that are not private, some may be forgotten.
		if err := room.Receive(evFrame(1, 1, "full", fullEvents(many(10, 40_000, "")))); err != nil {
			t.Errorf("Receive of many visible fields = %v, want nil", err)
		}
		err := room.Receive(evFrame(1, 2, "full", fullEvents(many(10, 40_000, `"type":"hidden"`))))
		wantErr(t, "Receive of many private fields", err, relay.ErrTooLarge)
	})
}
