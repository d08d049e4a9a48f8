package genesys

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"github.com/cobridge/cobridge/conversations"
)

const (
	// maxTopics is how many topics a channel may have
	// (https://developer.genesys.cloud/notificationsalerts/notifications/).
	maxTopics = 1000
	// maxFrame bounds a notification, in bytes: a conversation with many participants.
	maxFrame = 1 << 20
	// The service sends something at least every 30 seconds; a ping asks for more.
	pingEvery = 30 * time.Second
	silence   = 90 * time.Second
	// channelLife is after how long a channel is replaced: the service gives it a day.
	channelLife = 12 * time.Hour
	// askAgain is when a service without notifications is asked for them again.
	askAgain = 10 * time.Minute
	maxRedo  = time.Minute
)

// errNotOffered says that there are no notifications for this client.
var errNotOffered = errors.New("no notifications are offered")

// listen keeps a notification channel open until ctx ends. While there is none, the
// poll looks at every conversation.
func (d *Directory) listen(ctx context.Context) {
	wait, told := d.cfg.Wait, ""
	for ctx.Err() == nil {
		began := d.cfg.Clock.Now()
		err := d.listenOnce(ctx)
		d.uncover()
		if ctx.Err() != nil {
			return
		}
		if d.cfg.Clock.Now().Sub(began) > silence {
			wait, told = d.cfg.Wait, "" // it has worked
		}
		pause := wait/2 + rand.N(wait/2+1) //nolint:gosec // nobody gains by guessing it
		wait = min(2*wait, maxRedo)
		state := "lost"
		if errors.Is(err, errNotOffered) {
			pause, state = askAgain, "none"
		}
		if err != nil && told != state {
			told = state
			d.cfg.Log.InfoContext(ctx, "no notifications; conversations are polled", "state", state, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// listenOnce opens a channel and follows it until it ends.
func (d *Directory) listenOnce(ctx context.Context) error {
	// A channel is of no use before there is something to be told of.
	for len(d.wantedTopics()) == 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.changed:
		}
	}
	id, conn, err := d.openChannel(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, channelLife)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { // the one who writes, and closes
		ticker := time.NewTicker(pingEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				_ = conn.Close() // ends the reading as well
				return
			case <-ticker.C:
				_ = conn.SetWriteDeadline(time.Now().Add(d.cfg.TryTimeout)) //nolint:forbidigo // sockets go by the machine's clock
				if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"message":"ping"}`)); err != nil {
					stop()
				}
			}
		}
	})
	wg.Go(func() { // the one who subscribes
		defer stop()
		var have []string
		for {
			if err := d.subscribe(ctx, id, &have); err != nil && ctx.Err() == nil {
				d.cfg.Log.InfoContext(ctx, "subscribing to notifications failed", "reason", string(ReasonOf(err)), "err", err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-d.changed:
			}
		}
	})
	return d.follow(ctx, conn)
}

// openChannel gets a channel and connects to it.
func (d *Directory) openChannel(ctx context.Context) (string, *websocket.Conn, error) {
	body, err := d.call(ctx, http.MethodPost, "/notifications/channels", nil, nil)
	if e, ok := errors.AsType[*Error](err); ok {
		switch e.Reason {
		case ReasonStatus, ReasonNotJSON, ReasonMissingScope, ReasonMissingPermission:
			return "", nil, fmt.Errorf("%w: %w", errNotOffered, e)
		default:
			return "", nil, e
		}
	} else if err != nil {
		return "", nil, err
	}
	var channel struct {
		ID         string `json:"id"`
		ConnectURI string `json:"connectUri"`
	}
	if err := decode(body, &channel); err != nil {
		return "", nil, fmt.Errorf("%w: %w", errNotOffered, err)
	}
	if channel.ID == "" || !d.trusted(channel.ConnectURI) {
		return "", nil, fmt.Errorf("%w: %w", errNotOffered, badAnswer("a notification channel without an id, or at another place"))
	}
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: d.cfg.TryTimeout, ReadBufferSize: 4096, WriteBufferSize: 1024}
	// The address is the credential; an access token is not sent.
	conn, resp, err := dialer.DialContext(ctx, channel.ConnectURI, nil)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return "", nil, &Error{Reason: ReasonUnreachable, Text: "notification channel", Err: ofConnection(err)}
	}
	return channel.ID, conn, nil
}

// trusted reports whether notifications may come from there: the host of the API or,
// as in the cloud, another one of its domain; not in the open if the API is not.
func (d *Directory) trusted(connectURI string) bool {
	uri, err := url.Parse(connectURI)
	api, apiErr := url.Parse(d.base)
	if err != nil || apiErr != nil || uri.User != nil || uri.Host == "" {
		return false
	}
	if uri.Scheme != "wss" && (uri.Scheme != "ws" || api.Scheme != "http") {
		return false
	}
	domain, ofCloud := strings.CutPrefix(strings.ToLower(api.Hostname()), "api.")
	return strings.EqualFold(uri.Host, api.Host) || ofCloud && strings.HasSuffix(strings.ToLower(uri.Hostname()), "."+domain)
}

const (
	topicPrefix = "v2.users."
	topicSuffix = ".conversations"
)

// topicsChanged makes the subscriptions follow who is in the conversations.
func (d *Directory) topicsChanged() {
	select {
	case d.changed <- struct{}{}:
	default: // it will
	}
}

// wantedTopics returns the topics of everybody who is in a watched conversation.
func (d *Directory) wantedTopics() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var topics []string
	for _, w := range d.watched {
		for _, user := range w.users {
			topics = append(topics, topicPrefix+string(user)+topicSuffix)
		}
	}
	slices.Sort(topics)
	topics = slices.Compact(topics)
	return topics[:min(len(topics), maxTopics)]
}

// subscribe makes the channel's topics those that are wanted. From then on the
// conversations of these people are told of; a last look at each finds what happened
// just before.
func (d *Directory) subscribe(ctx context.Context, channel string, have *[]string) error {
	want := d.wantedTopics()
	if !slices.Equal(want, *have) {
		list := make([]map[string]string, len(want))
		for i, topic := range want {
			list[i] = map[string]string{"id": topic}
		}
		if _, err := d.call(ctx, http.MethodPut, "/notifications/channels/"+url.PathEscape(channel)+"/subscriptions", nil, list); err != nil {
			return err
		}
		*have = want
	}
	covered := map[conversations.ID]int{} // with the doubts about them
	d.mu.Lock()
	since := d.cfg.Clock.Now()
	for id, w := range d.watched {
		told := slices.ContainsFunc(w.users, func(user conversations.UserID) bool {
			_, found := slices.BinarySearch(*have, topicPrefix+string(user)+topicSuffix)
			return found
		})
		if told && !w.covered {
			covered[id] = w.doubts
		}
		w.covered = w.covered && told
	}
	d.mu.Unlock()
	_ = d.lookAtAll(ctx, slices.Collect(maps.Keys(covered))) // what could not be looked at stays with the poll, which says so
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, doubts := range covered {
		if w := d.watched[id]; w != nil && ctx.Err() == nil && w.doubts == doubts && !w.looked.Before(since) {
			w.covered = true
		}
	}
	return nil
}

// uncover makes the poll look at every conversation again.
func (d *Directory) uncover() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.watched {
		w.covered = false
	}
}

// follow reads notifications until the channel ends.
func (d *Directory) follow(ctx context.Context, conn *websocket.Conn) error {
	conn.SetReadLimit(maxFrame)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(silence)) //nolint:forbidigo // sockets go by the machine's clock
		_, frame, err := conn.ReadMessage()
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // its time is over
		case err != nil:
			return &Error{Reason: ReasonUnreachable, Text: "notification channel", Err: ofConnection(err)}
		}
		var in struct {
			TopicName string          `json:"topicName"`
			EventBody json.RawMessage `json:"eventBody"`
		}
		if json.Unmarshal(frame, &in) != nil {
			continue // nothing for us
		}
		switch {
		case in.TopicName == "v2.system.socket_closing":
			return nil // a new channel, before this one ends in the midst of something
		case strings.HasPrefix(in.TopicName, topicPrefix) && strings.HasSuffix(in.TopicName, topicSuffix):
			d.notified(ctx, in.EventBody)
		}
	}
}

// notified hears of a change to a conversation. That it is over is believed only when
// the API says so as well.
func (d *Directory) notified(ctx context.Context, body []byte) {
	c, err := parseConversation(body, d.cfg.Organisation, "")
	d.mu.Lock()
	w := d.watched[c.ID]
	moved := false
	switch {
	case err != nil || w == nil: // of another conversation of these people, or not to be understood
	case c.Active():
		users := usersOf(c)
		moved = !slices.Equal(users, w.users)
		w.asked++
		w.users, w.known = users, w.asked
	default:
		w.covered = false // should the API not know of the end yet, the next poll looks again
		w.doubts++
	}
	d.mu.Unlock()
	if err != nil || w == nil {
		return
	}
	d.conversations.forget(string(c.ID)) // and a read that is on its way may have begun before
	if moved {
		d.topicsChanged()
	}
	if c.Active() {
		d.changedAt(ctx, c.ID)
	} else if err := d.look(ctx, c.ID); err != nil && ctx.Err() == nil {
		d.cfg.Log.InfoContext(ctx, "a conversation of which an end was told cannot be looked at", "conversationId", string(c.ID), "reason", string(ReasonOf(err)), "err", err)
	}
}
