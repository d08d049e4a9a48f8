package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// trim is a part of a third-party file that stays out of the bundles: from the
// line that starts with From up to, and without, the one that starts with To. The
// file itself is unchanged. A line that is not there exactly once fails the build,
// so that a new version is looked at again.
type trim struct {
	file     string // below third_party
	from, to string
	instead  string
}

// trims leave out what our scripts never do, for two reasons: what is not there
// cannot be switched on, and every byte of the customer's script is paid for by
// every visitor. docs/adr/0012-browser-bundles.md has the list with its reasons.
var trims = []trim{
	// Recording what is drawn on canvases, with a worker from a text. It can only be
	// replayed in a frame that runs scripts; our recorder sends pictures instead.
	{
		file: "rrweb/record.js", from: "const jsContent = ", to: "class StylesheetManager {",
		instead: "class CanvasManager {\n  reset() {}\n  freeze() {}\n  unfreeze() {}\n  lock() {}\n  unlock() {}\n}\n",
	},
	{file: "rrweb/record.js", from: "var chars = ", to: "const canvasVarMap = ", instead: "var encode;\n"},
	// Pictures of canvases and images in snapshots, and where players stand.
	{file: "rrweb/record.js", from: "  if (tagName === \"canvas\" && recordCanvas) {", to: "  if (!newlyAddedElement) {"},
	// Frames of other origins: their recorders post everything to any parent.
	{file: "rrweb/record.js", from: "class CrossOriginIframeMirror {", to: "class IframeManager {", instead: "class CrossOriginIframeMirror {}\n"},
	{file: "rrweb/record.js", from: "  handleMessage(message) {", to: "class ShadowDomManager {", instead: "}\n"},
	{file: "rrweb/record.js", from: "    } else if (passEmitsToParent) {", to: "    if (e.type === EventType.FullSnapshot) {", instead: "    }\n"},
	// Hooks, binaries of fonts, and the state of players, which viewers do not load.
	{file: "rrweb/record.js", from: "function mergeHooks(", to: "function initObservers(", instead: "function mergeHooks() {}\n"},
	{file: "rrweb/record.js", from: "function initMediaInteractionObserver(", to: "function initSelectionObserver(", instead: "const initMediaInteractionObserver = () => () => {}, initFontObserver = initMediaInteractionObserver;\n"},
	// Definitions of custom elements: a hook in the page for events that are not sent.
	{file: "rrweb/record.js", from: "function initCustomElementObserver(", to: "function mergeHooks(", instead: "const initCustomElementObserver = () => () => {};\n"},
	// What of a head is left out: of meta elements nothing is sent anyway, whatever their
	// names, and what is fetched for later is nothing to see.
	{
		file: "rrweb/record.js", from: "function lowerIfExists(", to: "function serializeNodeWithId(",
		instead: `function slimDOMDefaults() {
  return { headWhitespace: true, headTitleMutations: true };
}
function slimDOMExcluded(sn) {
  const { rel, as } = sn.attributes ?? {};
  return sn.type === NodeType.Comment || /^(script|meta)$/.test(sn.tagName) ||
    sn.tagName === "link" && (/^(modulepreload|prefetch|shortcut icon)$/.test(rel) || rel === "preload" && as === "script");
}
`,
	},
	// The replayer's own nodes, and words for who uses the recorder in an older way.
	{file: "rrweb/record.js", from: "class BaseRRNode {", to: "function on(", instead: "class BaseRRNode {}\n"},
	{file: "rrweb/record.js", from: "const DEPARTED_MIRROR_ACCESS_WARNING", to: "function throttle("},
	// For browsers older than the syntax of the script.
	{file: "rrweb/record.js", from: "function polyfill(", to: "function isSerializedIframe(", instead: "function polyfill() {}\n"},
	// Replaces Array.from of pages that replaced it, for which it adds a frame to them.
	{file: "rrweb/record.js", from: "try {", to: "const mirror = createMirror();"},
	// A style attribute in a document of its own, to compare it, breaks the policy of a
	// strict page and is reported to it. Setting cssText is no attribute.
	{
		file: "rrweb/record.js", from: "                old.setAttribute(\"style\", m.oldValue);", to: "              for (const pname of Array.from(target.style)) {",
		instead: "                old.style.cssText = m.oldValue;\n              }\n",
	},
	// An element that the page blocks later: the recorder says nothing of it from then
	// on, so what was sent of it would stay. The attribute that blocks it is told.
	{
		file: "rrweb/record.js", from: "          if (isBlocked(m.target, this.blockClass, this.blockSelector, false) || value === m.oldValue) {", to: "          let item = this.attributeMap.get(m.target);",
		instead: "          if (value === m.oldValue || !/^data-cb/.test(attributeName) && isBlocked(m.target, this.blockClass, this.blockSelector, false)) {\n            return;\n          }\n",
	},

	// The replayer has the parser of styles twice; the second copy is called at load
	// and never again.
	{file: "rrweb/replay.js", from: "var postcssExports = ", to: "var NodeType$1 = "},
	// Nodes that wait for one that never comes were tried again for half a second, in
	// which the page stands still; a hostile sharer sends many. Now as long as it helps.
	{
		file: "rrweb/replay.js", from: "    const startTime = Date.now();", to: "    if (Object.keys(legacy_missingNodeMap).length) {",
		instead: `    const startTime = Date.now();
    for (let before = Infinity; legacy_queue.length && legacy_queue.length < before && Date.now() - startTime < 500; ) {
      before = legacy_queue.length;
      const resolveTrees = queueToResolveTrees(legacy_queue);
      legacy_queue.length = 0;
      for (const tree of resolveTrees) {
        if (mirror2.getNode(tree.value.parentId)) iterateResolveTree(tree, appendNode);
      }
    }
    if (legacy_queue.length) this.warn("Nodes wait for one that is not there");
`,
	},
	// Replaying commands on canvases, which needs a frame that runs scripts.
	{file: "rrweb/replay.js", from: "var chars = ", to: "createMirror$2();"},
	{file: "rrweb/replay.js", from: "const webGLVarMap = ", to: "class MediaManager {", instead: "const deserializeArg = () => {}, canvasMutation = async () => {};\n"},
}

