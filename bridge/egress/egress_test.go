package egress_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/cobridge/cobridge/bridge/egress"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	house := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("::ffff:192.168.7.0/120"), netip.MustParsePrefix("fd00:1::/32")}}
	for _, tt := range []struct {
		addr          string
		public, house bool
	}{
		{"8.8.8.8", true, true},
		{"93.184.216.34", true, true},
		{"2606:4700::1111", true, true},
		{"::ffff:8.8.8.8", true, true},
		{"64:ff9b::808:808", true, true}, // the public internet, for a network with IPv6 alone

		{"0.0.0.0", false, false},
		{"0.1.2.3", false, false},
		{"10.0.0.1", false, false},
		{"100.64.0.1", false, false},
		{"100.127.255.255", false, false},
		{"127.0.0.1", false, false},
		{"127.9.9.9", false, false},
		{"169.254.169.254", false, false}, // metadata of clouds
		{"172.16.0.1", false, false},
		{"172.31.255.255", false, false},
		{"192.0.0.192", false, false},   // metadata of another cloud
		{"168.63.129.16", false, false}, // of the host, to machines of one cloud
		{"64:ff9b::a83f:8110", false, false},
		{"192.168.0.1", false, false},
		{"198.18.0.1", false, false},
		{"224.0.0.1", false, false},
		{"239.255.255.250", false, false},
		{"240.0.0.1", false, false},
		{"255.255.255.255", false, false},
		{"::", false, false},
		{"::1", false, false},
		{"::127.0.0.1", false, false},
		{"::ffff:127.0.0.1", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"64:ff9b::7f00:1", false, false},
		{"64:ff9b::a9fe:a9fe", false, false},
		{"64:ff9b:1::808:808", false, false},
		{"2002:7f00:1::", false, false},
		{"2001:0:808:808::1", false, false}, // Teredo
		{"2001:db8::1", false, false},
		{"fc00::1", false, false},
		{"fd00:ec2::254", false, false}, // metadata, over IPv6
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"2606:4700::1111%eth0", false, false},
		{"ff02::1", false, false},

		{"10.20.3.4", false, true},
		{"::ffff:10.20.3.4", false, true},
		{"64:ff9b::a14:304", false, true},
		{"192.168.7.9", false, true},
		{"192.168.8.9", false, false},
		{"fd00:1::9", false, true},
	} {
		addr := netip.MustParseAddr(tt.addr)
		if err := (egress.Policy{}).Check(addr); (err == nil) != tt.public || err != nil && !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("Check(%s) = %v, want allowed %t", tt.addr, err, tt.public)
		}
		if err := house.Check(addr); (err == nil) != tt.house {
			t.Errorf("Check(%s) with allowed networks = %v, want allowed %t", tt.addr, err, tt.house)
		}
	}
	if err := (egress.Policy{}).Check(netip.Addr{}); err == nil {
		t.Error("Check of no address = nil")
	}
}

// FuzzCheck: however an IPv4 address is wrapped into IPv6, the answer is not laxer.
func FuzzCheck(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{169, 254, 169, 254})
	f.Add([]byte{8, 8, 8, 8})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) != 4 {
			return
		}
		plain := netip.AddrFrom4([4]byte(raw))
		forbidden := (egress.Policy{}).Check(plain) != nil
		special := plain.IsLoopback() || plain.IsPrivate() || plain.IsLinkLocalUnicast() || plain.IsMulticast() || plain.IsUnspecified()
		if special && !forbidden {
			t.Fatalf("%s is allowed", plain)
		}
		for _, prefix := range [][12]byte{{10: 0xff, 11: 0xff}, {1: 0x64, 2: 0xff, 3: 0x9b}, {}, {0x20, 0x02, raw[0], raw[1], raw[2], raw[3]}} {
			wrapped := netip.AddrFrom16([16]byte(append(prefix[:], raw...)))
			if forbidden && (egress.Policy{}).Check(wrapped) == nil {
				t.Errorf("%s is forbidden, %s is not", plain, wrapped)
			}
		}
	})
}

// TestTransport: the name is good, what it resolves to is not.
func TestTransport(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") }))
	t.Cleanup(server.Close)
	at := netip.MustParseAddrPort(server.Listener.Addr().String())
	ask := func(p egress.Policy, host string) error {
		transport := egress.Transport(p)
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+server.URL[len("http://127.0.0.1"):], nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		if err := ask(egress.Policy{}, host); !errors.Is(err, egress.ErrForbidden) {
			t.Errorf("a request to %s = %v, want %v", host, err, egress.ErrForbidden)
		}
	}
	if err := ask(egress.Policy{Allow: []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}}, "127.0.0.1"); err != nil {
		t.Errorf("a request to an allowed network = %v", err)
	}
}

// TestNoProxy: a proxy of the environment would connect in our place.
func TestNoProxy(t *testing.T) {
	t.Parallel()
	if egress.Transport(egress.Policy{}).Proxy != nil {
		t.Error("the transport uses a proxy")
	}
}
