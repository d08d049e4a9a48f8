// Package bridge is the service put together: it builds the store, the domains
// and the adapters from a configuration, by hand and in reading order, and owns
// their start and their end. It holds no rule of its own.
//
// Start with [Open] and [App.Serve]. [App.Transport] runs the same application
// without a socket, for tests of integrations.
package bridge
