package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/conversations/genesys"
)

// openDirectory chooses where conversations and users are.
func (a *App) openDirectory(o Options) error {
	a.local = conversations.NewLocal(a.store, a.clock)
	a.local.NameBy(o.IDs)
	a.local.OnEnd(a.conversationEnded)
	a.directory = a.local
	if a.cfg.Directory != config.DirectoryGenesysCloud {
		return nil
	}
	cfg := genesysConfig(a.cfg, o.Version, a.clock, a.log)
	cfg.Live, cfg.Observe = a.liveConversations, a.metrics.directory()
	cloud, err := genesys.New(cfg)
	if err != nil {
		return err
	}
	cloud.OnEnd(a.conversationEnded)
	a.cloud = cloud
	a.directory = split{Directory: a.local, org: cfg.Organisation, remote: cloud}
	return nil
}

func genesysConfig(cfg config.Config, version string, clock cobridge.Clock, log *slog.Logger) genesys.Config {
	g := cfg.GenesysCloud
	return genesys.Config{
		Region: g.Region, BaseURL: g.BaseURL, LoginURL: g.LoginURL, ClientID: g.ClientID, ClientSecret: g.ClientSecret.Reveal(),
		Organisation: conversations.OrgID(cfg.DirectoryOrganisation()), Timeout: g.Timeout, Poll: g.Poll,
		CorrelationID: web.ContextIDFrom, UserAgent: strings.TrimSuffix("cobridge/"+version, "/"), Clock: clock, Log: log,
	}
}

// conversationEnded ends the session of a conversation that has ended. The conversation
// is over whatever happens here; the next look at it, or Reconcile, catches up.
func (a *App) conversationEnded(ctx context.Context, org conversations.OrgID, id conversations.ID) {
	if err := a.cobrowse.ConversationEnded(context.WithoutCancel(ctx), org, id); err != nil {
		a.log.ErrorContext(ctx, "ending the session of an ended conversation failed", "conversationId", string(id), "err", err)
	}
}

// liveConversations returns those that live sessions of the remote organisation hang on.
func (a *App) liveConversations(ctx context.Context) ([]conversations.ID, error) {
	const page = 500
	org := conversations.OrgID(a.cfg.DirectoryOrganisation())
	var ids []conversations.ID
	for offset := 0; ; offset += page {
		sessions, total, err := a.store.Sessions(ctx, cobrowse.Query{
			OrgID: org, States: []cobrowse.State{cobrowse.StateIdle, cobrowse.StateActive}, Offset: offset, Limit: page,
		})
		if err != nil {
			return nil, fmt.Errorf("list live sessions: %w", err)
		}
		for _, s := range sessions {
			if s.ConversationID != "" {
				ids = append(ids, s.ConversationID)
			}
		}
		if offset+page >= total {
			return ids, nil
		}
	}
}

// split is a directory of which one organisation lives elsewhere.
type split struct {
	conversations.Directory // of all others

	org    conversations.OrgID
	remote conversations.Directory
}

func (s split) of(org conversations.OrgID) conversations.Directory {
	if org == s.org {
		return s.remote
	}
	return s.Directory
}

// Conversation implements [conversations.Directory], as all below.
func (s split) Conversation(ctx context.Context, org conversations.OrgID, id conversations.ID) (conversations.Conversation, error) {
	return s.of(org).Conversation(ctx, org, id)
}

func (s split) Conversations(ctx context.Context, org conversations.OrgID, q conversations.Query) ([]conversations.Conversation, int, error) {
	return s.of(org).Conversations(ctx, org, q)
}

func (s split) User(ctx context.Context, org conversations.OrgID, id conversations.UserID) (conversations.User, error) {
	return s.of(org).User(ctx, org, id)
}

func (s split) Users(ctx context.Context, org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error) {
	return s.of(org).Users(ctx, org, q)
}

func (s split) SetAttributes(ctx context.Context, org conversations.OrgID, id conversations.ID, p conversations.ParticipantID, attributes map[string]string) error {
	return s.of(org).SetAttributes(ctx, org, id, p, attributes)
}

func (s split) Disconnect(ctx context.Context, org conversations.OrgID, id conversations.ID) error {
	return s.of(org).Disconnect(ctx, org, id)
}

// Finding is one thing that was tried with a service that the configuration names.
type Finding struct {
	What   string // for people, lower case
	Err    error  // nil = it works
	Advice string // what to do about Err
}

// CheckOnline tries whether what the configuration names can be used: the Genesys Cloud
// organisation, if it is the directory. Nothing is changed there and no store is opened.
func CheckOnline(ctx context.Context, cfg config.Config, o Options) ([]Finding, error) {
	if cfg.Directory != config.DirectoryGenesysCloud {
		return nil, nil
	}
	cloud, err := genesys.New(genesysConfig(cfg, o.Version, o.Clock, o.Log))
	if err != nil {
		return nil, err
	}
	defer cloud.Close()
	var found []Finding
	for _, f := range cloud.Probe(ctx) {
		finding := Finding{What: f.What, Err: f.Err}
		if cause, ok := errors.AsType[*genesys.Error](f.Err); ok {
			finding.Err, finding.Advice = cause, cause.Reason.Advice()
		}
		found = append(found, finding)
	}
	return found, nil
}
