package stream_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/cobridge/cobridge/bridge/stream"
)

func TestDecodeFrame(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"t":"hello","v":1,"token":"x.y.z","tab":"5f0d"}`:                              "hello",
		`{"t":"hello","v":1,"participant":"p","resume":{"token":"s"},"sdk":"of later"}`: "hello",
		`{"t":"ctl","n":1,"e":1,"k":"click","id":3}`:                                    "ctl",
		`{"t":"ctl","n":1,"e":1,"k":"erase"}`:                                           "",
		`{"t":"ctl","n":1,"e":1,"k":"text","v":7}`:                                      "",
		`{"t":"ctl","n":-1,"e":1,"k":"back"}`:                                           "",
		`{"t":"draw","n":1,"k":"begin","pts":[[1,2],[3]],"color":"#f00"}`:               "draw",
		`{"t":"draw","n":1,"k":"begin","color":"url(x)<"}`:                              "",
		`{"t":"draw","n":1,"k":"burn"}`:                                                 "",
		`{"t":"ptr","x":1,"y":2,"id":null}`:                                             "ptr",
		`{"t":"ptr","x":"1"}`:                                                           "",
		`{"t":"consent","kind":"control","ok":true,"to":"p","ttl":-1}`:                  "",
		`{"t":"consent","kind":"control","ok":true,"to":"p","ttl":60}`:                  "consent",
		`{"t":"done","to":"p","n":1,"ok":false,"why":"gone","path":"a"}`:                "done",
		`{"t":"revoke"}`:                                            "revoke",
		`{"t":"need"}`:                                              "need",
		`{"t":"pause","on":true,"why":"page"}`:                      "pause",
		`{"t":"vis","hidden":true}`:                                 "vis",
		`{"t":"focus","e":1,"id":2,"masked":true}`:                  "focus",
		`{"t":"ask","n":1,"kind":"control"}`:                        "ask",
		`{"t":"act"}`:                                               "act",
		"\n{ \"t\" :\t\"act\" } ":                                   "act",
		`{"t":"page","url":"https://shop.example/","title":"Shop"}`: "page",
		`{"t":"end","why":"exit"}`:                                  "end",
		`{"t":"ev","e":1,"s":1,"b":[]}`:                             "unknown",
		`{"t":""}`:                                                  "unknown",
		`{"t":"later\u0020"}`:                                       "",
		`{"t":"hello"}`:                                             "",
		`{"t":"act"`:                                                "",
		`{"t"`:                                                      "",
		`{`:                                                         "",
		`null`:                                                      "",
		``:                                                          "",
	} {
		got, err := stream.DecodeFrame([]byte(text))
		if got != want || (err != nil) != (want == "") {
			t.Errorf("DecodeFrame(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzDecodeFrame(f *testing.F) {
	for _, seed := range []string{
		`{"t":"hello","v":1,"token":"eyJhbGciOiJIUzI1NiJ9.e30.c2ln","tab":"5f0d"}`, `{"t":"hello","v":1,"participant":"p","resume":{"token":"s"}}`,
		`{"t":"act"}`, `{"t":"page","url":"https://shop.example/cart","title":"Cart"}`, `{"t":"end"}`, `{"t":"ev","b":[[[]]]}`, `{"t":"\`, "{\"t\":\"act\",\"\xff\":1}",
		`{"t":"ctl","n":1,"e":1,"k":"text","id":3,"v":"x","key":"Tab","x":1.5,"y":-1e308,"url":"/a"}`, `{"t":"done","to":"p","n":1,"ok":false,"why":"gone","path":"a>b"}`,
		`{"t":"draw","n":1,"k":"begin","pts":[[1,2],[3,4]],"color":"#ff0000","sx":0,"sy":10}`, `{"t":"ptr","x":1,"y":2,"id":3,"fx":0.5,"fy":0.5,"down":true}`,
		`{"t":"consent","kind":"control","ok":true,"to":"p","n":1,"ttl":60,"text":"v1"}`, `{"t":"revoke","kind":"draw","participant":"p"}`,
		`{"t":"focus","e":1,"id":2,"masked":true}`, `{"t":"vis","hidden":false}`, `{"t":"pause","on":true,"why":"customer"}`, `{"t":"ask","n":1,"kind":"navigate"}`,
	} {
		f.Add([]byte(seed))
	}
	kinds := append(stream.Inbound(), "unknown")
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, err := stream.DecodeFrame(data)
		if err != nil {
			if kind != "" {
				t.Errorf("a refused frame has the kind %q", kind)
			}
			return
		}
		// What passes is what the protocol says it is, by another decoder's word.
		var object map[string]json.RawMessage
		if err := json.Unmarshal(data, &object); err != nil || !utf8.Valid(data) {
			t.Fatalf("passed, but is no JSON object in UTF-8: %v", err)
		}
		if _, ok := object["t"]; !ok {
			t.Error("passed without t")
		}
		if !slices.Contains(kinds, kind) {
			t.Errorf("kind %q is not in the closed set", kind)
		}
	})
}

// docs/protocol.md is what others write their clients by.
func TestProtocolDocument(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, codes, found := strings.Cut(string(data), "## Close codes")
	if !found {
		t.Fatal("the document has no close codes")
	}
	var got, want []string
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \| (\w+) \| (\w+) \|`).FindAllStringSubmatch(codes, -1) {
		got = append(got, strings.Join(row[1:], " "))
	}
	for _, c := range stream.CloseCodes() {
		want = append(want, fmt.Sprintf("%d %s %s", c.Number, c.Name, c.Again))
	}
	if !slices.Equal(got, want) {
		t.Errorf("close codes of the document:\n%q\nof the code:\n%q", got, want)
	}

	// Tables whose first column is a word in code.
	for title, want := range map[string][]string{
		"### States": stream.States(), "### Quality": stream.Qualities(), "\n| `k` |": stream.ControlKinds(), "\n| `why` |": stream.Refusals(),
	} {
		_, table, _ := strings.Cut(string(data), title)
		_, table, _ = strings.Cut(table, "|---|")
		table, _, _ = strings.Cut(table, "\n\n")
		var got []string
		for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|").FindAllStringSubmatch(table, -1) {
			got = append(got, row[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s of the document: %q, of the code: %q", strings.TrimSpace(title), got, want)
		}
	}

	frames := regexp.MustCompile("(?m)^\\| `(\\w+)` \\|")
	_, rest, _ := strings.Cut(string(data), "From the client:")
	in, rest, _ := strings.Cut(rest, "To the client:")
	out, _, _ := strings.Cut(rest, "### States")
	for text, want := range map[string][]string{in: stream.Inbound(), out: stream.Outbound()} {
		var got []string
		for _, row := range frames.FindAllStringSubmatch(text, -1)[1:] { // without the head
			got = append(got, row[1])
		}
		if !slices.Equal(got, want) {
			t.Errorf("frames of the document: %q, of the code: %q", got, want)
		}
	}
}
