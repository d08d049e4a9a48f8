// Package maskproof shows that masked content stays in the customer's browser. It
// plants secrets, drawn anew each time, in every place of a page from which a
// recorder could take them, drives a real browser that shares this page with a
// viewer, types and changes things, and then searches everything that was sent,
// received, logged and stored for each secret, in pieces and in the encodings
// that scripts know. The report is for whoever has to believe it, an auditor for
// instance, and says what was looked at and that the search does find what is not
// masked.
//
// It knows nothing of the service but its addresses: whoever calls [Run] starts
// it. Start with [Config]. A run may go beside others.
package maskproof
