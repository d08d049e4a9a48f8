package contract_test

import (
	"net/http"
	"testing"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/testenv"
	"github.com/cobridge/cobridge/docs/openapitest"
	"github.com/cobridge/cobridge/mocks/contract"
)

// The service keeps the contract on a Redis server, and on a cluster of them, as it does
// on its embedded store.
func TestOnRedis(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) string{
		"one server": func(t *testing.T) string { return testenv.StartRedis(t, "--appendonly", "no").URL },
		"cluster":    func(t *testing.T) string { return testenv.StartRedisCluster(t).URL },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			app, clock := openApp(t, func(c *config.Config) { c.Store = url })
			tg := target(app.BaseURL(), &http.Client{Transport: app.Transport()})
			tg.Advance = clock.Advance
			tg.Check = openapitest.NewChecker(t).Check
			ready(t, tg.Client, tg.BaseURL)
			contract.Run(reporter{t}, tg)
		})
	}
}
