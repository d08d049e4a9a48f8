package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// ErrForbidden is why a connection was not opened: the address is not one of the
// public internet, and no allowed network has it.
var ErrForbidden = errors.New("the address is not allowed")

// Policy says which addresses may be connected to. The zero value allows the public
// internet and nothing else.
type Policy struct {
	// Allow are networks that may be reached besides, such as 10.20.0.0/16 for a
	// receiver in the same house.
	Allow []netip.Prefix
}

// Check fails with [ErrForbidden] for an address that may not be connected to:
// private, loopback, link-local (the metadata services of clouds are there), shared,
// multicast, reserved and unspecified ones, whether written as IPv4, as IPv4 in IPv6
// or behind a NAT64 prefix.
func (p Policy) Check(addr netip.Addr) error {
	if p.allows(addr) {
		return nil
	}
	return fmt.Errorf("%s: %w", addr, ErrForbidden)
}

func (p Policy) allows(addr netip.Addr) bool {
	if !addr.IsValid() || addr.Zone() != "" { // a zone is for link-local addresses
		return false
	}
	addr = addr.Unmap()
	if in(p.Allow, addr) {
		return true
	}
	if addr.Is4() {
		return !in(special4, addr)
	}
	if nat64.Contains(addr) {
		bytes := addr.As16()
		return p.allows(netip.AddrFrom4([4]byte(bytes[12:])))
	}
	return global.Contains(addr) && !in(special6, addr)
}

func in(networks []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return unmapped(n).Contains(addr) })
}

// unmapped makes ::ffff:10.0.0.0/104 what it means: netip compares families first.
func unmapped(n netip.Prefix) netip.Prefix {
	if n.Addr().Is4In6() && n.Bits() >= 96 {
		return netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	return n
}

var (
	// nat64 is where a network with IPv6 alone has the whole IPv4 internet (RFC 6052).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
	// global is all of IPv6 that is given out as public.
	global = netip.MustParsePrefix("2000::/3")
)

// special4 are the networks of
// https://www.iana.org/assignments/iana-ipv4-special-registry that are not reachable
// from everywhere, multicast and what is reserved; and one address that is public by its
// number alone, where machines of Azure are told their settings, secrets among them
// (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
var special4 = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)

// special6 are those of
// https://www.iana.org/assignments/iana-ipv6-special-registry within the public part:
// protocols with addresses of IPv4 in them (Teredo, 6to4) among them.
var special6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}
