//go:build linux

package main

import (
	"fmt"
	"strings"
)

// report renders what waiting CometD clients cost. There is no target for it.
func (p *parkedPollers) report(line func(string, ...any)) {
	line("\n| CometD clients that wait, long-polling, %d on one process | memory (RssAnon) of each: median (most) | processor, share of one core | came back meanwhile |", p.clients)
	line("|---|---|---|---|")
	switch {
	case p.without != "":
		line("| not measured: %s | - | - | - |", p.without)
		return
	case p.failure != nil:
		line("| **invalid** | - | - | - |")
		line("\nCometD clients that wait: invalid: %v", strings.SplitN(p.failure.Error(), "\n", 2)[0])
		return
	}
	for _, w := range []struct {
		what string
		window
	}{{"nothing happens", p.still}, {"each connect ends after 30 s and begins anew", p.cycle}} {
		line("| %s, %.0f s | %s (%s) | %.1f %% | %d |", w.what, w.lasts.Seconds(), kilo(p.each(w.memory)), kilo(p.each(w.most)), 100*w.busy, w.back)
	}
	line("\nThe process: %s before anybody came, %s while they waited, %s while they came back.", mega(p.before), mega(p.still.memory), mega(p.cycle.memory))
	if others := max(p.still.others, p.cycle.others); others > muchOthers {
		line("Other processes took %.0f %% of the processors meanwhile; measure again on a quiet machine.", 100*others)
	}
}

// report renders the row of the agents who join at once. There is no target for it.
func (a *activated) report(line func(string, ...any)) {
	line("\n| agent's join to `activated` | floor | p50, p99 of the floor | p50, p99 at the controller | p50, p99 at the customer | p99 times the floor's | processor time per session, floor | cobridge | other processes |")
	line("|---|---|---|---|---|---|---|---|---|")
	if a.errors > 0 {
		line("| %s | %s | - | - | - | **invalid** | - | - | - |", a.work, a.row.floor)
	} else {
		line("| %s | %s | %s | %s | %s | %s | %s | %s | %.0f %% |", a.work, a.row.floor, quantiles(a.floor.latencies), quantiles(a.service.latencies), quantiles(a.customer),
			fmt.Sprintf("%.1f", a.overrun()), micro(a.floor.cost()), micro(a.service.cost()), 100*a.others)
	}
	a.remark(line)
}
