// Package legacy is the old world over HTTP and CometD: surfaces of the old products, translated
// into calls of the domains and back, one file per dialect. Each belongs to one
// organisation, has an access rule of its own ([Access]) and speaks of failures in
// its own words, which it registers with package web as a dialect.
//
// It decides nothing: sessions, knowledge sessions and conversations have their rules
// in their own packages. Start with [MountLive], [NewChannels], [MountHistory] and
// [MountKnowledge].
//
// Everything here may be called concurrently; a function that takes a *fiber.Ctx may
// be called only by the handler that owns it.
package legacy
