package main

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
)

// tree is a small copy of what the command works on.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	all := map[string]string{
		"third_party/x/LICENSE": "Licence of x\n",
		"third_party/x/SOURCE":  "# comment\nx 1.0 dist/x.js x.js 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\n",
		"third_party/x/x.js":    "foo",
	}
	maps.Copy(all, files)
	for name, text := range all {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestBuild(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"src/a.js": "import { b } from './b.js';\nconsole.log(b());\n", "src/b.js": "export function b() { return 'from b'; }\nexport const unused = 'not used';\n",
		"src/a.css": "@import './b.css';\na { color: red; }\n", "src/b.css": "b { color: blue; }\n", "src/i.svg": "<svg/>\n",
	})
	list := []entry{{name: "a.js", source: "a.js"}, {name: "a.css", source: "a.css"}, {name: "i.svg", source: "i.svg"}}
	made, err := build(root, list, io.Discard)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	for name, wants := range map[string][]string{
		"a.js": {"LEGAL.txt", "from b", "(()=>{"}, "a.css": {"b{color:#00f}", "a{color:red}"}, "i.svg": {"<svg/>\n"}, "LEGAL.txt": {"Licence of x"},
		"manifest.json": {`"name": "a.js"`, `"integrity": "sha384-`},
	} {
		for _, want := range wants {
			if !bytes.Contains(made.files[name], []byte(want)) {
				t.Errorf("%s has no %q:\n%s", name, want, made.files[name])
			}
		}
	}
	if bytes.Contains(made.files["a.js"], []byte("not used")) {
		t.Error("a.js has what nothing uses")
	}
	gz, err := gzip.NewReader(bytes.NewReader(made.files["a.js.gz"]))
	if err != nil {
		t.Fatalf("gzip: %v", err)
	}
	for kind, r := range map[string]io.Reader{"gzip": gz, "brotli": brotli.NewReader(bytes.NewReader(made.files["a.js.br"]))} {
		if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, made.files["a.js"]) {
			t.Errorf("%s of a.js is not a.js (%v)", kind, err)
		}
	}
	again, err := build(root, list, io.Discard)
	if err != nil {
		t.Fatalf("build again: %v", err)
	}
	for name, data := range made.files {
		if !bytes.Equal(again.files[name], data) {
			t.Errorf("%s differs when built again", name)
		}
	}
}

// An edition stands in the place of what sdk imports, and there alone.
func TestEdition(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{
		"src/sdk/main.js": "import { a } from './a.js';\nimport { b } from './b.js';\nconsole.log(a, b);\n", "src/sdk/a.js": "export const a = 'plain';\n", "src/sdk/b.js": "export const b = 'kept';\n",
		"src/old/main.js": "import '../sdk/main.js';\nimport { more } from './more.js';\nconsole.log(more);\n", "src/old/a.js": "import { a as plain } from '../sdk/a.js';\nexport const a = plain + ' and more';\n",
		"src/old/more.js": "export { a as more } from '../sdk/a.js';\n",
	})
	made, err := build(root, []entry{{name: "new.js", source: "sdk/main.js"}, {name: "old.js", source: "old/main.js", edition: "old"}}, io.Discard)
	if err != nil {
		t.Fatalf("build: %v", err)
	}
	if bytes.Contains(made.files["new.js"], []byte("and more")) {
		t.Errorf("new.js has parts of the edition:\n%s", made.files["new.js"])
	}
	for text, want := range map[string]int{"and more": 1, "plain": 1, "kept": 1, "console.log": 2} {
		if got := bytes.Count(made.files["old.js"], []byte(text)); got != want {
			t.Errorf("old.js has %q %d times, want %d:\n%s", text, got, want, made.files["old.js"])
		}
	}
}

