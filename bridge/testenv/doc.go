// Package testenv is what tests of several packages share: it finds the programs
// that some need and Go does not bring, for instance a browser, and settles what
// happens when one is missing (the test skips with a reason, or fails when the
// environment variable COBRIDGE_REQUIRE lists the component); and it has a clock
// that tests move and a buffer for logs. It does not know how the programs are
// used; a browser's flags belong to the test that drives it.
//
// Start with [Need], [NeedPackages], [Clock] and [Buffer]. Only test files import this package.
// Everything in it may be used concurrently. The reasons are in
// docs/adr/0003-test-environment.md.
package testenv
