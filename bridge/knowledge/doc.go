// Package knowledge holds the rules of Knowledge Center sessions: a client opens one
// and then puts its id on knowledge requests, so that these belong together and to one
// customer. It knows no HTTP, no JSON and no database, and nothing of cobrowse
// sessions; who may call is for the caller to say.
//
// The rules are those of the legacy server's Session Management API, which differ by
// version: [Profile]. Start with [Service], whose three operations are the API's, and
// [Store], which an engine implements. What no public document fixes is one constant
// or function each and stands in docs/divergences.md.
//
// All methods of Service may be called concurrently, also for the same session.
package knowledge
