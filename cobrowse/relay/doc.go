// Package relay carries the picture of a live session from the sharer to its
// viewers: bytes in, bytes out. It keeps what a late viewer needs, numbers and
// gaps included, and sees to it that a viewer who cannot keep up loses frames and
// gets a new picture, while nobody else waits for it.
//
// It refuses to know sockets, sessions, people and rights: who may share or look
// is decided before a [Room] is asked. Of the picture it knows the head of a frame
// and where the private fields are, because a value in one of those must not pass.
//
// Start with [Rooms], which bounds the memory of all rooms, [Room], the picture of
// one session, and [Queue], the outgoing frames of one connection. [Frame] is one
// message, encoded once for everybody who gets it.
//
// All methods may be called concurrently. None waits for a client: what does not
// fit is dropped or refused.
package relay
