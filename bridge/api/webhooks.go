package api

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

const webhooksPath = "/api/v2/cobrowse/webhooks"

// webhooks is the part of *notify.Webhooks that the handlers call.
type webhooks interface {
	Create(ctx context.Context, org conversations.OrgID, client string, spec notify.WebhookSpec) (notify.Webhook, error)
	Webhook(ctx context.Context, org conversations.OrgID, id notify.WebhookID) (notify.Webhook, error)
	Webhooks(ctx context.Context, org conversations.OrgID) ([]notify.Webhook, error)
	Update(ctx context.Context, org conversations.OrgID, id notify.WebhookID, spec notify.WebhookSpec) (notify.Webhook, error)
	Delete(ctx context.Context, org conversations.OrgID, id notify.WebhookID) error
	Rotate(ctx context.Context, org conversations.OrgID, id notify.WebhookID) (notify.Webhook, error)
	Enable(ctx context.Context, org conversations.OrgID, id notify.WebhookID) (notify.Webhook, error)
	Test(ctx context.Context, org conversations.OrgID, id notify.WebhookID) (notify.Delivery, error)
	Tally(ctx context.Context, w notify.Webhook) (notify.Tally, error)
	Deliveries(ctx context.Context, org conversations.OrgID, q notify.DeliveryQuery) ([]notify.Delivery, error)
	Delivery(ctx context.Context, org conversations.OrgID, id notify.WebhookID, delivery notify.DeliveryID) (notify.Delivery, error)
	Replay(ctx context.Context, org conversations.OrgID, id notify.WebhookID, delivery notify.DeliveryID) (notify.Delivery, error)
	ReplayDead(ctx context.Context, org conversations.OrgID, id notify.WebhookID, since time.Time) (int, error)
}

// webhookBodyOf reads how many deliveries w has.
func (a *api) webhookBodyOf(c *fiber.Ctx, w notify.Webhook) (webhookBody, error) {
	counted, err := a.Webhooks.Tally(c.UserContext(), w)
	if err != nil {
		return webhookBody{}, err
	}
	return newWebhookBody(w, counted), nil
}

func (a *api) sendWebhook(c *fiber.Ctx, w notify.Webhook, err error) error {
	if err != nil {
		return err
	}
	body, err := a.webhookBodyOf(c, w)
	if err != nil {
		return err
	}
	return c.JSON(body)
}

// readWebhook reads a body. Who has webhooks told of sessions reads them, so that the
// scope to read them is needed besides the one to write.
func (a *api) readWebhook(c *fiber.Ctx) (notify.WebhookSpec, error) {
	var in struct {
		Name     string   `json:"name"`
		URL      string   `json:"url"`
		Events   []string `json:"events"`
		Disabled bool     `json:"disabled"`
	}
	if err := principal(c).Require(oauth.ScopeCobrowseRead); err != nil {
		return notify.WebhookSpec{}, err
	}
	err := a.decode(c, schemaWebhook, &in)
	return notify.WebhookSpec{Name: in.Name, URL: in.URL, Events: in.Events, Disabled: in.Disabled}, err
}

// listWebhooks answers GET /api/v2/cobrowse/webhooks. An organisation has few.
func (a *api) listWebhooks(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{})
	if err != nil {
		return err
	}
	all, err := a.Webhooks.Webhooks(c.UserContext(), orgOf(c))
	if err != nil {
		return err
	}
	first := min(page.Offset(), len(all))
	var bodies []webhookBody
	for _, w := range all[first:min(first+page.Size, len(all))] {
		body, err := a.webhookBodyOf(c, w)
		if cobridge.CodeOf(err) == cobridge.CodeNotFound {
			continue // deleted meanwhile
		} else if err != nil {
			return err
		}
		bodies = append(bodies, body)
	}
	return c.JSON(web.NewPage(c, page, bodies, len(all)))
}

// createWebhook answers POST /api/v2/cobrowse/webhooks.
func (a *api) createWebhook(c *fiber.Ctx) error {
	spec, err := a.readWebhook(c)
	if err != nil {
		return err
	}
	w, err := a.Webhooks.Create(c.UserContext(), orgOf(c), principal(c).ClientID, spec)
	if err != nil {
		return err
	}
	body := newWebhookBody(w, notify.Tally{})
	body.Secret, body.CreatedBy = w.Secrets[0].Text(), &clientBody{ID: w.CreatedBy}
	c.Set(fiber.HeaderLocation, body.SelfURI)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(fiber.StatusCreated).JSON(body)
}

// getWebhook answers GET /api/v2/cobrowse/webhooks/{webhookId}.
func (a *api) getWebhook(c *fiber.Ctx) error {
	w, err := a.Webhooks.Webhook(c.UserContext(), orgOf(c), webhookParam(c))
	return a.sendWebhook(c, w, err)
}

// putWebhook answers PUT /api/v2/cobrowse/webhooks/{webhookId}.
func (a *api) putWebhook(c *fiber.Ctx) error {
	spec, err := a.readWebhook(c)
	if err != nil {
		return err
	}
	w, err := a.Webhooks.Update(c.UserContext(), orgOf(c), webhookParam(c), spec)
	return a.sendWebhook(c, w, err)
}

