package bridge

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/bridge/stream"
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
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "cobridge_build_info", Help: "Always 1; the version is a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		m.requests, m.duration, m.commits, m.changes, m.streamsOpen, m.streamsClosed, m.streamsRefused, m.framesIn, m.framesOut, m.panics,
	)
	return m
}

// answered implements web.ObserveFunc.
func (m *metrics) answered(route, method string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(route).Observe(took.Seconds())
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
		Panicked: m.panics.Inc,
	}
}

// handler serves the metrics, together with what the store says of itself.
func (m *metrics) handler(store *bolt.Store) fiber.Handler {
	gauge := func(name, help string, value func(bolt.Stats) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(store.Stats()) })
	}
	m.registry.MustRegister(
		gauge("cobridge_sessions_live", "Sessions that have not ended.", func(s bolt.Stats) float64 { return float64(s.LiveSessions) }),
		gauge("cobridge_store_size_bytes", "Size of the store file.", func(s bolt.Stats) float64 { return float64(s.FileBytes) }),
	)
	return adaptor.HTTPHandler(promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
}
