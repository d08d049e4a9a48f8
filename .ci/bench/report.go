//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	reportPath  = "docs/performance.md"
	beginMarker = "<!-- bench:begin -->"
	endMarker   = "<!-- bench:end -->"

	// A machine that does something else as well says little about either side.
	muchOthers = 0.10
)

// findings are what was measured; what was not wanted is nil or empty.
type findings struct {
	requests  []*result
	relay     relayed
	viewers   *idleViewers
	parked    *parkedPollers
	activated *activated
	browser   *seen
	doubles   *doubles
	process   *footprint
}

// report renders everything as Markdown.
func (h *harness) report(found findings, dir string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	results, f := found.requests, found.process
	line("%s, `make bench ARGS=-write`: %s of %s a side, alternating, after %s of warm-up.", time.Now().UTC().Format(time.DateOnly), count(h.rounds, "pair of rounds", "pairs of rounds"), h.lasts, h.warm)
	line("%s.", machine(dir))
	if h.calibrate {
		line("\n**Calibration: both sides are the floor, so every ratio should be 1.**")
	}
	if len(results) > 0 {
		line("\n| work | connections | floor | floor, requests/s | cobridge, requests/s | ratio: median (least to most) | at least | |")
		line("|---|---|---|---|---|---|---|---|")
		for _, r := range results {
			line("| %s | %d | %s | %s | %.2f | %s |", r.work, r.conns, r.row.floor, r.numbers(), r.target, r.verdict())
		}
		line("\n| work | p50, p99 of the floor | p50, p99 of cobridge | processor time per request, floor | cobridge | other processes | errors |")
		line("|---|---|---|---|---|---|---|")
		for _, r := range results {
			line("| %s | %s | %s | %s | %s | %.0f %% | %d |", r.work, quantiles(r.floor.latencies), quantiles(r.service.latencies),
				micro(r.floor.cost()), micro(r.service.cost()), 100*r.others, r.errors)
		}
		for _, r := range results {
			r.remark(line)
		}
	}
	found.relay.report(line)
	if found.viewers != nil {
		found.viewers.report(line)
	}
	if found.parked != nil {
		found.parked.report(line)
	}
	if found.activated != nil {
		found.activated.report(line)
	}
	if found.browser != nil {
		found.browser.report(line)
	}
	if found.doubles != nil {
		found.doubles.report(line)
	}
	if f != nil {
		line("\n| process | measured | at most | |")
		line("|---|---|---|---|")
		line("| idle memory (RssAnon), empty store, after %s | %s | %s | %s |", idle, mega(f.memory), mega(memoryLimit), within(float64(f.memory), memoryLimit))
		middle := quantile(f.starts, 0.5)
		line("| start to the first 200 on `/healthz`: median (least to most) of %d | %s (%s to %s) | %s | %s |", len(f.starts), milli(middle),
			milli(f.starts[0]), milli(f.starts[len(f.starts)-1]), milli(startLimit), within(float64(middle), float64(startLimit)))
		line("| binary, `CGO_ENABLED=0 go build -trimpath` | %s | %s | %s |", mega(f.binary), mega(binaryLimit), within(float64(f.binary), binaryLimit))
		line("| the same with `-ldflags=\"-s -w\"`, as `make build`, image and releases have it | %s | %s | %s |", mega(f.stripped), mega(binaryLimit), within(float64(f.stripped), binaryLimit))
	}
	return b.String()
}

// remark says what is wrong with a row, if anything is.
func (r *result) remark(line func(string, ...any)) {
	if r.failure != nil {
		line("\n%s: invalid: %v", r.work, strings.SplitN(r.failure.Error(), "\n", 2)[0])
	}
	if r.others > muchOthers {
		line("\n%s: other processes took %.0f %% of the processors meanwhile; measure again on a quiet machine.", r.work, 100*r.others)
	}
}

// numbers are the three middle columns of a row.
func (r *result) numbers() string {
	if r.errors > 0 {
		return "- | - | -"
	}
	return fmt.Sprintf("%.0f | %.0f | **%.2f** (%.2f to %.2f)", median(r.floor.rates), median(r.service.rates), r.ratio(), slices.Min(r.ratios), slices.Max(r.ratios))
}

func (r *result) verdict() string {
	switch {
	case r.errors > 0:
		return "**invalid**"
	case r.ratio() < r.target:
		return fmt.Sprintf("**missed** by %.3f", r.target-r.ratio())
	default:
		return "reached"
	}
}

// missed tells whether anything was missed or is invalid.
func (f findings) missed() bool {
	p := f.process
	return slices.ContainsFunc(f.requests, func(r *result) bool { return r.errors > 0 || r.ratio() < r.target }) || f.relay.missed() ||
		f.viewers != nil && f.viewers.missed() || f.parked != nil && f.parked.failure != nil || f.activated != nil && f.activated.errors > 0 ||
		f.browser != nil && f.browser.missed() || f.doubles != nil && f.doubles.missed() ||
		p != nil && (p.memory > memoryLimit || quantile(p.starts, 0.5) > startLimit || p.binary > binaryLimit || p.stripped > binaryLimit)
}

func within(value, limit float64) string {
	if value > limit {
		return fmt.Sprintf("**missed** by %.0f %%", 100*(value/limit-1))
	}
	return "reached"
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func quantiles(sorted []time.Duration) string {
	return milli(quantile(sorted, 0.5)) + ", " + milli(quantile(sorted, 0.99))
}

func milli(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1e3) }
func micro(d time.Duration) string { return fmt.Sprintf("%.0f µs", d.Seconds()*1e6) }
func mega(bytes int64) string      { return fmt.Sprintf("%.1f MB", float64(bytes)/megabyte) }

// machine describes what was measured on.
func machine(dir string) string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // a description without it is one still
	release, _, _ := strings.Cut(string(kernel), "-")
	return fmt.Sprintf("%d × %s, Linux %s %s, %s, %s", runtime.NumCPU(), processorModel(), strings.TrimSpace(release), runtime.GOARCH, runtime.Version(), filesystem(dir))
}

func processorModel() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// filesystem names the kind of file system that dir is on.
func filesystem(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return "unknown file system"
	}
	names := map[int64]string{0xef53: "ext4", 0x58465342: "XFS", 0x9123683e: "Btrfs", tmpfs: "tmpfs", 0x794c7630: "overlayfs", 0x2fc12fc1: "ZFS"}
	if name, known := names[int64(s.Type)]; known { //nolint:unconvert // narrower on some architectures
		return name
	}
	return fmt.Sprintf("file system %#x", s.Type)
}

// tmpfs is the magic number of the file system that survives nothing.
const tmpfs = 0x01021994

// writeReport puts the report between the markers of the document.
func writeReport(text string) error {
	document, err := os.ReadFile(reportPath)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	replaced, err := replace(document, text)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.WriteFile(reportPath, replaced, 0o644); err != nil { //nolint:gosec // a document for everybody
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func replace(document []byte, text string) ([]byte, error) {
	before, rest, begins := bytes.Cut(document, []byte(beginMarker))
	_, after, ends := bytes.Cut(rest, []byte(endMarker))
	if !begins || !ends {
		return nil, errors.New(reportPath + " has no markers for the report")
	}
	return slices.Concat(before, []byte(beginMarker+"\n"+text+endMarker), after), nil
}
