package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/cobrowse/client/live"
	"github.com/cobridge/cobridge/mocks/contract"
)

// liveCase is the case of --live, beside those of the contract.
const liveCase = "live: a page is shown, a field filled under a grant, and the end reaches both sides"

// livePatience bounds each step of it.
const livePatience = 20 * time.Second

const (
	liveSite    = "https://verify.invalid"
	livePlanted = "planted-password-of-verify"
)

// runLive lets a scripted sharer and viewer into a session of their own.
func (o *verifyOptions) runLive(t contract.T, service client.Options) {
	api, err := client.New(service)
	if err != nil {
		t.Fatalf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*livePatience)
	defer cancel()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	session, undo, err := o.liveSession(ctx, api)
	defer undo()
	if errors.Is(err, errOccupied) {
		t.Skipf("%v", err)
	}
	must("create a session", err)
	join := func(role string) live.Options {
		way := live.Options{BaseURL: service.BaseURL}
		for _, p := range session.Participants {
			if _, token, ok := strings.Cut(p.JoinURL, "token="); ok && p.Role == role {
				way.Token = token
			}
		}
		if own, ok := unwrapped(service.Transport).(*http.Transport); ok {
			way.TLS = own.TLSClientConfig
		}
		way.Transport = service.Transport
		way.Decide = func(live.Request) bool { return true }
		return way
	}
	sharer, err := live.Share(ctx, join("customer"), live.Page{URL: liveSite + "/", HTML: `<title>Verify</title><h1>Shown</h1>
<input name="name" data-cb-show><input type="password" name="password" value="` + livePlanted + `">`})
	must("the sharer comes in", err)
	defer sharer.Close()
	viewer, err := live.View(ctx, join("agent"))
	must("the viewer comes in", err)
	defer viewer.Close()
	must("the viewer sees the page", viewer.WaitText(ctx, "Shown"))
	must("the session is live", viewer.WaitState(ctx, "live"))
	if f, ok := viewer.Picture().Field("password"); !ok || !f.Masked {
		t.Errorf("the viewer sees the password as %+v, want it masked", f)
	}
	if refused, ok := errors.AsType[*live.RefusedError](viewer.Fill(ctx, "name", "early")); !ok || refused.Why != "denied" {
		t.Errorf("without a grant a field is filled: %v, want denied", refused)
	}
	must("the viewer asks for control", viewer.Ask(ctx, live.Control))
	must("the viewer fills a field", viewer.Fill(ctx, "name", "Ada"))
	_, err = viewer.WaitPicture(ctx, func(p live.Picture) bool {
		f, _ := p.Field("name")
		return f.Value == "Ada"
	})
	must("the viewer sees what it has filled in", err)
	must("the viewer ends the session", viewer.End(ctx))
	select {
	case <-sharer.Done():
	case <-ctx.Done():
		t.Errorf("the end does not reach the sharer")
	}
	if _, ok := errors.AsType[*live.EndedError](sharer.Err()); !ok {
		t.Errorf("the sharer ends with %v, want the end of the session", sharer.Err())
	}
	record, err := api.HistoryRecord(ctx, session.ID)
	must("read the record", err)
	if len(record.Grants) == 0 || len(record.Pages) == 0 {
		t.Errorf("the record has %d pages and %d grants, want what was shown and granted", len(record.Pages), len(record.Grants))
	}
}

// errOccupied is a conversation on which somebody has a session.
var errOccupied = errors.New("the conversation has a live session, which is left alone")

// liveSession makes what the case needs; the function undoes it, as far as it was done.
func (o *verifyOptions) liveSession(ctx context.Context, api *client.Client) (client.Session, func(), error) {
	var steps []func(context.Context) error
	undo := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), livePatience)
		defer cancel()
		for i := range steps {
			_ = steps[len(steps)-1-i](ctx) // what ended before has ended
		}
	}
	yes := true
	conversation := o.conversation
	if conversation == "" {
		made, err := api.CreateConversation(ctx, client.NewConversation{MediaType: "message", Participants: []client.NewConversationParticipant{
			{Purpose: "customer", Name: "Kim"}, {Purpose: "agent", UserID: o.agent},
		}})
		if err != nil {
			return client.Session{}, undo, err
		}
		conversation = made.ID
		steps = append(steps, func(ctx context.Context) error { return api.DisconnectConversation(ctx, conversation) })
	}
	deployment, err := api.CreateDeployment(ctx, client.NewDeployment{Name: "cobridge verify", AllowedOrigins: []string{liveSite}, AllowAgentControl: true})
	if err != nil {
		return client.Session{}, undo, err
	}
	steps = append(steps, func(ctx context.Context) error { return api.DeleteDeployment(ctx, deployment.ID) })
	session, err := api.CreateSession(ctx, client.NewSession{
		ConversationID: conversation, DeploymentID: deployment.ID, Settings: &client.NewSettings{AllowRemoteControl: &yes},
		Participants: []client.Invite{{Role: "customer", Name: "Kim"}, {UserID: o.agent, Role: "agent"}},
	})
	if client.StatusOf(err) == http.StatusConflict {
		return session, undo, errOccupied
	}
	if err != nil {
		return session, undo, fmt.Errorf("create session: %w", err)
	}
	steps = append(steps, func(ctx context.Context) error { return api.EndSession(ctx, session.ID) })
	return session, undo, nil
}

// unwrapped is the transport below the witness.
func unwrapped(transport http.RoundTripper) http.RoundTripper {
	if w, ok := transport.(*witness); ok {
		return w.next
	}
	return transport
}
