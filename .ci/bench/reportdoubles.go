//go:build linux

package main

import (
	"fmt"
	"slices"
)

func (d *doubles) missed() bool { return median(d.pairs) < pairsTarget }

// report renders the mock servers, and package mocks.
func (d *doubles) report(line func(string, ...any)) {
	verdict := "reached"
	if d.missed() {
		verdict = fmt.Sprintf("**missed** by %.0f", pairsTarget-median(d.pairs))
	}
	line("\n| package `mocks`, in process, one core | pairs/s: median (least to most) of %d | at least | |", len(d.pairs))
	line("|---|---|---|---|")
	line("| create a session and issue a join token, through httpmock | %.0f (%.0f to %.0f) | %.0f | %s |", median(d.pairs), slices.Min(d.pairs), slices.Max(d.pairs), pairsTarget, verdict)

	line("\n| test double, a process of its own | start to the first answer: median (least to most) of %d | start a conversation, requests/s | create a session | read a session | memory (RssAnon) afterwards | second session on a conversation |", doubleStarts)
	line("|---|---|---|---|---|---|---|")
	for _, o := range d.others {
		line("| %s | %s (%s to %s) | %.0f | %.0f | %.0f | %s | %d |", o.name, milli(quantile(o.starts, 0.5)), milli(o.starts[0]), milli(o.starts[len(o.starts)-1]),
			o.rates[0], o.rates[1], o.rates[2], mega(o.memory), o.conflict)
	}
	if d.without != "" {
		line("\nPrism and json-server were left out: %s.", d.without)
	}
}
