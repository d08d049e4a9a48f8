// Package notify holds the rules of notification channels: a client opens one,
// subscribes it to topics, and whoever is connected to it is told what happens. It
// knows no HTTP, no WebSocket, no JSON and no database: what is told are bytes, which
// another package made.
//
// The rules are those of the Notifications API of Genesys Cloud
// (https://developer.genesys.cloud/notificationsalerts/notifications/). A channel belongs
// to an OAuth client and lives as long as the token that it was made with, or that it
// was subscribed with last. Start with [Service]; [Line] is the end that a connection
// reads, [Store] is what an engine implements.
//
// All methods of Service and Line may be called concurrently.
package notify
