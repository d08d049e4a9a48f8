package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// roundTripper is a function that answers requests.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// endless counts what is read of a body without end.
type endless struct{ n int64 }

func (c *endless) Read(p []byte) (int, error) {
	if c.n += int64(len(p)); c.n > 256<<20 {
		return 0, io.ErrUnexpectedEOF // a test, too, has an end
	}
	return len(p), nil
}

func (c *endless) Close() error { return nil }

// A service may send without end; verify does not keep all of it.
func TestVerifyAnswerWithoutEnd(t *testing.T) {
	t.Parallel()
	body := &endless{}
	w := newWitness(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Body: body}, nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://service.invalid/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("reading = %v, want that there is too much", err)
	}
	if body.n > 2*mostRead {
		t.Errorf("%d bytes were read, want about %d", body.n, mostRead)
	}
}

// The address of a notification channel is the way into it.
func TestVerifyMasksChannels(t *testing.T) {
	t.Parallel()
	const channel = "7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a01"
	w := newWitness(roundTripper(func(*http.Request) (*http.Response, error) {
		text := `{"connectUri":"wss://service.invalid/channels/` + channel + `","id":"` + channel + `"}`
		return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
	}))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://service.invalid/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if _, shown := w.last(); strings.Contains(shown, channel) {
		t.Errorf("shown: %s, want the channel masked", shown)
	}
}
