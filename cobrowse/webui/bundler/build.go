package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"
	"github.com/klauspost/compress/gzip"
)

// entry is one file of dist.
type entry struct {
	name   string // in dist
	source string // below src
	gate   int    // most bytes after gzip -9, 0 = any
	// edition is a directory below src whose files stand in the place of those of the
	// same name in sdk, for all that sdk imports; they import what they replace.
	edition string
}

// entries are all files of dist that have a source of ours. Scripts and styles
// are bundled, everything else is copied.
var entries = []entry{
	// On the customer's page: every byte is paid for by every visitor.
	{name: "cobridge.js", source: "sdk/main.js", gate: 32 << 10},
	{name: "cobridge-control.js", source: "sdk/control.js"}, // when a viewer asks for control
	{name: "cobridge-lint.js", source: "sdk/lint.js"},
	// On pages that were made for the old product. It is the first with more around
	// it, on which nothing but modesty sets a limit.
	{name: "gcb.min.js", source: "gcb/main.js", gate: 48 << 10, edition: "gcb"},

	// The agent's and the supervisor's page.
	{name: "join.js", source: "join.js", gate: 75 << 10},
	{name: "join.css", source: "join.css"},
	{name: "icon.svg", source: "icon.svg"},

	// The agent's page of the old product.
	{name: "slave.js", source: "slave/slave.js", gate: 75 << 10},
	{name: "slave.css", source: "slave/slave.css"},

	{name: "history.js", source: "history/history.js"},
	{name: "history.css", source: "history/history.css"},

	{name: "shop.js", source: "demo/shop.js"},
	{name: "shop.css", source: "demo/shop.css"},
	{name: "playground.js", source: "demo/playground.js"},
	{name: "playground.css", source: "demo/playground.css"},
	{name: "desktop.js", source: "demo/desktop.js"},
	{name: "desktop.css", source: "demo/desktop.css"},
	{name: "lamp.svg", source: "demo/lamp.svg"},
	{name: "mug.svg", source: "demo/mug.svg"},
	{name: "blanket.svg", source: "demo/blanket.svg"},
	{name: "clock.svg", source: "demo/clock.svg"},
	{name: "pot.svg", source: "demo/pot.svg"},
	{name: "notebook.svg", source: "demo/notebook.svg"},
}

// banner says where the licences of a bundle's third-party parts stand.
const banner = "/*! cobridge, Apache-2.0; with parts of others, see LEGAL.txt */"

// output is what was made.
type output struct {
	files map[string][]byte // by name in dist
	lost  []string          // entries that could not be made
}

// failed reports whether a file belongs to an entry that could not be made.
func (o output) failed(name string) bool {
	return slices.Contains(o.lost, strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".br"))
}

// item is one bundle in manifest.json.
type item struct {
	Name string `json:"name"`
	// Bytes, Gzip and Brotli are sizes; of the two compressed ones as dist has them.
	Bytes  int `json:"bytes"`
	Gzip   int `json:"gzip"`
	Brotli int `json:"brotli"`
	// SHA256 is in hex.
	SHA256 string `json:"sha256"`
	// Integrity is the value for the attribute of the same name (SRI).
	Integrity string `json:"integrity"`
}

// build makes all files of dist. It makes what it can: entries whose source is
// not there are said in log and left out, others that fail are in the error.
func build(root string, entries []entry, log io.Writer) (output, error) {
	made := output{files: map[string][]byte{}}
	var problems []error
	var manifest []item
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(root, "src", e.source)); err != nil {
			problems = append(problems, fmt.Errorf("make %s: %w", e.name, err))
			made.lost = append(made.lost, e.name)
			continue
		}
		data, err := bundle(root, e)
		if err != nil {
			problems = append(problems, fmt.Errorf("make %s: %w", e.name, err))
			made.lost = append(made.lost, e.name)
			continue
		}
		it, err := made.add(e.name, data)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		manifest = append(manifest, it)
		_, _ = fmt.Fprintf(log, "%-18s %7d bytes, gzip %6d, brotli %6d\n", it.Name, it.Bytes, it.Gzip, it.Brotli)
		if e.gate > 0 && it.Gzip > e.gate {
			problems = append(problems, fmt.Errorf("%s has %d bytes after gzip, more than the %d it may have", e.name, it.Gzip, e.gate))
		}
	}
	list, err := json.MarshalIndent(manifest, "", "\t")
	if err != nil {
		problems = append(problems, fmt.Errorf("write manifest: %w", err))
	}
	made.files["manifest.json"] = append(list, '\n')
	legal, err := licences(filepath.Join(root, "third_party"))
	if err != nil {
		problems = append(problems, err)
	}
	made.files["LEGAL.txt"] = legal
	return made, errors.Join(problems...)
}

