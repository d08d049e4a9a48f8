//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package bayeux

import "net"

// peerGone is where a socket cannot be looked at: a client that has gone is
// noticed when its connect should be answered.
func peerGone(net.Conn) bool { return false }

// waitReadable is where a socket cannot be waited for without reading: the HTTP
// server does it.
func waitReadable(net.Conn) bool { return true }
