package config

import (
	"net"
	"strings"
	"time"
)

// Cluster says how processes that serve one Redis store work together.
type Cluster struct {
	Advertise string        `yaml:"advertise" doc:"host:port at which the other nodes reach this one, or https://host:port; never by a balancer. Empty: listen, unless that is every address of the machine."`
	CAFile    string        `yaml:"caFile" doc:"PEM file with the certificates by which other nodes are known that advertise https. Empty: those of the system."`
	Heartbeat time.Duration `yaml:"heartbeat" doc:"Time between two signs of life to the other nodes; 200ms to 1m."`
	DeadAfter time.Duration `yaml:"deadAfter" doc:"Silence after which a node is given up and others take its sessions over; at least four heartbeats, at most a quarter of session.grace."`
}

func defaultCluster() Cluster {
	return Cluster{Heartbeat: 2 * time.Second, DeadAfter: 10 * time.Second}
}

func (c Config) checkCluster(found *problems) {
	if address := strings.TrimPrefix(c.Cluster.Advertise, "https://"); c.Cluster.Advertise != "" {
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" || wildcard(host) {
			found.add("cluster.advertise", "%q, want host:port or https://host:port of this node alone", c.Cluster.Advertise)
		}
	}
	if !c.StoredInRedis() {
		if c.Cluster.Advertise != "" {
			found.add("cluster.advertise", "set, but the embedded store is for one node: want a Redis store")
		}
		return
	}
	within(found, "cluster.heartbeat", c.Cluster.Heartbeat, 200*time.Millisecond, time.Minute)
	within(found, "cluster.deadAfter", c.Cluster.DeadAfter, 4*c.Cluster.Heartbeat, max(4*c.Cluster.Heartbeat, c.Session.Grace/4))
}

func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}

// NodeAddress is where other nodes reach this one; empty if that is not known. Call it
// on a configuration that is completed by [Config.At].
func (c Config) NodeAddress() string {
	if c.Cluster.Advertise != "" {
		return c.Cluster.Advertise
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil || wildcard(host) {
		return ""
	}
	if c.TLS.Enabled() {
		return "https://" + c.Listen
	}
	return c.Listen
}

func (c Config) clusterWarnings() []string {
	if c.StoredInRedis() && c.NodeAddress() == "" {
		return []string{"cluster.advertise is not set and listen is every address: other nodes on this store cannot lead anybody to the sessions of this one."}
	}
	return nil
}
