// Command cobridge serves cobrowse sessions on conversations, and administers the
// service. `cobridge help` lists its commands; this package knows how to read a
// command line, a console and signals, and leaves all else to package bridge and
// to the API client.
//
// Exit codes: 0 = done, 1 = it failed, 2 = the command line or the configuration
// is wrong. A second SIGINT or SIGTERM ends a graceful stop at once.
package main
