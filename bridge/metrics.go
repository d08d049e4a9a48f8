package bridge

import (
	"context"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cobridge/cobridge/bridge/bayeux"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/legacy"
	"github.com/cobridge/cobridge/bridge/stream"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// metrics is what /metrics shows; docs/metrics.md describes each. Labels come
// from closed sets: a caller cannot make new ones.
type metrics struct {
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	duration       *prometheus.HistogramVec
	commits        prometheus.Histogram
	changes        prometheus.Counter
	streamsOpen    prometheus.Gauge
	streamsClosed  *prometheus.CounterVec
	streamsRefused *prometheus.CounterVec
	framesIn       *prometheus.CounterVec
	framesOut      *prometheus.CounterVec
	panics         prometheus.Counter
	dropped        prometheus.Counter
	control        *prometheus.CounterVec
	paused         prometheus.Counter
	violations     prometheus.Counter
	backups        *prometheus.CounterVec
}

func newMetrics(version string) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("cobridge_http_requests_total", "Answers, by route template, method and status.", "route", "method", "status"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cobridge_http_request_duration_seconds", Help: "Time from a request's head to its answer, by route template.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route"}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cobridge_store_commit_duration_seconds", Help: "Time of one commit, syncs included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .5, 2},
		}),
		changes:        prometheus.NewCounter(prometheus.CounterOpts{Name: "cobridge_store_changes_total", Help: "Changes that commits made durable."}),
		streamsOpen:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "cobridge_streams_open", Help: "Open live streams."}),
		streamsClosed:  counter("cobridge_streams_closed_total", "Closed live streams, by close code name.", "reason"),
		streamsRefused: counter("cobridge_streams_refused_total", "Streams refused before they opened, by error code.", "reason"),
		framesIn:       counter("cobridge_stream_frames_received_total", "Frames from clients, by kind.", "kind"),
		framesOut:      counter("cobridge_stream_frames_sent_total", "Frames to clients, by kind.", "kind"),
		panics:         prometheus.NewCounter(prometheus.CounterOpts{Name: "cobridge_stream_panics_total", Help: "Panics in a stream's pumps; each closed one stream."}),
		dropped:        prometheus.NewCounter(prometheus.CounterOpts{Name: "cobridge_stream_dropped_total", Help: "Pointers, drawings and answers that went no further, for their rate or because nobody asked."}),
		control:        counter("cobridge_stream_control_total", "Actions of viewers, by what became of them.", "result"),
		paused:         prometheus.NewCounter(prometheus.CounterOpts{Name: "cobridge_stream_pauses_total", Help: "Times that a sharer paused."}),
		violations:     prometheus.NewCounter(prometheus.CounterOpts{Name: "cobridge_masking_violations_total", Help: "Sessions that were ended because a private field had a value."}),
	}
	m.backups = counter("cobridge_backups_total", "Backups through the admin address, by result.", "result")
	for _, result := range []string{"made", "failed"} {
		m.backups.WithLabelValues(result) // so that the first failure is seen to be one more
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "cobridge_build_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		m.requests, m.duration, m.commits, m.changes, m.streamsOpen, m.streamsClosed, m.streamsRefused, m.framesIn, m.framesOut, m.panics,
		m.dropped, m.control, m.paused, m.violations, m.backups,
	)
	return m
}

// answered implements web.ObserveFunc.
func (m *metrics) answered(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
}

func (m *metrics) backedUp(err error) {
	result := "made"
	if err != nil {
		result = "failed"
	}
	m.backups.WithLabelValues(result).Inc()
}

func (m *metrics) committed(c bolt.Commit) {
	m.commits.Observe(c.Took.Seconds())
	m.changes.Add(float64(c.Changes))
}

func (m *metrics) stream() stream.Metrics {
	return stream.Metrics{
		Opened:   m.streamsOpen.Inc,
		Closed:   func(name string) { m.streamsOpen.Dec(); m.streamsClosed.WithLabelValues(name).Inc() },
		Refused:  func(reason string) { m.streamsRefused.WithLabelValues(reason).Inc() },
		FrameIn:  func(kind string) { m.framesIn.WithLabelValues(kind).Inc() },
		FrameOut: func(kind string, n int) { m.framesOut.WithLabelValues(kind).Add(float64(n)) },
		Dropped:  m.dropped.Inc,
		Control:  func(result string) { m.control.WithLabelValues(result).Inc() },
		Paused:   m.paused.Inc,
		Violated: m.violations.Inc,
		Panicked: m.panics.Inc,
	}
}

