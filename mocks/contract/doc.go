// Package contract is what a client may rely on when it talks to the Genesys
// Cloud style API of cobridge: the checklist T1 to T33 of docs/contract.md and
// the rules around it, as one suite over plain HTTP.
//
// It knows no implementation. A [Target] is a base address, an http.Client and
// credentials; behind it may stand the service in this process, a binary over
// TLS, or a mock transport. [Run] reports to a small interface of its own, [T],
// so that a command line can run the suite as well as package testing can.
// [Cases] lists what is checked, by name.
//
// The suite creates what it needs through the API and ends it again, so it can
// run against the same target any number of times. It runs its cases one after
// the other; inside a case it may call the target concurrently.
package contract
