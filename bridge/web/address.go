package web

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// client is what is known of the caller's end of the connection.
type client struct {
	addr    netip.Addr
	secure  bool
	relayed bool // another process of ours says so
}

type clientKey struct{}

// ClientAddress returns the middleware behind [ClientAddr] and [Secure]: it
// believes X-Forwarded-For and X-Forwarded-Proto of a peer in one of the trusted
// networks, and of nobody else.
func ClientAddress(trusted []netip.Prefix) fiber.Handler {
	trusted = slices.Clone(trusted)
	return func(c *fiber.Ctx) error {
		peer := peerAddr(c)
		seen := client{addr: peer, secure: c.Context().IsTLS()}
		if isTrusted(peer, trusted) {
			seen.addr = forwardedFor(c, peer, trusted)
			// Appended by each proxy where there are several: the last is the nearest to us.
			protos := strings.Split(c.Get(fiber.HeaderXForwardedProto), ",")
			seen.secure = seen.secure || strings.EqualFold(strings.TrimSpace(protos[len(protos)-1]), "https")
		}
		c.Locals(clientKey{}, seen)
		return c.Next()
	}
}

// ClientAddr returns the address of the caller: the peer of the connection, or
// what a trusted proxy says it is. IPv4 comes in its own form, never mapped into
// IPv6. Only a peer without an IP address, such as a Unix socket, gives the zero Addr.
func ClientAddr(c *fiber.Ctx) netip.Addr {
	if seen, ok := c.Locals(clientKey{}).(client); ok {
		return seen.addr
	}
	return peerAddr(c)
}

// ClientNetwork returns what a limit per client counts by: the address for IPv4,
// the /64 for IPv6, because that is the least a subscriber gets.
func ClientNetwork(c *fiber.Ctx) string {
	addr := ClientAddr(c)
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			return network.String()
		}
	}
	return addr.String()
}

// Secure tells whether the caller's connection is encrypted, to us or to a
// trusted proxy.
func Secure(c *fiber.Ctx) bool {
	if seen, ok := c.Locals(clientKey{}).(client); ok {
		return seen.secure
	}
	return c.Context().IsTLS()
}

func peerAddr(c *fiber.Ctx) netip.Addr {
	remote := c.Context().RemoteAddr()
	if tcp, ok := remote.(*net.TCPAddr); ok {
		return plain(tcp.AddrPort().Addr())
	}
	if peer, err := netip.ParseAddrPort(remote.String()); err == nil {
		return plain(peer.Addr())
	}
	return netip.Addr{}
}

// forwardedFor walks the list from its end, where our own proxies wrote, to the
// first address that is none of them. What stands before that is anybody's claim.
func forwardedFor(c *fiber.Ctx, peer netip.Addr, trusted []netip.Prefix) netip.Addr {
	addr, hops := peer, 0
	lines := c.Request().Header.PeekAll(fiber.HeaderXForwardedFor)
	for _, line := range slices.Backward(lines) {
		for rest := string(line); rest != ""; hops++ {
			entry := rest
			if i := strings.LastIndexByte(rest, ','); i >= 0 {
				entry, rest = rest[i+1:], rest[:i]
			} else {
				rest = ""
			}
			next, ok := parseHop(strings.TrimSpace(entry))
			if !ok || hops == maxHops {
				return addr
			}
			addr = next
			if !isTrusted(addr, trusted) {
				return addr
			}
		}
	}
	return addr
}

// parseHop reads one entry; some proxies add the port.
func parseHop(s string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return plain(addr), true
	}
	if peer, err := netip.ParseAddrPort(s); err == nil {
		return plain(peer.Addr()), true
	}
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]")); err == nil {
			return plain(addr), true
		}
	}
	return netip.Addr{}, false
}

func plain(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

func isTrusted(addr netip.Addr, trusted []netip.Prefix) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}
