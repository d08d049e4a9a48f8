package api

import (
	"context"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/oauth"
)

const (
	channelsPath = "/api/v2/notifications/channels"
	// subscriptionBytes bounds a list of topics: a thousand of them.
	subscriptionBytes = 256 << 10
)

// channels is the part of *notify.Service that the handlers call.
type channels interface {
	Create(ctx context.Context, p oauth.Principal) (notify.Channel, error)
	Channels(ctx context.Context, p oauth.Principal, ofClient bool) ([]notify.Channel, error)
	Channel(ctx context.Context, p oauth.Principal, id notify.ChannelID) (notify.Channel, error)
	Subscribe(ctx context.Context, p oauth.Principal, id notify.ChannelID, r notify.SubscribeRequest) ([]notify.Subscription, error)
	Unsubscribe(ctx context.Context, p oauth.Principal, id notify.ChannelID) error
}

// channelBody is the official model Channel.
type channelBody struct {
	ConnectURI string           `json:"connectUri"`
	ID         notify.ChannelID `json:"id"`
	Expires    web.Time         `json:"expires"`
}

// newChannelBody names the address of the channel's WebSocket: http becomes ws, https
// becomes wss. Its path is that of the real service.
func (a *api) newChannelBody(c notify.Channel) channelBody {
	return channelBody{ConnectURI: "ws" + a.BaseURL[len("http"):] + "/channels/" + string(c.ID), ID: c.ID, Expires: web.Time(c.ExpiresAt)}
}

// entitiesBody is a list that is not divided into pages.
type entitiesBody[T any] struct {
	Entities []T `json:"entities"`
}

// createChannel answers POST /api/v2/notifications/channels, which has no body: 200, as
// the official service does.
func (a *api) createChannel(c *fiber.Ctx) error {
	channel, err := a.Notifications.Create(c.UserContext(), *principal(c))
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store") // it has a credential in it
	return c.JSON(a.newChannelBody(channel))
}

// listChannels answers GET /api/v2/notifications/channels.
func (a *api) listChannels(c *fiber.Ctx) error {
	ofClient, err := choose(c, "includechannels", []choice[bool]{{"token", false}, {"oauthclient", true}})
	if err != nil {
		return err
	}
	found, err := a.Notifications.Channels(c.UserContext(), *principal(c), ofClient)
	if err != nil {
		return err
	}
	body := entitiesBody[channelBody]{Entities: make([]channelBody, len(found))}
	for i, channel := range found {
		body.Entities[i] = a.newChannelBody(channel)
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(body)
}

// headChannel answers HEAD /api/v2/notifications/channels/{channelId}: that it is there
// says it all.
func (a *api) headChannel(c *fiber.Ctx) error {
	if _, err := a.Notifications.Channel(c.UserContext(), *principal(c), channelParam(c)); err != nil {
		return err
	}
	return c.Status(fiber.StatusOK).Send(nil)
}

func channelParam(c *fiber.Ctx) notify.ChannelID {
	return notify.ChannelID(web.PathParam(c, "channelId"))
}

// subscriptionBody is the official model ChannelTopic.
type subscriptionBody struct {
	ID                 string                   `json:"id"`
	State              notify.SubscriptionState `json:"state"`
	RejectionReason    string                   `json:"rejectionReason,omitempty"`
	MissingPermissions []string                 `json:"missingPermissions,omitempty"` // here, scopes
	SelfURI            string                   `json:"selfUri"`
}

func sendSubscriptions(c *fiber.Ctx, list []notify.Subscription) error {
	body := entitiesBody[subscriptionBody]{Entities: make([]subscriptionBody, len(list))}
	for i, s := range list {
		body.Entities[i] = subscriptionBody{
			ID: s.Topic, State: s.State, RejectionReason: s.Reason, MissingPermissions: s.Missing,
			SelfURI: channelsPath + "/" + string(channelParam(c)) + "/subscriptions",
		}
	}
	return c.JSON(body)
}

// listSubscriptions answers GET …/{channelId}/subscriptions.
func (a *api) listSubscriptions(c *fiber.Ctx) error {
	channel, err := a.Notifications.Channel(c.UserContext(), *principal(c), channelParam(c))
	if err != nil {
		return err
	}
	return sendSubscriptions(c, channel.Subscriptions())
}

// addSubscriptions answers POST …/{channelId}/subscriptions.
func (a *api) addSubscriptions(c *fiber.Ctx) error { return a.subscribe(c, false) }

// replaceSubscriptions answers PUT …/{channelId}/subscriptions.
func (a *api) replaceSubscriptions(c *fiber.Ctx) error { return a.subscribe(c, true) }

func (a *api) subscribe(c *fiber.Ctx, replace bool) error {
	ignore, err := choose(c, "ignoreErrors", []choice[bool]{{"false", false}, {"true", true}})
	if err != nil {
		return err
	}
	var in []struct {
		ID *string `json:"id"`
	}
	if err := web.DecodeArray(c, &in, subscriptionBytes); err != nil {
		return err
	}
	r := notify.SubscribeRequest{Replace: replace, IgnoreErrors: ignore, Topics: make([]string, len(in))}
	for i, topic := range in {
		if topic.ID == nil {
			return &cobridge.Error{
				Code: cobridge.CodeConstraintValidation, Message: "Each topic must have an id.",
				Details: []cobridge.Detail{{ErrorCode: "required", FieldName: fmt.Sprintf("[%d].id", i)}},
			}
		}
		r.Topics[i] = *topic.ID
	}
	list, err := a.Notifications.Subscribe(c.UserContext(), *principal(c), channelParam(c), r)
	if err != nil {
		return err
	}
	return sendSubscriptions(c, list)
}

// deleteSubscriptions answers DELETE …/{channelId}/subscriptions: all of them.
func (a *api) deleteSubscriptions(c *fiber.Ctx) error {
	if err := a.Notifications.Unsubscribe(c.UserContext(), *principal(c), channelParam(c)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// topicBody is the official model AvailableTopic.
type topicBody struct {
	ID                  string   `json:"id"`
	Description         string   `json:"description"`
	Visibility          string   `json:"visibility"`
	Transports          []string `json:"transports"`
	RequiresPermissions []string `json:"requiresPermissions"` // here, scopes, of which one is needed
}

// listTopics answers GET /api/v2/notifications/availabletopics. All is told of each
// topic, whatever the official parameter expand asks for.
func (a *api) listTopics(c *fiber.Ctx) error {
	var body entitiesBody[topicBody]
	for _, holder := range []notify.Holder{notify.HolderUser, notify.HolderQueue} {
		for _, part := range notify.Parts() {
			b := topicBody{
				ID: notify.Topic{Holder: holder, ID: "{id}", Part: part}.String(), Visibility: "Public", Transports: []string{"Websocket"},
				Description: "Conversations of a user",
			}
			if holder == notify.HolderQueue {
				b.Description = "Conversations that came through a queue"
			}
			switch part {
			case notify.PartAll:
				b.Description += ", as a whole."
			case notify.PartCobrowse:
				b.Description += ", their cobrowse sessions."
			default:
				b.Description += ", their " + string(part) + "."
			}
			for _, scope := range part.Scopes() {
				b.RequiresPermissions = append(b.RequiresPermissions, string(scope))
			}
			body.Entities = append(body.Entities, b)
		}
	}
	return c.JSON(body)
}
