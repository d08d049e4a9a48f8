package bridge

import (
	"context"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cobridge/cobridge/cobrowse"
)

// pingTime is how long a store may take to answer whether it is there: metrics of a
// service that is in trouble are wanted more than ever.
const pingTime = time.Second

// sessionEvents are the events that are counted, so that each is there from the start.
func sessionEvents() []cobrowse.EventType {
	return []cobrowse.EventType{
		cobrowse.EventCreated, cobrowse.EventUpdated, cobrowse.EventActivated, cobrowse.EventEnded, cobrowse.EventParticipantAdded, cobrowse.EventParticipantJoined,
		cobrowse.EventParticipantConnected, cobrowse.EventParticipantDisconnected, cobrowse.EventParticipantLeft, cobrowse.EventParticipantRemoved,
		cobrowse.EventPageVisited, cobrowse.EventGranted, cobrowse.EventRevoked,
	}
}

func endReasons() []cobrowse.EndReason {
	return []cobrowse.EndReason{
		cobrowse.EndParticipantLeft, cobrowse.EndConversationEnded, cobrowse.EndInactive, cobrowse.EndNeverJoined, cobrowse.EndConnectionLost,
		cobrowse.EndMaxDuration, cobrowse.EndRequested, cobrowse.EndMaskingViolation, cobrowse.EndStopped,
	}
}

// sessions adds what happens to sessions, and returns who counts it.
func (m *metrics) sessions() func(context.Context, cobrowse.Event) error {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cobridge_session_events_total", Help: "What happened to sessions, by type of event."}, []string{"type"})
	ended := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cobridge_sessions_ended_total", Help: "Sessions that have ended, by why."}, []string{"reason"})
	m.registry.MustRegister(events, ended)
	for _, kind := range sessionEvents() {
		events.WithLabelValues(string(kind))
	}
	for _, reason := range endReasons() {
		ended.WithLabelValues(string(reason))
	}
	return func(_ context.Context, e cobrowse.Event) error {
		events.WithLabelValues(string(e.Type)).Inc()
		if e.Type == cobrowse.EventEnded {
			ended.WithLabelValues(string(e.EndReason)).Inc()
		}
		return nil
	}
}

// saturation adds whether the service can do its work, and how near it is to what it
// cannot do.
func (m *metrics) saturation(a *App) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	one := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	gauge("cobridge_ready", "1 while the service is ready, else 0.", func() float64 { return one(a.ready.Load()) })
	gauge("cobridge_store_up", "1 while the store reads and takes writes, else 0.", func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), pingTime)
		defer cancel()
		return one(a.store.Ping(ctx) == nil)
	})
	gauge("cobridge_http_connections", "Connections of the main listener that are served; streams are counted apart.", func() float64 {
		return float64(a.fiber.Server().GetOpenConnectionsCount())
	})
	gauge("cobridge_http_connections_limit", "Most of them at a time.", func() float64 { return float64(a.fiber.Server().Concurrency) })
	gauge("cobridge_attached_data_backlog", "Events whose attached data is not yet written to their conversation.", func() float64 {
		return float64(a.attachedBacklog())
	})
	path, err := a.cfg.StoreFile()
	if err != nil {
		return // nothing on a disk of this machine
	}
	if _, known := a.diskFree(filepath.Dir(path)); known {
		gauge("cobridge_store_disk_free_bytes", "What can still be written to the disk of the store.", func() float64 {
			free, _ := a.diskFree(filepath.Dir(path))
			return float64(free)
		})
	}
}
