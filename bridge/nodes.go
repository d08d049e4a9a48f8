package bridge

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/bridge/cluster/tunnel"
	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

// openNodes makes this process one of those that serve the store, if that can be served
// by several: else there is no node and everything is here.
func (a *App) openNodes(ctx context.Context) error {
	shared, ok := a.store.(cluster.Store)
	if !ok {
		return nil
	}
	key, err := a.store.Secret(ctx, "node-key", []byte(uuid.NewString()+uuid.NewString())) // 244 random bits
	if err != nil {
		return fmt.Errorf("read the key of the nodes: %w", err)
	}
	var roots *tls.Config
	if file := a.cfg.Cluster.CAFile; file != "" {
		pem, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return fmt.Errorf("read cluster.caFile: %w", err)
		}
		roots = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
		if !roots.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New("read cluster.caFile: it has no certificate")
		}
	}
	a.node, err = cluster.New(ctx, cluster.Config{
		Store: shared, Clock: wall, Log: a.log, Address: a.cfg.NodeAddress(), Beat: a.cfg.Cluster.Heartbeat, Life: a.cfg.Cluster.DeadAfter, Gone: a.closeLinksOf,
	})
	if err != nil {
		return err
	}
	a.untold = make(chan news, waitingNews)
	a.tunnels = tunnel.New(tunnel.Config{Node: a.node, Key: key, Clock: wall, Log: a.log, TLS: roots, Metrics: a.metrics.tunnels()})
	a.metrics.nodes(a.node.Stats)
	return nil
}

// nodeName returns who names this process; nil where there is no other.
func (a *App) nodeName() func() string {
	if a.node == nil {
		return nil
	}
	return a.node.ID
}

// recover closes the links of processes that are gone: of the one before, or of those
// that serve the store no longer. The people are waited for.
func (a *App) recover(ctx context.Context) error {
	if a.node == nil {
		return a.cobrowse.Recover(ctx)
	}
	return a.cobrowse.CloseLinks(ctx, func(ctx context.Context, name string) (bool, error) {
		alive, err := a.node.Alive(ctx, name)
		return !alive, err
	})
}

// closeLinksOf closes the links of a process that was given up.
func (a *App) closeLinksOf(ctx context.Context, id string) error {
	return a.cobrowse.CloseLinks(ctx, func(_ context.Context, name string) (bool, error) { return name == id, nil })
}

// rooms tells the stream where rooms are; nil if all are here.
func (a *App) rooms() stream.Rooms {
	if a.node == nil {
		return nil
	}
	return sharedRooms{Node: a.node, tunnels: a.tunnels}
}

// forwardClient takes requests of CometD clients to the process whose name their ids
// begin with; nil if there is no other.
func (a *App) forwardClient() func(c *fiber.Ctx, id bayeux.ClientID) (bool, error) {
	if a.node == nil {
		return nil
	}
	return func(c *fiber.Ctx, id bayeux.ClientID) (bool, error) {
		if len(id) <= cluster.IDSize {
			return false, nil
		}
		return a.tunnels.Forward(c, string(id[:cluster.IDSize]))
	}
}

// relayed tells of requests that other processes send on; nil if there are none.
func (a *App) relayed() web.RelayedFunc {
	if a.tunnels == nil {
		return nil
	}
	return a.tunnels.Relayed
}

// sharedRooms are the rooms of a store that several processes serve.
type sharedRooms struct {
	*cluster.Node

	tunnels *tunnel.Tunnels
}

// Relay implements [stream.Rooms].
func (r sharedRooms) Relay(c *fiber.Ctx, id cobrowse.SessionID) (bool, error) {
	return r.tunnels.Relay(c, id)
}

// attachedBacklog counts the events whose attached data is not written yet, by whichever
// process does it now.
func (a *App) attachedBacklog() uint64 {
	if shared, ok := a.store.(interface {
		Followed(ctx context.Context, name string) (uint64, error)
	}); ok {
		ctx, cancel := context.WithTimeout(context.Background(), pingTime)
		defer cancel()
		if place, err := shared.Followed(ctx, attachedFollower); err == nil {
			a.attached.reach(place)
		}
	}
	return a.attached.behind(a.store.LastEvent())
}
