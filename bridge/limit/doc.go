// Package limit holds the rules of rate limits: how many calls a key may make
// ([Limiter]) and how many wrong guesses it has ([Guess]). What a key is, an
// access token or a client's network, its callers decide.
//
// It knows no HTTP and no database. Buckets are kept in a [Store]; [Memory] is
// the one of a single process, others belong to the engines.
//
// Everything here may be called concurrently.
package limit
