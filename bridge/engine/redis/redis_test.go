package redis_test

import (
	"crypto/rand"
	"log/slog"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cobridge/cobridge/bridge/engine/enginetest"
	"github.com/cobridge/cobridge/bridge/engine/redis"
	"github.com/cobridge/cobridge/bridge/testenv"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The driver closes the connections to nodes that it does not need a few seconds late.
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"))
}

func TestEngine(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	enginetest.Run(t, func(t *testing.T) enginetest.Engine { return reopenable(t, fresh(server.URL)) })
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	server := testenv.StartRedis(t, "--appendonly", "no")
	enginetest.RunWebhooks(t, func(t *testing.T) enginetest.Engine { return reopenable(t, fresh(server.URL)) })
}

func TestEngineOnACluster(t *testing.T) {
	t.Parallel()
	cluster := testenv.StartRedisCluster(t)
	open := func(t *testing.T) enginetest.Engine { return reopenable(t, fresh(cluster.URL)) }
	enginetest.Run(t, open)
	t.Run("webhooks", func(t *testing.T) {
		t.Parallel()
		enginetest.RunWebhooks(t, open)
	})
}

// fresh makes an address with a prefix that nobody else has: one server is for many stores.
func fresh(url string) string {
	return url + "?prefix=" + strings.ToLower(rand.Text()) + ":"
}

func reopenable(t *testing.T, address string) enginetest.Engine {
	t.Helper()
	store := mustOpen(t, address)
	return enginetest.Engine{Store: store, Reopen: func(t *testing.T) enginetest.Engine {
		t.Helper()
		if err := store.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		return reopenable(t, address)
	}}
}

// mustOpen opens a store and closes it after the test, unless the test has done so.
func mustOpen(t testing.TB, address string) *redis.Store {
	t.Helper()
	store, err := redis.Open(t.Context(), redis.Config{Address: address, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return store
}
