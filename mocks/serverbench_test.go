package mocks_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cobridge/cobridge/mocks"
)

// One call through the stand-alone double, without the client and the outer socket.
func BenchmarkServer(b *testing.B) {
	s, err := mocks.NewServer(b.Context(), mocks.ServerOptions{BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:1/version", http.NoBody))
		if w.Code != http.StatusOK {
			b.Fatalf("GET /version = %d", w.Code)
		}
	}
}
