package bridge

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cobridge/cobridge/bridge/notify"
)

// webhooks adds what becomes of deliveries, and returns who is told of it.
func (m *metrics) webhooks() notify.WebhookObserver {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cobridge_webhooks_attempts_total", Help: "Attempts to tell webhooks, by how they ended."}, []string{"result"})
	took := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "cobridge_webhooks_attempt_duration_seconds", Help: "Time of one attempt to tell a webhook.", Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 15},
	})
	dead := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cobridge_webhooks_given_up_total", Help: "Deliveries that were given up, by why."}, []string{"reason"})
	disabled := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cobridge_webhooks_disabled_total", Help: "Webhooks that were disabled because nobody was there, by why."}, []string{"reason"})
	// So that they are there from the start.
	for _, r := range notify.AttemptResults() {
		attempts.WithLabelValues(string(r))
	}
	for _, r := range []notify.DeadReason{notify.DeadAttempts, notify.DeadGone, notify.DeadDisabled, notify.DeadFull} {
		dead.WithLabelValues(string(r))
	}
	for _, r := range []notify.DisableReason{notify.DisabledGone, notify.DisabledFailing} {
		disabled.WithLabelValues(string(r))
	}
	m.registry.MustRegister(attempts, took, dead, disabled)
	return notify.WebhookObserver{
		Attempt: func(r notify.AttemptResult, d time.Duration) {
			attempts.WithLabelValues(string(r)).Inc()
			took.Observe(d.Seconds())
		},
		Dead:     func(r notify.DeadReason) { dead.WithLabelValues(string(r)).Inc() },
		Disabled: func(r notify.DisableReason) { disabled.WithLabelValues(string(r)).Inc() },
	}
}

// backlog adds what waits to be told. It is read when the metrics are.
func (m *metrics) backlog(read func(context.Context) (notify.Tally, time.Duration, error)) {
	gauge := func(name, help string, value func(notify.Tally, time.Duration) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			const patience = time.Second
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			counted, age, err := read(ctx)
			if err != nil {
				return 0 // the store says so itself
			}
			return value(counted, age)
		})
	}
	m.registry.MustRegister(
		gauge("cobridge_webhooks_pending", "Deliveries that wait for their next attempt.", func(t notify.Tally, _ time.Duration) float64 { return float64(t.Pending) }),
		gauge("cobridge_webhooks_dead", "Dead deliveries that can be replayed.", func(t notify.Tally, _ time.Duration) float64 { return float64(t.Dead) }),
		gauge("cobridge_webhooks_oldest_pending_seconds", "Age of the oldest delivery that waits; 0 = none does.", func(_ notify.Tally, age time.Duration) float64 { return age.Seconds() }),
	)
}