// What fails leaves its old files alone, and does not keep others from being made.
func TestBuildGoesOn(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"src/bad.js": "import './nowhere.js';\n", "src/good.js": "console.log(1);\n", "dist/bad.js": "old\n", "dist/bad.js.gz": "old\n", "dist/gone.js": "old\n"})
	made, err := build(root, []entry{{name: "bad.js", source: "bad.js"}, {name: "missing.js", source: "missing.js"}, {name: "good.js", source: "good.js"}}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "make bad.js") || !strings.Contains(err.Error(), "make missing.js") || strings.Contains(err.Error(), "good.js") {
		t.Errorf("build = %v, want the two that fail", err)
	}
	dist := filepath.Join(root, "dist")
	if err := write(dist, made); err != nil {
		t.Fatalf("write: %v", err)
	}
	for name, want := range map[string]bool{"bad.js": true, "bad.js.gz": true, "good.js": true, "good.js.br": true, "gone.js": false, "missing.js": false} {
		if _, err := os.Stat(filepath.Join(dist, name)); (err == nil) != want {
			t.Errorf("dist/%s is there: %v, want %v", name, err == nil, want)
		}
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"src/a.js": "console.log('more than ten bytes');\n"})
	if _, err := build(root, []entry{{name: "a.js", source: "a.js", gate: 10}}, io.Discard); err == nil || !strings.Contains(err.Error(), "more than the 10") {
		t.Errorf("build = %v, want the gate", err)
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := map[string][]byte{"same": []byte("1"), "changed": []byte("1"), "missing": []byte("1")}
	for name, text := range map[string]string{"same": "1", "changed": "2", "extra": "1"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := compare(dir, want)
	if err == nil {
		t.Fatal("compare finds nothing")
	}
	for _, problem := range []string{"dist/changed is not", "dist/missing is missing", "dist/extra has no source"} {
		if !strings.Contains(err.Error(), problem) {
			t.Errorf("compare = %v, want %q in it", err, problem)
		}
	}
	if strings.Contains(err.Error(), "dist/same") {
		t.Errorf("compare = %v, want nothing of the same file", err)
	}
}

func TestCheckSources(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"good":           {nil, ""},
		"changed":        {map[string]string{"third_party/x/x.js": "bar"}, "x.js is not the file of x 1.0"},
		"unknown":        {map[string]string{"third_party/x/y.js": "bar"}, "y.js is not in SOURCE"},
		"missing":        {map[string]string{"third_party/x/SOURCE": "x 1.0 a z.js 00\n"}, "z.js"},
		"not understood": {map[string]string{"third_party/x/SOURCE": "x 1.0\n"}, "has not five fields"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkSources(filepath.Join(tree(t, tt.files), "third_party"))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("checkSources = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	text := "const a = 1;\nclass B {\n}\nconst c = 3;\nconst c2 = 4;\n"
	got, err := trim{file: "x.js", from: "class B", to: "const c =", instead: "class B {}\n"}.cut([]byte(text))
	if want := "const a = 1;\nclass B {}\nconst c = 3;\nconst c2 = 4;\n"; err != nil || string(got) != want {
		t.Errorf("cut = %q, %v, want %q", got, err, want)
	}
	for name, bad := range map[string]trim{
		"not there": {from: "class X", to: "const c ="}, "twice": {from: "class B", to: "const c"}, "in the wrong order": {from: "const c =", to: "class B"},
	} {
		if got, err := bad.cut([]byte(text)); err == nil {
			t.Errorf("%s: cut = %q, want an error", name, got)
		}
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	const text = `var Kind = /* @__PURE__ */ ((Kind2) => {
  Kind2[Kind2["One"] = 0] = "One";
  Kind2[Kind2["Two"] = 1] = "Two";
  return Kind2;
})(Kind || {});
class A {
  constructor() {
    __publicField(this, "x");
    __publicField(this, "y", Kind.Two);
    this.z = [Kind.One, OtherKind.One, Kind.Three, Kind];
  }
}
`
	_, got, _ := strings.Cut(string(shorten([]byte(text))), "(Kind || {});\n")
	const want = `class A {
  constructor() {
    this.y = 1;
    this.z = [0, OtherKind.One, Kind.Three, Kind];
  }
}
`
	if got != want {
		t.Errorf("shorten gives\n%s\nwant\n%s", got, want)
	}
}
