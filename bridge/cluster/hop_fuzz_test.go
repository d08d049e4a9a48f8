package cluster_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/cobridge/cobridge/bridge/cluster"
)

// FuzzReadHop: nobody without the key writes a header that is believed.
func FuzzReadHop(f *testing.F) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	key := []byte("thirty-two bytes of a test's key")
	r := cluster.Request{Method: "GET", Target: "/", Host: "h"}
	good := cluster.Hop{To: "n", Client: netip.MustParseAddr("192.0.2.1"), At: now}.Sign(key, r)
	f.Add(good)
	f.Add("v1 n 1 true 192.0.2.1 AAAA")
	f.Add("      ")
	f.Fuzz(func(t *testing.T, header string) {
		hop, err := cluster.ReadHop(key, r, header, now)
		if (err == nil) != (header == good) || err != nil && !errors.Is(err, cluster.ErrHop) {
			t.Errorf("ReadHop(%q) = %+v, %v", header, hop, err)
		}
	})
}
