package mocks_test

import (
	"net/http"
	"path"
	"strings"
	"testing"

	"github.com/cobridge/cobridge/mocks"
)

// One session created and one join token issued for it, through httpmock and the
// whole service. It is meant for one core: GOMAXPROCS=1, or -cpu 1.
func BenchmarkCreateAndToken(b *testing.B) {
	m := mocks.New(b)
	bearer := "Bearer " + m.AccessToken()
	client := m.HTTPClient()
	post := func(path, body string, want int) http.Header {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, m.BaseURL+path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", bearer)
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			b.Fatalf("POST %s = %d, want %d", path, resp.StatusCode, want)
		}
		return resp.Header
	}
	const stock = 1000 // conversations that are there before the clock runs; each has room for one session
	var waiting []string
	b.ReportAllocs()
	for b.Loop() {
		if len(waiting) == 0 {
			b.StopTimer()
			m.ForgetCalls()
			for range stock {
				waiting = append(waiting, m.StartConversation("message"))
			}
			b.StartTimer()
		}
		conversation := waiting[0]
		waiting = waiting[1:]
		created := post("/api/v2/cobrowse/sessions", `{"conversationId":"`+conversation+`","participants":[{"userId":"`+m.AgentUserID+`","role":"agent"},{"userId":"`+m.SupervisorUserID+`","role":"supervisor"}]}`, http.StatusCreated)
		post("/api/v2/cobrowse/sessions/"+path.Base(created.Get("Location"))+"/participants/"+m.AgentUserID+"/tokens", "", http.StatusOK)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
}
