// Package config is the one configuration of the service: what can be set, what
// holds when nothing is set, where values come from, and what is wrong with
// them. It knows nothing of the parts it configures; package bridge translates.
//
// Start with [Load] and [Config]. [Demo] is the configuration of the
// demonstration, with well-known credentials that [Config.Validate] refuses
// everywhere else. Values are plain data: reading one concurrently is safe.
package config