// add puts a file and its compressed forms into the output.
func (o output) add(name string, data []byte) (item, error) {
	var gz, br bytes.Buffer
	g, err := gzip.NewWriterLevel(&gz, gzip.BestCompression)
	if err != nil {
		return item{}, fmt.Errorf("compress %s: %w", name, err)
	}
	b := brotli.NewWriterLevel(&br, brotli.BestCompression)
	for _, w := range []io.WriteCloser{g, b} {
		_, err := w.Write(data)
		if err := errors.Join(err, w.Close()); err != nil {
			return item{}, fmt.Errorf("compress %s: %w", name, err)
		}
	}
	o.files[name], o.files[name+".gz"], o.files[name+".br"] = data, gz.Bytes(), br.Bytes()
	sum, sri := sha256.Sum256(data), sha512.Sum384(data)
	return item{
		Name: name, Bytes: len(data), Gzip: gz.Len(), Brotli: br.Len(),
		SHA256: hex.EncodeToString(sum[:]), Integrity: "sha384-" + base64.StdEncoding.EncodeToString(sri[:]),
	}, nil
}

// bundle makes one file of dist.
func bundle(root string, e entry) ([]byte, error) {
	source := filepath.Join(root, "src", e.source)
	kind := filepath.Ext(e.source)
	if kind != ".js" && kind != ".css" {
		data, err := os.ReadFile(source)
		if err != nil {
			return nil, fmt.Errorf("read source: %w", err)
		}
		return data, nil
	}
	options := api.BuildOptions{
		AbsWorkingDir: root,
		EntryPoints:   []string{source},
		Outfile:       filepath.Join(root, "dist", e.name),
		Write:         false,
		Bundle:        true,
		Format:        api.FormatIIFE,
		Target:        api.ES2020,
		Charset:       api.CharsetUTF8,
		// The licences of all go into LEGAL.txt, which the banner names.
		LegalComments:     api.LegalCommentsNone,
		MinifyWhitespace:  true,
		MinifyIdentifiers: true,
		MinifySyntax:      true,
		Banner:            map[string]string{"js": banner, "css": banner},
		// A customer's page may define these otherwise; nothing of ours reads them.
		Define:      map[string]string{"process.env.NODE_ENV": `"production"`},
		TreeShaking: api.TreeShakingTrue,
		Plugins:     []api.Plugin{trimmer(root)},
		LogLevel:    api.LogLevelSilent,
	}
	if kind == ".css" {
		options.Format = api.FormatDefault
	}
	if e.edition != "" {
		options.Plugins = append(options.Plugins, edition(root, e.edition))
	}
	result := api.Build(options)
	if len(result.Errors) > 0 {
		messages := api.FormatMessages(result.Errors, api.FormatMessagesOptions{Kind: api.ErrorMessage})
		return nil, errors.New(strings.TrimSpace(strings.Join(messages, "\n")))
	}
	if len(result.OutputFiles) != 1 {
		return nil, fmt.Errorf("got %d files, want 1", len(result.OutputFiles))
	}
	return result.OutputFiles[0].Contents, nil
}

// edition puts the files of a directory in the place of those of the same name in
// sdk, wherever sdk imports them.
func edition(root, dir string) api.Plugin {
	sdk := filepath.Join(root, "src", "sdk")
	return api.Plugin{Name: "edition", Setup: func(build api.PluginBuild) {
		build.OnResolve(api.OnResolveOptions{Filter: `^\./\w+\.js$`}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if filepath.Dir(args.Importer) != sdk {
				return api.OnResolveResult{}, nil
			}
			instead := filepath.Join(root, "src", dir, filepath.Base(args.Path))
			if _, err := os.Stat(instead); err != nil {
				return api.OnResolveResult{}, nil //nolint:nilerr // it has no such file
			}
			return api.OnResolveResult{Path: instead}, nil
		})
	}}
}

// licences joins the licences of all third-party parts.
func licences(thirdParty string) ([]byte, error) {
	names, err := filepath.Glob(filepath.Join(thirdParty, "*", "LICENSE"))
	if err != nil || len(names) == 0 {
		return nil, errors.Join(fmt.Errorf("no LICENSE below %s", thirdParty), err)
	}
	slices.Sort(names)
	var all bytes.Buffer
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read licence: %w", err)
		}
		fmt.Fprintf(&all, "%s\n\n%s\n", filepath.Base(filepath.Dir(name)), bytes.TrimSpace(text))
	}
	return all.Bytes(), nil
}
