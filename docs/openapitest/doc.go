// Package openapitest holds answers against docs/openapi.yaml, in tests. It carries
// kin-openapi and so must not be imported outside of test files.
//
// Start with [NewChecker]. A [Checker] may be used concurrently.
package openapitest
