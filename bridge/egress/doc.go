// Package egress opens connections to addresses that somebody else has chosen: a
// webhook's, or an identity provider's that an administrator of one organisation
// names. It refuses those that lead into networks of our own, judged on the address
// that a name resolved to at the moment of connecting, so that a name which changes
// its mind between check and use gains nothing
// (https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html).
//
// It knows nothing of what the connections are for. Start with [Policy], its method
// Check and [Transport]. Everything may be used concurrently.
package egress