// trimmer is the part of the build that leaves the trims out.
func trimmer(root string) api.Plugin {
	return api.Plugin{Name: "trim", Setup: func(build api.PluginBuild) {
		build.OnLoad(api.OnLoadOptions{Filter: `/third_party/.*\.js$`}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			text, err := os.ReadFile(args.Path)
			if err != nil {
				return api.OnLoadResult{}, fmt.Errorf("read third-party file: %w", err)
			}
			for _, t := range trims {
				if args.Path != filepath.Join(root, "third_party", filepath.FromSlash(t.file)) {
					continue
				}
				if text, err = t.cut(text); err != nil {
					return api.OnLoadResult{}, err
				}
			}
			contents := string(shorten(text))
			return api.OnLoadResult{Contents: &contents, Loader: api.LoaderJS}, nil
		})
	}}
}

func (t trim) cut(text []byte) ([]byte, error) {
	from, err := line(text, t.from)
	if err != nil {
		return nil, fmt.Errorf("trim %s: %w", t.file, err)
	}
	to, err := line(text, t.to)
	if err != nil {
		return nil, fmt.Errorf("trim %s: %w", t.file, err)
	}
	if to < from {
		return nil, fmt.Errorf("trim %s: %q comes before %q", t.file, t.to, t.from)
	}
	return bytes.Join([][]byte{text[:from], []byte(t.instead), text[to:]}, nil), nil
}

var (
	enumPattern   = regexp.MustCompile(`(?m)^var (\w+) = /\* @__PURE__ \*/ \(\((\w+)\) => \{\n((?:  \w+\[\w+\["\w+"\] = \d+\] = "\w+";\n)+)  return \w+;\n\}\)\(\w+ \|\| \{\}\);$`)
	memberPattern = regexp.MustCompile(`\["(\w+)"\] = (\d+)\]`)
	fieldPattern  = regexp.MustCompile(`(?m)^(\s*)__publicField\(this, "(\w+)", (.*)\);$`)
	emptyPattern  = regexp.MustCompile(`(?m)^\s*__publicField\(this, "\w+"\);\n`)
)

// shorten writes what TypeScript made of enumerations and of fields in fewer
// words: numbers, and assignments. Fields that are undefined are left out. The
// bundler cannot do it, as it does not know that nobody looks.
func shorten(text []byte) []byte {
	for _, enum := range enumPattern.FindAllSubmatch(text, -1) {
		values := map[string]string{}
		for _, member := range memberPattern.FindAllSubmatch(enum[3], -1) {
			values[string(member[1])] = string(member[2])
		}
		use := regexp.MustCompile(`\b` + string(enum[1]) + `\.(\w+)\b`)
		text = use.ReplaceAllFunc(text, func(found []byte) []byte {
			if value, ok := values[string(use.FindSubmatch(found)[1])]; ok {
				return []byte(value)
			}
			return found
		})
	}
	text = emptyPattern.ReplaceAll(text, nil)
	return fieldPattern.ReplaceAll(text, []byte("${1}this.$2 = $3;"))
}

// line returns where the only line starts that starts with the given words.
func line(text []byte, start string) (int, error) {
	if n := bytes.Count(text, []byte("\n"+start)); n != 1 {
		return 0, fmt.Errorf("%d lines start with %q, want 1", n, strings.TrimSpace(start))
	}
	return bytes.Index(text, []byte("\n"+start)) + 1, nil
}
