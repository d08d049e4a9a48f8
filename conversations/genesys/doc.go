// Package genesys is the directory of a Genesys Cloud organisation: it asks the
// Conversations and Users API of a region, or of another address that speaks the
// same, who talks with whom and who may cobrowse, and notices when a conversation
// ends. It translates what is said there and decides nothing: whether a conversation
// is active is for package conversations to say, and what follows from its end for
// whoever registers with [Directory.OnEnd].
//
// Start with [Directory], a conversations.Directory, and [Config]. That service may
// be slow, gone, behind a gateway that answers with pages of its own, or limit rates
// for an hour: each call has a deadline and a size that its answer may not pass, is
// repeated where that may help, and fails with an [Error] that says why and what to
// do. "Not found" is only what the service itself says in its own words, so an outage
// never looks like the end of a conversation.
//
// All methods of Directory may be called concurrently, except Run, which is called
// once, and Close, which is called last.
package genesys
