package live_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/cobridge/cobridge/bridge"
	"github.com/cobridge/cobridge/bridge/config"
	"github.com/cobridge/cobridge/cobrowse/client"
	"github.com/cobridge/cobridge/cobrowse/client/live"
)

// A desktop's session from beginning to end: the customer shares, the agent sees it,
// fills a field, and ends.
func Example() {
	customerURL, agentURL, stop := startSession()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// The customer has a page, and says yes when an agent asks for control.
	sharer, err := live.Share(ctx, live.Options{
		JoinURL: customerURL,
		Decide:  func(r live.Request) bool { return r.Kind == live.Control },
	}, live.Page{URL: "https://shop.example/order", HTML: `<title>Order</title><h1>Your order</h1>
		<label>Voucher <input name="voucher" data-cb-show></label>
		<label>Password <input name="password" type="password" value="open sesame"></label>`})
	must(err)
	defer sharer.Close()

	// The agent comes in by the join URL that the desktop would open.
	viewer, err := live.View(ctx, live.Options{JoinURL: agentURL})
	must(err)
	defer viewer.Close()

	must(viewer.WaitText(ctx, "Your order"))
	password, _ := viewer.Picture().Field("password")
	fmt.Println("the agent sees the password:", !password.Masked)

	err = viewer.Fill(ctx, "voucher", "QUIET10")
	fmt.Println("before the customer agrees:", err)
	must(viewer.Ask(ctx, live.Control))
	must(viewer.Fill(ctx, "voucher", "QUIET10"))
	voucher, _ := sharer.Value("voucher")
	fmt.Println("the field of the customer holds:", voucher)

	must(viewer.End(ctx))
	<-sharer.Done()
	fmt.Println("the customer:", sharer.Err())
	// Output:
	// the agent sees the password: false
	// before the customer agrees: refused: denied
	// the field of the customer holds: QUIET10
	// the customer: the session is over: participantLeft
}

// Why nobody was let in stands in the error's code.
func ExampleView() {
	_, agentURL, stop := startSession()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	viewer, err := live.View(ctx, live.Options{JoinURL: agentURL})
	must(err)
	defer viewer.Close()

	_, err = live.View(ctx, live.Options{JoinURL: agentURL})
	if refused, ok := errors.AsType[*live.Error](err); ok {
		fmt.Println(refused.Code, refused.Status)
	}
	// Output: join.token.used 410
}

// What the customer does on the page reaches the viewer.
func ExampleSharer() {
	customerURL, agentURL, stop := startSession()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	sharer, err := live.Share(ctx, live.Options{JoinURL: customerURL}, live.Page{URL: "https://shop.example/", HTML: `<h1>Basket</h1><ul id="list"></ul>`})
	must(err)
	defer sharer.Close()
	viewer, err := live.View(ctx, live.Options{JoinURL: agentURL})
	must(err)
	defer viewer.Close()

	must(errors.Join(sharer.Append("#list", "<li>Tea</li><li>Milk</li>"), viewer.WaitText(ctx, "Milk")))
	fmt.Println(viewer.Picture().Text)
	sharer.Cut() // as a network does; both come back by themselves
	must(errors.Join(sharer.Text("h1", "Your basket"), viewer.WaitText(ctx, "Your basket")))
	fmt.Println(viewer.Picture().Text)
	// Output:
	// Basket
	// Tea
	// Milk
	// Your basket
	// Tea
	// Milk
}

// must ends an example that cannot go on.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// startSession starts a service with a session of a customer and an agent; yours is
// running somewhere, and its API gives the join URLs.
func startSession() (customerURL, agentURL string, stop func()) {
	dir, err := os.MkdirTemp("", "cobridge-example-")
	if err != nil {
		log.Fatal(err)
	}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	cfg := config.Demo(config.DemoOptions{Listen: ln.Addr().String(), Store: "bolt:" + filepath.Join(dir, "store.db"), Now: time.Now()})
	app, err := bridge.Open(context.Background(), cfg, bridge.Options{Log: slog.New(slog.DiscardHandler), Clock: time.Now, Version: "example"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, ln, nil) }()
	api, err := client.New(client.Options{BaseURL: app.BaseURL(), ClientID: config.DemoClientID, ClientSecret: config.DemoClientSecret})
	if err != nil {
		log.Fatal(err)
	}
	site, err := api.CreateDeployment(ctx, client.NewDeployment{Name: "Shop", AllowedOrigins: []string{"https://shop.example"}, AllowAgentControl: true})
	if err != nil {
		log.Fatal(err)
	}
	yes := true
	session, err := api.CreateSession(ctx, client.NewSession{
		ConversationID: config.DemoConversationID, DeploymentID: site.ID, Settings: &client.NewSettings{AllowRemoteControl: &yes},
		Participants: []client.Invite{{Role: "customer", Name: "Kim Customer"}, {UserID: config.DemoAgentID, Role: "agent"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	return session.Participants[0].JoinURL, session.Participants[1].JoinURL, func() {
		cancel()
		if err := errors.Join(<-served, app.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}
