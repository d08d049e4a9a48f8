// Package cobrowse holds the rules of cobrowse sessions: who may start one, who
// may join it, when it becomes active and when it ends. It knows no HTTP, no
// WebSocket and no database.
//
// Start with [Session], the value that everything is about, [Service], which
// applies the rules, and [Change], the one unit in which a [Store] commits what
// they decide. Package engines implement Store; other parts of the installation
// hear of changes through [Events] alone.
//
// Values are copies. All methods of Service may be called concurrently.
package cobrowse
