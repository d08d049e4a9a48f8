package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

// leastVersion is the oldest server that is known to do what the scripts ask for. It
// is the version that Valkey says it is compatible with, too.
const leastVersion = 7

// Durability is what the servers say of how they keep what was stored. Of a cluster it
// is what the weakest of its masters says.
type Durability struct {
	Server      string // "redis" or "valkey"
	Version     string
	Mode        string // "standalone", "sentinel" or "cluster"
	AppendOnly  bool
	AppendFsync string // "always", "everysec" or "no"; "unknown" where the server does not tell
	Replicas    int    // that are connected
	Masters     int
}

// inspect asks every master what it is, and refuses those that cannot be relied on.
func inspect(ctx context.Context, client rueidis.Client) (Durability, error) {
	all := Durability{Mode: string(client.Mode())}
	for _, node := range client.Nodes() {
		one, master, err := inspectNode(ctx, node)
		if err != nil {
			return Durability{}, err
		}
		if !master {
			continue
		}
		one.Mode, one.Masters = all.Mode, all.Masters+1
		if all.Masters > 0 {
			one.AppendOnly = one.AppendOnly && all.AppendOnly
			one.Replicas = min(one.Replicas, all.Replicas)
			one.AppendFsync = weaker(one.AppendFsync, all.AppendFsync)
		}
		all = one
	}
	if all.Masters == 0 {
		return Durability{}, errors.New("no server says that it is a master")
	}
	return all, nil
}

func weaker(a, b string) string {
	order := []string{"unknown", "no", "everysec", "always"}
	if slices.Index(order, a) < slices.Index(order, b) {
		return a
	}
	return b
}

func inspectNode(ctx context.Context, node rueidis.Client) (d Durability, master bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	text, err := node.Do(ctx, node.B().Info().Build()).ToString()
	if err != nil {
		return d, false, fmt.Errorf("ask the server what it is: %w", err)
	}
	info := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			info[name] = value
		}
	}
	if info["role"] != "master" {
		return d, false, nil
	}
	d = Durability{Server: "redis", Version: info["redis_version"], AppendOnly: info["aof_enabled"] == "1", AppendFsync: "unknown"}
	major, _, _ := strings.Cut(d.Version, ".")
	if n, err := strconv.Atoi(major); err != nil || n < leastVersion {
		return d, true, fmt.Errorf("the server has version %q, want Redis %d.0 or Valkey 7.2 or later", d.Version, leastVersion)
	}
	if version := info["valkey_version"]; version != "" {
		d.Server, d.Version = "valkey", version
	}
	if policy := info["maxmemory_policy"]; policy != "noeviction" {
		return d, true, fmt.Errorf("the server's maxmemory-policy is %q, so it may throw sessions away: set it to noeviction", policy)
	}
	d.Replicas, _ = strconv.Atoi(info["connected_slaves"])
	// Services that are run by others often refuse CONFIG.
	if config, err := node.Do(ctx, node.B().ConfigGet().Parameter("appendfsync").Build()).AsStrMap(); err == nil && config["appendfsync"] != "" {
		d.AppendFsync = config["appendfsync"]
	}
	return d, true, nil
}

// passing reports whether a refusal says that the server cannot serve just now.
func passing(refusal *rueidis.RedisError) bool {
	kind, _, _ := strings.Cut(refusal.Error(), " ")
	return slices.Contains([]string{
		"LOADING", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN", "OOM", "MISCONF", "NOREPLICAS", "BUSY", "NOAUTH", "WRONGPASS", "NOPERM", "MOVED", "ASK", "UNBLOCKED",
	}, kind)
}
