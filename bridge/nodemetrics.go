package bridge

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cobridge/cobridge/bridge/cluster"
	"github.com/cobridge/cobridge/bridge/cluster/tunnel"
)

// nodes adds what this process knows of the others. Where it is alone, there is none of it.
func (m *metrics) nodes(stats func() cluster.Stats) {
	gauge := func(name, help string, value func(cluster.Stats) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value(stats())) })
	}
	count := func(name, help string, value func(cluster.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(stats())) })
	}
	m.registry.MustRegister(
		gauge("cobridge_cluster_nodes", "Nodes that serve the store, with this one.", func(s cluster.Stats) int { return s.Peers }),
		gauge("cobridge_cluster_rooms", "Sessions whose live part is on this node.", func(s cluster.Stats) int { return s.Rooms }),
		count("cobridge_cluster_rooms_lost_total", "Sessions whose live part another node took while clients were here.", func(s cluster.Stats) uint64 { return s.Lost }),
		count("cobridge_cluster_burials_total", "Other nodes that this one has given up.", func(s cluster.Stats) uint64 { return s.Burials }),
		count("cobridge_cluster_renamed_total", "Times that the other nodes had given this one up while it was only slow.", func(s cluster.Stats) uint64 { return s.Renamed }),
	)
}

// tunnels adds the streams that go through this process to another.
func (m *metrics) tunnels() tunnel.Metrics {
	open := prometheus.NewGauge(prometheus.GaugeOpts{Name: "cobridge_tunnels_open", Help: "Live streams that go through this node to another."})
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cobridge_tunnels_total", Help: "Requests for streams of other nodes, by what became of them."}, []string{"result"})
	for _, result := range tunnel.Results() {
		requests.WithLabelValues(result) // so that the first failure is seen to be one more
	}
	m.registry.MustRegister(open, requests)
	return tunnel.Metrics{Opened: open.Inc, Closed: open.Dec, Result: func(result string) { requests.WithLabelValues(result).Inc() }}
}
