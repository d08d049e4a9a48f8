package maskproof

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/cobridge/cobridge/bridge/devtools"
)

// Secret is a text that must not be found.
type Secret struct {
	ID    string `json:"id"`
	Where string `json:"where"` // on the page, in words
	text  string // drawn anew for each proof; in no report
}

// alphabet has no letter that is common in markup, so that pieces of a secret are
// found by chance nowhere.
const alphabet = "BCDFGHJKLMNPQRSTVWXZ0123456789"

// draw returns random text of n characters: 30 bits in six of them.
func draw(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: https://pkg.go.dev/crypto/rand#Read
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// piece is how many characters of a secret count as having leaked, in a row.
const piece = 8

// needle is one way in which a secret, or a piece of it, could be written.
type needle struct {
	as   string
	text []byte
}

// needles returns what to look for: each piece as it is, and the whole in the
// encodings that scripts know. Percent-encoding and JSON leave the alphabet alone.
func (s Secret) needles() []needle {
	var all []needle
	for i := range len(s.text) - piece + 1 {
		all = append(all, needle{"as it is", []byte(s.text[i : i+piece])})
	}
	reversed := []byte(s.text)
	slices.Reverse(reversed)
	all = append(all, needle{"backwards", reversed[:piece]}, needle{"in hexadecimal", []byte(hex.EncodeToString([]byte(s.text)))})
	for shift := range 3 {
		// What stands before it shifts the bits; the characters at both ends mix
		// with the neighbours.
		encoded := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), s.text...))
		first := (shift*8 + 5) / 6
		all = append(all, needle{"in base64", []byte(encoded[first : len(encoded)-2])})
	}
	return append(all, needle{"in lower case", bytes.ToLower([]byte(s.text))})
}

// Found is a place where a secret was found.
type Found struct {
	Secret Secret `json:"secret"`
	As     string `json:"as"`
	Where  string `json:"where"` // a kind of traffic
	Count  int    `json:"count"` // of messages that have it
}

// tap collects everything that leaves the page or reaches somebody, by kind.
type tap struct {
	mu       sync.Mutex
	order    []string
	messages map[string][][]byte
}

func newTap() *tap { return &tap{messages: map[string][][]byte{}} }

func (t *tap) add(kind string, data []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.messages[kind]; !ok {
		t.order = append(t.order, kind)
	}
	t.messages[kind] = append(t.messages[kind], data)
}

// The kinds of traffic.
const (
	sentFrames     = "frames sent by the customer's page"
	sentRequests   = "requests of the customer's page (address, headers, body)"
	viewerFrames   = "frames that the viewer's browser got"
	viewerPicture  = "the picture in the viewer's browser"
	viewerRequests = "requests of the viewer's browser"
)

// hear returns a listener for the events of a page. Requests to the page's own
// site are left out: what a site tells itself is its own affair.
func (t *tap) hear(site, received, sent, requests string) func(devtools.Event) {
	return func(e devtools.Event) {
		var p struct {
			Response struct{ PayloadData string }
			Request  struct {
				URL      string
				PostData string
				Headers  json.RawMessage
			}
			URL string
		}
		if json.Unmarshal(e.Params, &p) != nil {
			return
		}
		switch e.Method {
		case "Network.webSocketFrameSent":
			t.add(sent, []byte(p.Response.PayloadData))
		case "Network.webSocketFrameReceived":
			t.add(received, []byte(p.Response.PayloadData))
		case "Network.requestWillBeSent":
			if site == "" || !strings.HasPrefix(p.Request.URL, site+"/") {
				t.add(requests, slices.Concat([]byte(p.Request.URL+"\n"+p.Request.PostData+"\n"), p.Request.Headers))
			}
		case "Network.webSocketCreated":
			t.add(requests, []byte(p.URL))
		}
	}
}

// Traffic says how much of one kind was searched.
type Traffic struct {
	Kind     string `json:"kind"`
	Messages int    `json:"messages"`
	Bytes    int    `json:"bytes"`
}

func (t *tap) traffic() []Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []Traffic
	for _, kind := range t.order {
		n := 0
		for _, m := range t.messages[kind] {
			n += len(m)
		}
		all = append(all, Traffic{Kind: kind, Messages: len(t.messages[kind]), Bytes: n})
	}
	return all
}

// count returns in how many messages of a kind a text is.
func (t *tap) count(kind string, text []byte) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, m := range t.messages[kind] {
		if bytes.Contains(m, text) {
			n++
		}
	}
	return n
}

// search returns where a secret is, each kind of traffic and way of writing once.
func (t *tap) search(s Secret) []Found {
	var found []Found
	for _, traffic := range t.traffic() {
		for _, n := range s.needles() {
			count := t.count(traffic.Kind, n.text)
			known := slices.ContainsFunc(found, func(f Found) bool { return f.Where == traffic.Kind && f.As == n.as })
			if count > 0 && !known {
				found = append(found, Found{Secret: s, As: n.as, Where: traffic.Kind, Count: count})
			}
		}
	}
	return found
}
