package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/oauth"
)

// A client gets a token with its credentials, uses it and gives it back.
func Example() {
	ctx := context.Background()
	clock := cobridge.Clock(func() time.Time { return t0 })
	svc, err := oauth.New(ctx, oauth.Config{
		Store: newMemStore(), Clock: clock,
		Issuer: "https://login.example.test", Audience: "https://api.example.test",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, secret, err := svc.CreateClient(ctx, oauth.ClientSpec{
		OrgID: "org-1", Name: "Desk integration", Scopes: []string{"users", "cobrowse:session:write"}, Lifetime: time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token, err := svc.Grant(ctx, oauth.GrantRequest{
		ClientID: client.ID, ClientSecret: secret, GrantType: oauth.GrantTypeClientCredentials,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("expires in", token.ExpiresIn, "with", token.Scope)

	caller, err := svc.Verify(ctx, token.Raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(caller.ClientName, "of", caller.OrgID)
	fmt.Println("may read users:", caller.Require(oauth.ScopeUserRead) == nil)

	if err := svc.RevokeToken(ctx, caller); err != nil {
		fmt.Println(err)
		return
	}
	_, err = svc.Verify(ctx, token.Raw)
	fmt.Println(cobridge.CodeOf(err))
	// Output:
	// expires in 1h0m0s with users cobrowse:session:write
	// Desk integration of org-1
	// may read users: true
	// bad.credentials
}

// Refusals at the OAuth endpoints have the codes of RFC 6749.
func ExampleError() {
	ctx := context.Background()
	svc, err := oauth.New(ctx, oauth.Config{
		Store: newMemStore(), Clock: func() time.Time { return t0 },
		Issuer: "https://login.example.test", Audience: "https://api.example.test",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = svc.Grant(ctx, oauth.GrantRequest{ClientID: "nobody", ClientSecret: "guess", GrantType: "client_credentials"})
	if refusal, ok := errors.AsType[*oauth.Error](err); ok {
		fmt.Println(refusal.Code, "-", refusal.Description)
	}
	// Output: invalid_client - authentication failed
}

// Tutorial names and official names are the same scopes.
func ExampleSatisfies() {
	fmt.Println(oauth.Satisfies([]string{"users"}, oauth.ScopeUserRead))
	fmt.Println(oauth.Satisfies([]string{"user:read"}, oauth.ScopeUsers))
	fmt.Println(oauth.Satisfies([]string{"cobrowse:session:write"}, oauth.ScopeCobrowseRead))
	// Output:
	// true
	// false
	// false
}

// The message of a missing scope names what would do.
func ExampleRequire() {
	err := oauth.Require([]string{"analytics"}, oauth.ScopeUserRead)
	fmt.Println(err)
	// Output: app.not.authorized.for.scope: The client lacks the required scope; one of these is needed: [users:readonly, users, user:read].
}

// The old secret works for an hour after a rotation, so that a fleet can follow.
func ExampleService_RotateSecret() {
	ctx := context.Background()
	now := t0
	svc, err := oauth.New(ctx, oauth.Config{
		Store: newMemStore(), Clock: func() time.Time { return now },
		Issuer: "https://login.example.test", Audience: "https://api.example.test",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client, before, err := svc.CreateClient(ctx, oauth.ClientSpec{OrgID: "org-1", Name: "Desk integration"})
	if err != nil {
		fmt.Println(err)
		return
	}
	after, err := svc.RotateSecret(ctx, client.ID, time.Hour)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		_, errBefore := svc.Authenticate(ctx, client.ID, before)
		_, errAfter := svc.Authenticate(ctx, client.ID, after)
		fmt.Println("old works:", errBefore == nil, "new works:", errAfter == nil)
		now = now.Add(time.Hour)
	}
	// Output:
	// old works: true new works: true
	// old works: false new works: true
}
