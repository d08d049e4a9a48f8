// Package api is the cloud style of the service over HTTP: OAuth, conversations,
// users, cobrowse sessions, their history, deployments, the redeeming of join
// tokens, and what operators look at. It turns requests into calls of the domains
// and their values into JSON; it decides nothing about sessions and knows no
// database and no WebSocket.
//
// Start with [Mount] and [Deps], and with the table in routes.go, which is the
// table of contents of the API. What stands on the wire is described in
// docs/openapi.yaml; request bodies are checked against the schemas in it.
//
// Everything here may be called concurrently.
package api
