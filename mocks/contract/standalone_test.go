package contract_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/mocks"
	"github.com/cobridge/cobridge/mocks/contract"
)

// standalone returns "cobridge mock" as a target: the double for other languages, in
// its own process, whose clock is turned over its admin API.
func standalone(t *testing.T) contract.Target {
	t.Helper()
	p := startProcess(t, "mock", "--json", "--legacy")
	admin := func(method, path, body string, out any) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, p.baseURL+mocks.AdminPath+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := p.client.Do(req)
		if err != nil {
			t.Fatalf("%s %s of the admin API: %v", method, path, err)
		}
		defer func() { _ = resp.Body.Close() }()
		if err := json.NewDecoder(resp.Body).Decode(out); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s of the admin API = %d, %v", method, path, resp.StatusCode, err)
		}
	}
	var info struct {
		Reader, Other                contract.Credentials
		IncapableUserID, OtherUserID string
	}
	admin(http.MethodGet, "/info", "", &info)
	return contract.Target{
		BaseURL: p.baseURL, Client: p.client, Credentials: contract.Credentials{ClientID: p.demo.ClientID, ClientSecret: p.demo.ClientSecret},
		Other: info.Other, Limited: info.Reader,
		AgentUserID: p.demo.AgentUserID, SupervisorUserID: p.demo.SupervisorUserID, IncapableUserID: info.IncapableUserID, OtherUserID: info.OtherUserID,
		Knowledge: "/gks-server/v1", Legacy: contract.Legacy{BasePath: "/cobrowse", Page: mocks.SiteOrigin},
		Advance: func(d time.Duration) {
			t.Helper()
			body, err := json.Marshal(map[string]float64{"advanceSeconds": d.Seconds()})
			if err != nil {
				t.Fatal(err)
			}
			var clock struct{ Now time.Time }
			admin(http.MethodPost, "/clock", string(body), &clock)
		},
	}
}

// The stand-alone double keeps the contract, expiry and legacy surfaces included.
func TestStandalone(t *testing.T) {
	t.Parallel()
	tg := standalone(t)
	tg.Check = openapitest.NewChecker(t).Check
	contract.Run(whole{reporter{t}}, tg)
}
