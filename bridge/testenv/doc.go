// Package testenv finds the programs that some tests need and Go does not bring,
// for instance a browser, and settles what happens when one is missing: the test
// skips with a reason, or fails when the environment variable COBRIDGE_REQUIRE
// lists the component. It does not know how the programs are used; a browser's
// flags belong to the test that drives it.
//
// Start with [Need]. Only test files import this package. Its functions may be
// called concurrently. The reasons are in docs/adr/0003-test-environment.md.
package testenv
