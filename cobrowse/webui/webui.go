package webui

import (
	"embed"
	"io/fs"
)

//go:embed src
var files embed.FS

// Files returns the sources: join.html and message.html (html/template),
// join.js, join.css, icon.svg, and texts/<language>.json, each an object of the
// same keys.
func Files() fs.FS {
	sources, err := fs.Sub(files, "src")
	if err != nil {
		panic(err) // the name is a constant that embed has seen
	}
	return sources
}
