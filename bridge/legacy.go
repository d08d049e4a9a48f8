package bridge

import (
	"context"
	"fmt"
	"strings"

	"github.com/cobridge/cobridge/bridge/api"
	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/gcb"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/bridge/pages"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// legacyDialects are how the surfaces of the old products speak of failures.
func (a *App) legacyDialects() []web.Dialect {
	var all []web.Dialect
	if a.cfg.Legacy.Knowledge.Enabled {
		all = append(all, legacy.KnowledgeDialects(a.knowledgeConfig())...)
	}
	if a.cfg.Legacy.Enabled {
		// The longer path first: history lies below the base path of all.
		all = append(all, legacy.HistoryDialects(a.historyConfig())...)
		all = append(all, legacy.LiveDialects(a.liveConfig())...)
	}
	return all
}

func (a *App) legacyOrg() conversations.OrgID {
	return conversations.OrgID(a.cfg.LegacyOrganisation())
}

// openUpstream returns the old server that is asked for what is not here, nil
// without one.
func (a *App) openUpstream(version string) (cobrowse.Remote, error) {
	u := a.cfg.Legacy.Upstream
	if u.URL == "" {
		return nil, nil //nolint:nilnil // there need not be one
	}
	client, err := gcb.New(gcb.Config{
		URL: u.URL, User: u.User, Password: string(u.Password), Origin: strings.Join(origins(a.baseURL), ""), Timeout: u.Timeout,
		UserAgent: strings.TrimSuffix("cobridge/"+version, "/"), Clock: a.clock, Log: a.log,
	})
	if err != nil {
		return nil, fmt.Errorf("legacy.upstream: %w", err)
	}
	a.upstream = client
	return client, nil
}

// elsewhere asks the old server which node has a session.
func (a *App) elsewhere(ctx context.Context, token cobrowse.SessionToken) (legacy.LiveSession, error) {
	found, err := a.cobrowse.RemoteLive(ctx, a.legacyOrg(), token)
	if err != nil {
		return legacy.LiveSession{}, err
	}
	return legacy.LiveSession{SessionToken: found.Token, SessionServerName: found.ServerName, SessionServerURL: found.ServerURL}, nil
}

// restrict puts the DOM restrictions on their deployment, or takes them off if there is
// no file of them: before anybody shares, and from then on when it changes.
func (a *App) restrict(ctx context.Context) {
	l := a.cfg.Legacy
	if l.DOMRestrictions.Source == "" {
		if l.Enabled { // what a file has said that is configured no more
			if _, err := a.cobrowse.SetPageRules(ctx, a.legacyOrg(), cobrowse.DeploymentID(l.Deployment), nil); err != nil {
				a.log.WarnContext(ctx, "the DOM restrictions of an earlier run stay", "err", err)
			}
		}
		return
	}
	a.restrictions = legacy.NewRestrictionsWatch(legacy.RestrictionsConfig{
		Source: l.DOMRestrictions.Source, Every: l.DOMRestrictions.Every, Org: a.legacyOrg(), Deployment: cobrowse.DeploymentID(l.Deployment),
		Deployments: a.cobrowse, Clock: a.clock, Log: a.log,
	})
	a.restrictions.Look(ctx)
	a.metrics.restrictions(a.restrictions.Status)
}

// historyConfig is the surface of history, without what stands behind it.
func (a *App) historyConfig() legacy.HistoryConfig {
	l := a.cfg.Legacy
	return legacy.HistoryConfig{
		BasePath: l.BasePath, BareHistory: true,
		Access: legacy.Access{Rule: legacy.Rule(l.Access.History), Org: a.legacyOrg(), Origins: l.AllowedOrigins},
	}
}

// liveConfig is the surface of live sessions, without what stands behind it.
func (a *App) liveConfig() legacy.LiveConfig {
	l := a.cfg.Legacy
	return legacy.LiveConfig{
		Log: a.log, Org: a.legacyOrg(), Deployment: cobrowse.DeploymentID(l.Deployment), BasePath: l.BasePath,
		ServerName: l.ServerName, ServerURL: l.ServerURL, Pages: l.AllowedOrigins, Desks: l.DeskOrigins, Own: origins(a.baseURL, a.viewerURL()),
		Rules: legacy.LiveRules{
			Create: legacy.Rule(l.Access.Create), Get: legacy.Rule(l.Access.Get),
			Customer: legacy.Rule(l.Access.Customer), Agent: legacy.Rule(l.Access.Agent), Controller: legacy.Rule(l.Access.Controller),
		},
		LogSessionToken: l.LogSessionToken, Ready: a.isReady,
	}
}

// mountLegacy adds the surfaces of Co-browse, if they are offered. They count by the
// limits of the API. It comes before the pages, whose paths lie below the same base.
func (a *App) mountLegacy(l api.Limits, p *pages.Pages) error {
	if !a.cfg.Legacy.Enabled {
		return nil
	}
	limits := legacy.Limits{Address: l.Address, Token: l.Token, Credentials: l.Credentials}
	history := a.historyConfig()
	history.Sessions, history.Access.OAuth, history.Access.Limits = a.cobrowse, a.oauth, limits
	legacy.MountHistory(a.fiber, history)

	live := a.liveConfig()
	if a.upstream != nil {
		live.Elsewhere = a.elsewhere
	}
	live.Sessions, live.OAuth = a.cobrowse, a.oauth
	live.Limits = legacy.LiveLimits{Limits: limits, Starts: l.Starts, SessionTokens: l.SessionTokens}
	legacy.MountLive(a.fiber, live)
	a.channels = legacy.NewChannels(legacy.ChannelsConfig{
		Live: live, Events: a.store, Clock: wall, CallbackPolling: a.cfg.Legacy.CallbackPolling, Prefix: a.nodeName(), Forward: a.forwardClient(),
		Limits: bayeux.Limits{ClientsPerNetwork: a.cfg.Limits.StreamsPerAddress, SocketsPerNetwork: a.cfg.Limits.StreamsPerAddress},
	})
	a.channels.Mount(a.fiber)
	a.metrics.bayeux(a.channels.Stats)

	if err := p.MountLegacy(a.fiber, pages.LegacyConfig{
		BasePath: a.cfg.Legacy.BasePath, BaseURL: a.baseURL, Deployment: live.Deployment, DeskOrigins: a.cfg.Legacy.DeskOrigins,
	}); err != nil {
		return fmt.Errorf("load pages of the old product: %w", err)
	}
	return nil
}
