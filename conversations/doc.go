// Package conversations holds what cobrowse needs to know of a contact centre:
// organisations, their users and the cobrowse capability of each, conversations
// and who takes part in them, and the one rule that decides whether a
// conversation is active. It knows no cobrowse session, no HTTP and no database.
//
// Start with [Conversation] and [Directory]. [Local] is the directory that this
// installation keeps itself, on a [Store] that an engine implements. Values are
// copies; all methods of Local may be called concurrently.
package conversations
