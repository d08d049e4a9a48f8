// Package live takes part in the live half of a session without a browser: [Share]
// shows a page that exists in memory alone, [View] sees what a sharer shows and
// acts in it as far as it is let. With both, an integration is tested through join,
// picture, control and end where no browser runs, and each works with a real
// browser on the other side.
//
// They speak the protocol of docs/protocol.md and keep its manners: the sharer
// agrees to sharing, masks what the customer's script would mask, numbers and keeps
// its frames until they are acknowledged, and does an action only under a grant; the
// viewer rebuilds the picture from full frames and changes and asks for it again
// when something is missing. Both come back after a lost connection. They know no
// layout: a page is elements, texts and fields, without boxes or scripts.
//
// What it knows of the service is what stands on the wire: it imports none of its
// packages. All methods may be called concurrently. Everything ends with the context
// that was given to [Share] or [View].
package live
