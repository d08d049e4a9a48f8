package bridge

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/engine/redis"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// store is what the service is built on: everything that an engine stores. What one
// engine alone has, a file for instance, is asked for by its type.
type store interface {
	cobrowse.Store
	cobrowse.Index
	cobrowse.Events
	cobrowse.DeploymentStore
	cobrowse.SecretStore
	conversations.Store
	oauth.Store
	knowledge.Store
	notify.Store
	notify.WebhookStore
	notify.Outbox
	io.Closer

	// LastEvent is the sequence of the latest event that is known here.
	LastEvent() uint64
	// Ping fails when nothing can be read or written.
	Ping(ctx context.Context) error
}

var (
	_ store = (*bolt.Store)(nil)
	_ store = (*redis.Store)(nil)
)

// openStore opens the store that the configuration names.
func (a *App) openStore(ctx context.Context, cfg config.Config, o Options) (store, error) {
	if path, ok := strings.CutPrefix(cfg.Store, "bolt:"); ok {
		s, err := bolt.Open(ctx, bolt.Config{Path: path, Log: a.log, Clock: o.Clock, OnCommit: a.metrics.committed, Volatile: o.VolatileStore})
		if err != nil {
			return nil, err // says which store
		}
		return s, nil
	}
	if !cfg.StoredInRedis() {
		kind, _, _ := strings.Cut(cfg.Store, ":")
		return nil, fmt.Errorf("store %s: is not known", kind)
	}
	s, err := redis.Open(ctx, redis.Config{Address: cfg.Store, Log: a.log})
	if err != nil {
		return nil, err // says which store
	}
	return s, nil
}

// liveSessions counts sessions that have not ended, for metrics.
func liveSessions(ctx context.Context, s store) float64 {
	switch s := s.(type) {
	case *bolt.Store:
		return float64(s.Stats().LiveSessions)
	case *redis.Store:
		stats, err := s.Stats(ctx)
		if err != nil {
			return 0 // cobridge_store_up says so
		}
		return float64(stats.LiveSessions)
	default:
		return 0
	}
}

// storeSize is the size of the store's file, 0 if it has none.
func storeSize(s store) float64 {
	if s, ok := s.(*bolt.Store); ok {
		return float64(s.Stats().FileBytes)
	}
	return 0
}
