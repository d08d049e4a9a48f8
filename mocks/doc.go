// Package mocks is for whoever writes an integration against the API and tests it
// without a server. [New] starts the service itself in memory, behind an httpmock
// transport that is handed to the code under test: states, refusals and expiry are
// the service's own, because no answer is made up here. What is added are a clock
// that a test turns, failures that a service or a network can have ([Fault]), a
// record of the calls, and a look inside.
//
// It knows no answer of the API, and it does not know the code under test: resty,
// net/http, x/oauth2 and whatever else takes an [http.RoundTripper] will do.
// Streams (WebSocket) and long polls need a listener: a [Server] has one, with an admin
// API in place of methods, for tests in every language ("cobridge mock").
//
// Start with [New], [Given] and [Mock.Fail]. A Mock belongs to one test and shares
// nothing with another, so tests may be parallel; its methods and its transport may
// be used concurrently. A method that can fail the test at once (Fatalf) is to be
// called from the test's own goroutine.
package mocks
