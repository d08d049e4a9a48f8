//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package bayeux

import (
	"errors"
	"net"
	"syscall"
)

// peerGone tells whether the other end of a connection from which nobody reads
// has closed it. Where it cannot be known it is false.
func peerGone(conn net.Conn) bool {
	raw, secure := rawOf(conn)
	if raw == nil {
		return false
	}
	gone := false
	err := raw.Control(func(fd uintptr) {
		n, err := peek(fd)
		// Under TLS the first thing that comes of an end is the word of it. Nothing
		// else is to come: a request waits for its answer.
		gone = n == 0 && !wait(err) || secure && n > 0
	})
	return gone || err != nil
}

// waitReadable waits until there is something to be read, and reports whether
// there is; it is false at the read deadline, and once the connection was closed
// at either end. Where it cannot wait it is true.
func waitReadable(conn net.Conn) bool {
	raw, _ := rawOf(conn)
	if raw == nil {
		return true
	}
	some := false
	err := raw.Read(func(fd uintptr) bool {
		n, err := peek(fd)
		some = n > 0
		return !wait(err)
	})
	return err == nil && some
}

// peek looks at the next byte without taking it. The socket does not block.
func peek(fd uintptr) (int, error) {
	var next [1]byte
	n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK)
	return max(n, 0), err
}

func wait(err error) bool { return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) }

// rawOf returns the socket below a connection, nil if there is none, and whether
// TLS lies between.
func rawOf(conn net.Conn) (raw syscall.RawConn, secure bool) {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn, secure = over.NetConn(), true
	}
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			return raw, secure
		}
	}
	return nil, secure
}
