//go:build linux

// Command bench measures the service against floors: the least that a server has
// to do for the same answer. Floor and service run side by side as processes of
// their own, in alternating rounds of one run, and are called by the same load
// generator. Run it with make bench; docs/performance.md explains the rows.
//
// It reads /proc and calls fdatasync, so it runs on Linux only.
package main
