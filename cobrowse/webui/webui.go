package webui

import (
	"embed"
	"io/fs"
)

//go:generate go run -C bundler .

// The sources of scripts and styles stay out: what browsers get is in dist.
//
//go:embed src/*.html src/demo/*.html src/history/*.html src/slave/*.html src/texts dist
var files embed.FS

// Files returns what pages are made of: *.html, demo/*.html, history/*.html and
// slave/*.html (html/template), and <language>.json below texts, texts/history,
// texts/slave and texts/sdk, of each directory objects of the same keys.
func Files() fs.FS { return sub("src") }

// Dist returns what browsers load: the bundled scripts and styles and icon.svg,
// each with its precompressed forms (.gz, .br) beside it, manifest.json and
// LEGAL.txt, the licences of third-party parts. Package bundler writes it.
func Dist() fs.FS { return sub("dist") }

func sub(name string) fs.FS {
	dir, err := fs.Sub(files, name)
	if err != nil {
		panic(err) // the names are constants that embed has seen
	}
	return dir
}
