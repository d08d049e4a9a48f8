package relay_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cobridge/cobridge/cobrowse/relay"
)

// FuzzReceive holds Receive against encoding/json: what is relayed is JSON whose
// head says the same to every parser, and nothing panics.
func FuzzReceive(f *testing.F) {
	// The frame of docs/protocol.md, one of each mark, and what the tests refuse.
	f.Add([]byte(`{"t":"ev","e":1,"s":1,"c":1732200000000,"k":"full","b":[` + fullEvents(input(9, `"type":"password","value":"`+mask+`"`)) + `]}`))
	f.Add(evFrame(1, 2, "", incremental(`{"source":0,"texts":[],"attributes":[{"id":9,"attributes":{"value":"x"}}],"removes":[],"adds":[{"parentId":5,"nextId":null,"node":`+input(9, `"type":"hidden"`)+`}]}`)))
	f.Add(evFrame(1, 2, "", incremental(`{"source":5,"text":"\ud83d\ude00\"\\","isChecked":true,"id":9}`)))
	f.Add(evFrame(1, 2, "move", incremental(`{"source":1,"positions":[{"x":1,"y":-2.5e3,"id":9,"timeOffset":0}]}`)))
	f.Add(evFrame(1, 2, "full", incremental(`{}`)))
	f.Add(evFrame(4294967295, 9007199254740991, "", ""))
	f.Add([]byte(`{"t":"ev","e":1,"s":1,"c":1,"b":[],"s":2}`))
	f.Add([]byte(`{"t":"ev","e":01,"s":1,"c":1,"b":[[[[` + strings.Repeat("[", 200)))
	f.Fuzz(func(t *testing.T, data []byte) {
		room := relay.NewRooms(relay.DefaultLimits()).Open()
		defer room.Close()
		v := newViewer(t, "ada", relay.DefaultLimits())
		room.Join(v.queue)
		err := room.Receive(data)
		_, masking := errors.AsType[*relay.MaskingError](err)
		if err != nil && !masking && !errors.Is(err, relay.ErrBadFrame) && !errors.Is(err, relay.ErrTooLarge) {
			t.Fatalf("Receive = %v, which is none of its failures", err)
		}
		if err != nil {
			if _, seq := room.Have(); seq != 0 || len(v.queue.Take(nil)) != 0 {
				t.Fatal("a refused frame left traces")
			}
			return
		}
		var m struct {
			T string            `json:"t"`
			E uint32            `json:"e"`
			S uint64            `json:"s"`
			K *string           `json:"k"`
			B []json.RawMessage `json:"b"`
		}
		if !utf8.Valid(data) || json.Unmarshal(data, &m) != nil {
			t.Fatalf("relayed %q, which is no JSON", data)
		}
		if m.T != "ev" || m.E == 0 || m.S == 0 {
			t.Fatalf("relayed %+v", m)
		}
		full := m.K != nil && *m.K == "full"
		if e, seq := room.Have(); e != m.E || full && seq != m.S || !full && seq != 0 {
			t.Fatalf("has %d/%d after %d/%d", e, seq, m.E, m.S)
		}
		if got := len(v.queue.Take(nil)); full && got != 2 || !full && got != 0 {
			t.Fatalf("the viewer got %d frames after full = %t", got, full)
		}
	})
}

// FuzzScan holds the scanner against encoding/json, which knows the same grammar.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-0,0.5,1e9,2E-3,true,false,null,"x"],"b":{}}`, ` [ ] `, `01`, `-`, `1.`, `.5`, `1e`, `+1`, `tru`, `nul`, `""`, `"\u00e9\n\/"`, `"\x"`, `"\u12"`,
		"\"\x1f\"", "\"0123456\x00\"", `"abcdefg"`, `"abcdefgh"`, `"abcdefghi\"jklmnopqrs"`, `[1,]`, `{"a":1,}`, `{"a"}`, `{1:2}`, `[1 2]`, `[,1]`, `{,}`, `1 1`, ``, ` `, "\"\x7f\x80\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if got, want := relay.Valid(data, 9000), json.Valid(data); got != want {
			t.Errorf("Valid(%q) = %t, want %t", data, got, want)
		}
		var want string
		if got, ok := relay.Text(data); ok && utf8.Valid(data) {
			if err := json.Unmarshal(data, &want); err != nil || got != want {
				t.Errorf("Text(%q) = %q, want %q (%v)", data, got, want, err)
			}
		}
	})
}
