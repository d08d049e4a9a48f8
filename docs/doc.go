// Package docs embeds what the service says about itself: the description of its
// HTTP interface in OpenAPI 3.1 and the page that shows it. It knows nothing of the
// service. The description is written by hand; the service compiles the schemas of
// its requests from it, and tests hold every answer against it.
//
// Start with [OpenAPI]. Everything here is constant and may be read concurrently.
package docs
