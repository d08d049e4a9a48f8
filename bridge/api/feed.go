package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// listeners is the part of *notify.Service that the feed calls.
type listeners interface {
	Listening(org conversations.OrgID) bool
	Wanted(org conversations.OrgID, t notify.Topic) bool
	Publish(org conversations.OrgID, t notify.Topic, frame []byte)
}

// Feed tells notification channels what happens to conversations and sessions. It is
// told that something did, reads how things are now and tells that: so several changes
// in a row may come as one, and what is told last is how it is. Its methods may be
// called concurrently, except Run.
type Feed struct {
	api       *api
	listeners listeners
	log       *slog.Logger
	newID     func() string // of correlation

	mu    sync.Mutex
	order []news
	known map[news]string // correlation ids of what waits
	wake  chan struct{}
}

// news is what has changed.
type news struct {
	org          conversations.OrgID
	conversation conversations.ID
	session      cobrowse.SessionID // empty = the conversation itself
}

// NewFeed returns a Feed that tells what d knows, which are Directory, Sessions and
// BaseURL.
func NewFeed(d Deps, to *notify.Service, log *slog.Logger) *Feed {
	newID := d.NewContextID
	if newID == nil {
		newID = uuid.NewString
	}
	return &Feed{api: &api{Deps: d}, listeners: to, log: log, newID: newID, known: map[news]string{}, wake: make(chan struct{}, 1)}
}

// ConversationChanged is for [conversations.Local.OnChange].
func (f *Feed) ConversationChanged(ctx context.Context, org conversations.OrgID, id conversations.ID) {
	f.add(news{org: org, conversation: id}, web.ContextIDFrom(ctx))
}

// SessionChanged is for a follower of [cobrowse.Events].
func (f *Feed) SessionChanged(e cobrowse.Event) {
	silent := []cobrowse.EventType{cobrowse.EventPageVisited, cobrowse.EventParticipantConnected, cobrowse.EventParticipantDisconnected} // nothing of it is told
	if e.ConversationID != "" && !slices.Contains(silent, e.Type) {                                                                      // there is no topic without one
		f.add(news{org: e.OrgID, conversation: e.ConversationID, session: e.SessionID}, "")
	}
}

func (f *Feed) add(n news, correlation string) {
	if !f.listeners.Listening(n.org) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, waits := f.known[n]; !waits {
		f.order = append(f.order, n)
	}
	f.known[n] = correlation
	select {
	case f.wake <- struct{}{}:
	default: // it will
	}
}

// Run tells what was added, in order, until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		for ctx.Err() == nil {
			f.mu.Lock()
			if len(f.order) == 0 {
				f.order = nil // it may have been long
				f.mu.Unlock()
				break
			}
			n := f.order[0]
			f.order = f.order[1:]
			correlation := f.known[n]
			delete(f.known, n)
			f.mu.Unlock()
			f.tell(ctx, n, correlation)
		}
	}
}

const feedTime = 9 * time.Second // for what has to be read before something is told

// tell reads how things are and tells it.
func (f *Feed) tell(ctx context.Context, n news, correlation string) {
	ctx, cancel := context.WithTimeout(ctx, feedTime)
	defer cancel()
	err := f.tryTell(ctx, n, correlation)
	switch code := cobridge.CodeOf(err); {
	case err == nil, ctx.Err() != nil, code == cobridge.CodeNotFound, code == cobridge.CodeConversationNotFound: // it is gone
	default:
		f.log.WarnContext(ctx, "telling of a change failed", "conversationId", string(n.conversation), "err", err)
	}
}

func (f *Feed) tryTell(ctx context.Context, n news, correlation string) error {
	if correlation == "" {
		correlation = f.newID()
	}
	if n.session == "" {
		c, err := f.api.Directory.Conversation(ctx, n.org, n.conversation)
		if err != nil {
			return err
		}
		for _, medium := range conversations.Media() {
			if body, ok := newMediaNotice(c, medium); ok {
				f.publish(n.org, holdersOf(c).topics(notify.PartOf(medium)), correlation, body, func() any {
					for i := range body.Participants {
						body.Participants[i].Attributes = map[string]string{}
					}
					return body
				})
			}
		}
		return f.tellWhole(ctx, c, correlation)
	}
	s, err := f.api.Sessions.Get(ctx, n.org, n.session)
	if err != nil {
		return err
	}
	c, err := f.api.conversationOf(ctx, s)
	if err != nil {
		return err
	}
	body := f.api.newCobrowseConversation(c, s)
	f.publish(n.org, holdersOf(c).with(s).topics(notify.PartCobrowse), correlation, body, func() any {
		for i := range body.Participants {
			body.Participants[i].Attributes = map[string]string{}
		}
		return body
	})
	return f.tellWhole(ctx, c, correlation)
}

// tellWhole tells of the conversation as a whole, with its cobrowse sessions.
func (f *Feed) tellWhole(ctx context.Context, c conversations.Conversation, correlation string) error {
	topics := f.wanted(c.OrgID, holdersOf(c).topics(notify.PartAll))
	if len(topics) == 0 {
		return nil
	}
	body, err := f.api.conversationWithCobrowse(ctx, c)
	if err != nil {
		return err
	}
	f.publish(c.OrgID, topics, correlation, body, func() any {
		for i := range body.Participants {
			body.Participants[i].Attributes = map[string]string{}
		}
		return body
	})
	return nil
}

func (f *Feed) wanted(org conversations.OrgID, topics []notify.Topic) []notify.Topic {
	var some []notify.Topic
	for _, t := range topics {
		if f.listeners.Wanted(org, t) {
			some = append(some, t)
		}
	}
	return some
}

// publish tells a body on those of the topics that somebody listens to. If it is too
// large, it tells the smaller one: attributes can make a conversation of any size.
func (f *Feed) publish(org conversations.OrgID, topics []notify.Topic, correlation string, body any, smaller func() any) {
	var encoded json.RawMessage
	for _, t := range f.wanted(org, topics) {
		if encoded == nil {
			var err error
			encoded, err = json.Marshal(body)
			if err == nil && len(encoded) > notify.MaxFrame-frameHead {
				encoded, err = json.Marshal(smaller())
			}
			if err != nil {
				f.log.Error("notification not encoded", "err", err) // none of ours fails
				return
			}
		}
		frame, err := json.Marshal(noticeFrame{TopicName: t.String(), Version: "2", EventBody: encoded, Metadata: noticeMetadata{CorrelationID: correlation}})
		if err != nil {
			f.log.Error("notification not encoded", "err", err)
			return
		}
		f.listeners.Publish(org, t, frame)
	}
}

const frameHead = 1024 // bytes, more than a frame has besides its body
