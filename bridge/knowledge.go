package bridge

import (
	"context"
	"fmt"

	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/knowledge"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/conversations"
)

// knowledgeConfig is the surface of Knowledge Center sessions, without what stands
// behind it.
func (a *App) knowledgeConfig() legacy.KnowledgeConfig {
	k := a.cfg.Legacy.Knowledge
	return legacy.KnowledgeConfig{
		Profile: knowledge.Profile(k.Profile), BasePath: k.BasePath, BareSessions: k.BareSessions,
		Access: legacy.Access{
			Rule: legacy.Rule(a.cfg.Legacy.Access.Knowledge), Org: conversations.OrgID(a.cfg.LegacyOrganisation()), Origins: a.cfg.Legacy.AllowedOrigins,
		},
	}
}

// mountKnowledge adds Knowledge Center sessions, if they are offered. They count by
// the limits of the API.
func (a *App) mountKnowledge(l api.Limits, o Options) error {
	if !a.cfg.Legacy.Knowledge.Enabled {
		return nil
	}
	cfg := a.knowledgeConfig()
	sessions, err := knowledge.New(knowledge.Config{
		Store: a.store, Clock: a.clock, Log: a.log, Profile: cfg.Profile, IdleTimeout: a.cfg.Legacy.Knowledge.IdleTimeout,
		Tenants: a.cfg.Legacy.Knowledge.Tenants, Conversations: legacy.NewKnowledgeTie(a.directory), NewID: o.newIDs("knowledgeSession"),
	})
	if err != nil {
		return fmt.Errorf("start knowledge sessions: %w", err)
	}
	a.knowledge, cfg.Sessions = sessions, sessions
	cfg.Access.OAuth = a.oauth
	cfg.Access.Limits = legacy.Limits{Address: l.Address, Token: l.Token, Credentials: l.Credentials}
	legacy.MountKnowledge(a.fiber, cfg)
	return nil
}

// purgeKnowledge forgets expired Knowledge Center sessions.
func (a *App) purgeKnowledge(ctx context.Context) {
	if a.knowledge == nil {
		return
	}
	if _, err := a.knowledge.Purge(ctx); err != nil && ctx.Err() == nil {
		a.log.WarnContext(ctx, "purging knowledge sessions failed", "err", err)
	}
}
