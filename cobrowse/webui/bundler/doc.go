// Command bundler makes the browser bundles of cobridge: it reads
// cobrowse/webui/src and third_party and writes cobrowse/webui/dist, which is
// committed, so that nobody who builds or runs cobridge needs it, or Node.
//
//	go run -C cobrowse/webui/bundler .          write dist
//	go run -C cobrowse/webui/bundler . -check   compare only; exit 1 if dist is not what would be written
//
// The same sources give the same bytes on every machine: esbuild and both
// compressors are pinned in this module's go.mod, and the standard library's
// gzip, whose output changes between releases of Go, is not used. It is a module
// of its own so that none of that enters the product's go.mod.
//
// It refuses bundles over their size gate, and third-party files that are not
// what their SOURCE says.
package main