// deleteWebhook answers DELETE /api/v2/cobrowse/webhooks/{webhookId}.
func (a *api) deleteWebhook(c *fiber.Ctx) error {
	if err := a.Webhooks.Delete(c.UserContext(), orgOf(c), webhookParam(c)); err != nil {
		return err
	}
	return c.SendStatus(fiber.StatusNoContent)
}

// rotateWebhook answers POST …/{webhookId}/rotate, which has no body.
func (a *api) rotateWebhook(c *fiber.Ctx) error {
	w, err := a.Webhooks.Rotate(c.UserContext(), orgOf(c), webhookParam(c))
	if err != nil {
		return err
	}
	body, err := a.webhookBodyOf(c, w)
	if err != nil {
		return err
	}
	body.Secret = w.Secrets[0].Text()
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.JSON(body)
}

// enableWebhook answers POST …/{webhookId}/enable, which has no body.
func (a *api) enableWebhook(c *fiber.Ctx) error {
	w, err := a.Webhooks.Enable(c.UserContext(), orgOf(c), webhookParam(c))
	return a.sendWebhook(c, w, err)
}

// testWebhook answers POST …/{webhookId}/test, which has no body: 202, and what became
// of it shows in the delivery.
func (a *api) testWebhook(c *fiber.Ctx) error {
	d, err := a.Webhooks.Test(c.UserContext(), orgOf(c), webhookParam(c))
	return sendAccepted(c, d, err)
}

func sendAccepted(c *fiber.Ctx, d notify.Delivery, err error) error {
	if err != nil {
		return err
	}
	body := newDeliveryBody(d)
	c.Set(fiber.HeaderLocation, body.SelfURI)
	return c.Status(fiber.StatusAccepted).JSON(body)
}

// listDeliveries answers GET …/{webhookId}/deliveries.
func (a *api) listDeliveries(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{})
	if err != nil {
		return err
	}
	var states []choice[notify.DeliveryState]
	for _, s := range notify.DeliveryStates() {
		states = append(states, choice[notify.DeliveryState]{string(s), s})
	}
	state, err := choose(c, "state", states)
	if err != nil {
		return err
	}
	after, err := parsePlace(c.Query("after"))
	if err != nil {
		return err
	}
	id := webhookParam(c)
	// One more says whether there is another page.
	found, err := a.Webhooks.Deliveries(c.UserContext(), orgOf(c), notify.DeliveryQuery{WebhookID: id, State: state, After: after, Limit: page.Size + 1})
	if err != nil {
		return err
	}
	uri := func(after string) string {
		q := url.Values{"pageSize": {strconv.Itoa(page.Size)}, "state": {string(state)}}
		if after != "" {
			q.Set("after", after)
		}
		return webhookURI(id) + "/deliveries?" + q.Encode()
	}
	body := deliveriesBody{Entities: []deliveryBody{}, PageSize: page.Size, SelfURI: uri(c.Query("after"))}
	for _, d := range found[:min(page.Size, len(found))] {
		body.Entities = append(body.Entities, newDeliveryBody(d))
	}
	if len(found) > page.Size {
		body.NextURI = uri(formatPlace(notify.PlaceOf(found[page.Size-1])))
	}
	return c.JSON(body)
}

// getDelivery answers GET …/{webhookId}/deliveries/{deliveryId}.
func (a *api) getDelivery(c *fiber.Ctx) error {
	d, err := a.Webhooks.Delivery(c.UserContext(), orgOf(c), webhookParam(c), deliveryParam(c))
	if err != nil {
		return err
	}
	body := newDeliveryBody(d)
	body.Payload = d.Body
	return c.JSON(body)
}

// replayDelivery answers POST …/{webhookId}/deliveries/{deliveryId}/replay, which has
// no body.
func (a *api) replayDelivery(c *fiber.Ctx) error {
	d, err := a.Webhooks.Replay(c.UserContext(), orgOf(c), webhookParam(c), deliveryParam(c))
	return sendAccepted(c, d, err)
}

// replayDead answers POST …/{webhookId}/deliveries/replay.
func (a *api) replayDead(c *fiber.Ctx) error {
	var in struct {
		Since web.Time `json:"since"`
	}
	if web.HasBody(c) {
		if err := a.decode(c, schemaReplay, &in); err != nil {
			return err
		}
	}
	n, err := a.Webhooks.ReplayDead(c.UserContext(), orgOf(c), webhookParam(c), time.Time(in.Since))
	if err != nil {
		return err
	}
	return c.Status(fiber.StatusAccepted).JSON(struct {
		Replayed int `json:"replayed"`
	}{n})
}

func webhookParam(c *fiber.Ctx) notify.WebhookID {
	return notify.WebhookID(web.PathParam(c, "webhookId"))
}

func deliveryParam(c *fiber.Ctx) notify.DeliveryID {
	return notify.DeliveryID(web.PathParam(c, "deliveryId"))
}
