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
		`{"t":"act"}`:             "act",
		"\n{ \"t\" :\t\"act\" } ": "act",
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

	frames := regexp.MustCompile("(?m)^\\| `(\\w+)` \\|")
	_, rest, _ := strings.Cut(string(data), "From the client:")
	in, rest, _ := strings.Cut(rest, "To the client:")
	out, _, _ := strings.Cut(rest, "## Close codes")
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