// bayeux adds what the server of the CometD clients says of itself.
func (m *metrics) bayeux(stats func() bayeux.Stats) {
	gauge := func(name, help string, value func(bayeux.Stats) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value(stats())) })
	}
	count := func(name, help, label, value string, read func(bayeux.Stats) uint64) prometheus.Collector {
		opts := prometheus.CounterOpts{Name: name, Help: help}
		if label != "" {
			opts.ConstLabels = prometheus.Labels{label: value}
		}
		return prometheus.NewCounterFunc(opts, func() float64 { return float64(read(stats())) })
	}
	const gone, refused = "CometD clients that have gone, by why.", "What CometD clients asked for and did not get, by why."
	m.registry.MustRegister(
		gauge("cobridge_cometd_clients", "CometD clients that are known.", func(s bayeux.Stats) int { return s.Clients }),
		gauge("cobridge_cometd_parked", "Long polls that wait.", func(s bayeux.Stats) int { return s.Parked }),
		gauge("cobridge_cometd_sockets", "Open WebSockets of CometD clients.", func(s bayeux.Stats) int { return s.Sockets }),
		count("cobridge_cometd_handshakes_total", "CometD clients that were let in.", "", "", func(s bayeux.Stats) uint64 { return s.Handshakes }),
		count("cobridge_cometd_calls_total", "Messages of CometD clients on service channels.", "", "", func(s bayeux.Stats) uint64 { return s.Calls }),
		count("cobridge_cometd_events_total", "Events queued for CometD clients.", "", "", func(s bayeux.Stats) uint64 { return s.Delivered }),
		count("cobridge_cometd_panics_total", "Panics while a message was answered.", "", "", func(s bayeux.Stats) uint64 { return s.Panics }),
		count("cobridge_cometd_refused_total", refused, "reason", "handshake", func(s bayeux.Stats) uint64 { return s.Refused }),
		count("cobridge_cometd_refused_total", refused, "reason", "unknownClient", func(s bayeux.Stats) uint64 { return s.Unknown }),
		count("cobridge_cometd_refused_total", refused, "reason", "tooManyMessages", func(s bayeux.Stats) uint64 { return s.Limited }),
		count("cobridge_cometd_gone_total", gone, "reason", string(bayeux.Disconnected), func(s bayeux.Stats) uint64 { return s.Disconnected }),
		count("cobridge_cometd_gone_total", gone, "reason", string(bayeux.ConnectionLost), func(s bayeux.Stats) uint64 { return s.ConnectionLost }),
		count("cobridge_cometd_gone_total", gone, "reason", string(bayeux.Overflowed), func(s bayeux.Stats) uint64 { return s.Overflowed }),
		count("cobridge_cometd_gone_total", gone, "reason", string(bayeux.Dismissed), func(s bayeux.Stats) uint64 { return s.Dismissed }),
	)
}

// notifications adds how many listen to notification channels.
func (m *metrics) notifications(connections func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "cobridge_notifications_connections", Help: "Open WebSockets of notification channels.",
	}, func() float64 { return float64(connections()) }))
}

// directory adds how calls of a remote directory end, and returns who counts them.
func (m *metrics) directory() func(result string) {
	calls := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cobridge_directory_calls_total", Help: "Calls of the remote directory, by how they ended."}, []string{"result"})
	calls.WithLabelValues("ok") // so that it is there from the start
	m.registry.MustRegister(calls)
	return func(result string) { calls.WithLabelValues(result).Inc() }
}

// restrictions adds how the file of DOM restrictions fares.
func (m *metrics) restrictions(status func() legacy.RestrictionsStatus) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cobridge_restrictions_rules", Help: "Rules by address that the DOM restrictions file has become."}, func() float64 {
			return float64(status().Rules)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cobridge_restrictions_refused", Help: "1 while the DOM restrictions file as it is now is not followed, else 0."}, func() float64 {
			if status().Problem != "" {
				return 1
			}
			return 0
		}),
	)
}

// handler serves the metrics, together with what the store and the relay say of themselves.
func (m *metrics) handler(store store, pictures func() relay.Stats) fiber.Handler {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	relayed := func(name, help string, value func(relay.Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(pictures())) })
	}
	m.registry.MustRegister(
		relayed("cobridge_relay_frames_total", "Frames of pages that were relayed.", func(s relay.Stats) uint64 { return s.FramesIn }),
		relayed("cobridge_relay_refused_total", "Frames of pages that were not: malformed, too large or stale.", func(s relay.Stats) uint64 { return s.Refused }),
		relayed("cobridge_relay_deliveries_total", "Frames of pages that were queued for viewers.", func(s relay.Stats) uint64 { return s.Deliveries }),
		relayed("cobridge_relay_dropped_total", "Frames of pages that slow or hidden viewers did not get.", func(s relay.Stats) uint64 { return s.Dropped }),
		relayed("cobridge_relay_resyncs_total", "Pictures that viewers got anew.", func(s relay.Stats) uint64 { return s.Resyncs }),
		relayed("cobridge_relay_needs_total", "Pictures that sharers were asked for.", func(s relay.Stats) uint64 { return s.Needs }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cobridge_relay_viewers", Help: "Viewers of pictures."}, func() float64 { return float64(pictures().Viewers) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "cobridge_relay_buffer_bytes", Help: "Memory of the pictures that are held for viewers who come later."}, func() float64 { return float64(pictures().BufferBytes) }),
		gauge("cobridge_sessions_live", "Sessions that have not ended.", func() float64 { return liveSessions(context.Background(), store) }),
		gauge("cobridge_store_size_bytes", "Size of the store file.", func() float64 { return storeSize(store) }),
	)
	return adaptor.HTTPHandler(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
}
