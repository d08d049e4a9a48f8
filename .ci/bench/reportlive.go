//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"
)

// report renders the rows of the relay.
func (r relayed) report(line func(string, ...any)) {
	if f := r.flood; f != nil {
		line("\n| relay | viewers | floor | floor, deliveries/s | cobridge, deliveries/s | ratio: median (least to most) | at least | |")
		line("|---|---|---|---|---|---|---|---|")
		line("| %s | %d | %s | %s | %.2f | %s |", f.work, f.conns, f.row.floor, f.numbers(), f.target, f.verdict())
		line("\n| relay | processor time per delivery, floor | cobridge | other processes | errors |")
		line("|---|---|---|---|---|")
		line("| %s | %s | %s | %.0f %% | %d |", f.work, microTenths(f.floor.cost()), microTenths(f.service.cost()), 100*f.others, f.errors)
		f.remark(line)
	}
	if len(r.paced) == 0 {
		return
	}
	line("\n| relay, paced | viewers | p50, p99 of the floor | p50, p99 of cobridge | p99 times the floor's | at most | | processor time per delivery, floor | cobridge | other processes |")
	line("|---|---|---|---|---|---|---|---|---|---|")
	for _, p := range r.paced {
		line("| %s | %d | %s | %s | %.2f | %.2f | %s | %s | %s | %.0f %% |", p.work, p.conns, fineQuantiles(p.floor.latencies), fineQuantiles(p.service.latencies),
			p.overrun(), pacedLimit, p.pacedVerdict(), micro(p.floor.cost()), micro(p.service.cost()), 100*p.others)
	}
	for _, p := range r.paced {
		p.remark(line)
	}
}

func (r *result) pacedVerdict() string {
	if r.errors > 0 {
		return "**invalid**"
	}
	return within(r.overrun(), pacedLimit)
}

func (v *idleViewers) report(line func(string, ...any)) {
	line("\n| idle streams, memory (RssAnon) of each | measured | at most | |")
	line("|---|---|---|---|")
	line("| viewer, %d in %d sessions | %s | %s | %s |", v.viewers, v.sessions, kilo(v.each), kilo(viewerLimit), within(float64(v.each), viewerLimit))
	line("| sharer, one in each of these sessions | %s | | |", kilo(v.sharer))
	line("| picture of a page of %s in each session | %s | | |", kilo(int64(v.page)), kilo(v.picture))
	line("\nThe process: %s before anybody came, %s with the sharers, %s with the viewers, %s with the pictures.", mega(v.before), mega(v.withSharers), mega(v.withViewers), mega(v.withPictures))
}

func (s *seen) report(line func(string, ...any)) {
	line("\n| browser | measured | at most | |")
	line("|---|---|---|---|")
	switch {
	case s.without != "":
		line("| %s | - | | not measured |", s.without)
	case s.failure != nil:
		line("| in the browser | - | | **invalid** |")
	default:
		p95 := quantile(s.keys, 0.95)
		line("| key on the customer's page to the viewer's field, p95 of %d (p50, most) | %s (%s, %s) | %s | %s |", len(s.keys), milli(p95), milli(quantile(s.keys, 0.5)),
			milli(quantile(s.keys, 1)), milli(keyLimit), within(float64(p95), float64(keyLimit)))
		middle := quantile(s.pictures, 0.5)
		line("| page of %d elements, from opening the viewer's page to the last row: median (least to most) of %d | %s (%s to %s) | %s | %s |", s.elements, len(s.pictures),
			milli(middle), milli(s.pictures[0]), milli(quantile(s.pictures, 1)), milli(pictureLimit), within(float64(middle), float64(pictureLimit)))
	}
	line("| customer script, gzip -9 | %d bytes | %d bytes | %s |", s.script, scriptLimit, within(float64(s.script), scriptLimit))
	if s.failure != nil {
		line("\nIn the browser: invalid: %v", strings.SplitN(s.failure.Error(), "\n", 2)[0])
	}
	if s.with != "" {
		line("\nMeasured with %s.", s.with)
	}
}

// fineQuantiles are p50 and p99 of latencies far below a millisecond.
func fineQuantiles(sorted []time.Duration) string {
	return fmt.Sprintf("%.2f ms, %.2f ms", quantile(sorted, 0.5).Seconds()*1e3, quantile(sorted, 0.99).Seconds()*1e3)
}

func kilo(bytes int64) string { return fmt.Sprintf("%.1f KB", float64(bytes)/1000) }

func microTenths(d time.Duration) string { return fmt.Sprintf("%.2f µs", d.Seconds()*1e6) }
