package notify

import (
	"slices"
	"time"
)

// WebhookLimits bounds what webhooks may cost. A zero in a field means its default.
type WebhookLimits struct {
	PerOrg     int           // webhooks of one organisation, those of the configuration aside; 20
	Outbox     int           // pending deliveries of one webhook; and as many dead ones; 10,000
	Workers    int           // attempts at the same time, of which one organisation has three quarters at most; 64
	PerWebhook int           // of them to one webhook; 4
	Timeout    time.Duration // of an attempt; 15 s
	// Delays are the times between attempts; afterwards a delivery is dead. The default
	// is the schedule of https://www.standardwebhooks.com: ten attempts in three days.
	Delays        []time.Duration
	KeepDelivered time.Duration // how long it is known what was delivered; 24 h
	KeepDead      time.Duration // how long what is dead can be replayed; 14 d
	// DisableAfter is for how long all attempts have to fail until a webhook is disabled.
	// 5 d; negative = for ever.
	DisableAfter time.Duration
	Overlap      time.Duration // for which a secret that was replaced signs besides; 24 h
}

const webhookDay = 24 * time.Hour

// DefaultDelays returns the default of [WebhookLimits].Delays.
func DefaultDelays() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, webhookDay,
	}
}

// DefaultWebhookLimits returns the defaults.
func DefaultWebhookLimits() WebhookLimits {
	return WebhookLimits{
		PerOrg: 20, Outbox: 10_000, Workers: 64, PerWebhook: 4, Timeout: 15 * time.Second, Delays: DefaultDelays(),
		KeepDelivered: webhookDay, KeepDead: 14 * webhookDay, DisableAfter: 5 * webhookDay, Overlap: webhookDay,
	}
}

func (l WebhookLimits) withDefaults() WebhookLimits {
	d := DefaultWebhookLimits()
	fill(&l.PerOrg, d.PerOrg)
	fill(&l.Outbox, d.Outbox)
	fill(&l.Workers, d.Workers)
	fill(&l.PerWebhook, d.PerWebhook)
	fill(&l.Timeout, d.Timeout)
	fill(&l.KeepDelivered, d.KeepDelivered)
	fill(&l.KeepDead, d.KeepDead)
	fill(&l.DisableAfter, d.DisableAfter)
	fill(&l.Overlap, d.Overlap)
	if l.Delays == nil {
		l.Delays = d.Delays
	}
	l.Delays = slices.Clone(l.Delays)
	return l
}

// perOrgWorkers is how many workers one organisation can have.
func (l WebhookLimits) perOrgWorkers() int { return max(l.Workers*3/4, 1) }

const (
	// longestWait bounds what an answer's Retry-After can ask for.
	longestWait = webhookDay
	// longestPause bounds for how long an answer's Retry-After holds up everything else
	// for the same webhook.
	longestPause = time.Hour
	// spread is by how much of itself a delay is lengthened at most, at random, so that
	// what failed together does not come back together.
	spread = 0.2
	// slowAnswer is from when on a webhook counts as slow.
	slowAnswer = 5 * time.Second
	// storeTime bounds how long it takes to store what became of an attempt.
	storeTime = 10 * time.Second
	// lookEvery is how often it is looked for what has become due.
	lookEvery = time.Second

	// othersEvery is how often, in looks, it is looked for what other processes left behind.
	othersEvery = 30
	// claimSlack is how much longer a claim holds than an attempt can take: clocks differ.
	claimSlack = 15 * time.Second

	buryBatch = 200 // deliveries that are changed in one step
)
