package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

func main() {
	check := flag.Bool("check", false, "compare with the committed files, write nothing")
	root := flag.String("root", "..", "directory with src, third_party and dist")
	flag.Parse()
	if err := run(*root, *check, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run makes all bundles and writes, or with check compares, root/dist. What can be
// made is written even if something else cannot; the error names all of that.
func run(root string, check bool, log io.Writer) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return fmt.Errorf("find %s: %w", root, err)
	}
	problems := []error{checkSources(filepath.Join(root, "third_party"))}
	made, err := build(root, entries, log)
	problems = append(problems, err)
	dist := filepath.Join(root, "dist")
	if check {
		problems = append(problems, compare(dist, made.files))
	} else {
		problems = append(problems, write(dist, made))
	}
	return errors.Join(problems...)
}

// write makes dir hold the files. Files of entries that failed stay as they are.
func write(dir string, made output) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, file := range there {
		if _, ok := made.files[file.Name()]; !ok && !made.failed(file.Name()) {
			if err := os.Remove(filepath.Join(dir, file.Name())); err != nil {
				return fmt.Errorf("remove what is no longer made: %w", err)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(made.files)) {
		if err := replace(filepath.Join(dir, name), made.files[name]); err != nil {
			return err
		}
	}
	return nil
}

// replace writes a file at once: whoever embeds it meanwhile sees the old or the
// new one.
func replace(name string, data []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, data) {
		return nil
	}
	file, err := os.CreateTemp(filepath.Dir(filepath.Dir(name)), ".bundle-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Chmod(0o644), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, os.Remove(file.Name())))
	}
	return nil
}

// compare says how the files in dir differ from those wanted, nil if not at all.
func compare(dir string, want map[string][]byte) error {
	var problems []error
	differs := func(name, how string) {
		problems = append(problems, fmt.Errorf("dist/%s %s; run make bundles and commit dist", name, how))
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		got, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			differs(name, "is missing")
		case err != nil:
			problems = append(problems, fmt.Errorf("read dist/%s: %w", name, err))
		case !bytes.Equal(got, want[name]):
			differs(name, "is not what its sources give")
		}
	}
	there, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		problems = append(problems, fmt.Errorf("list dist: %w", err))
	}
	for _, file := range there {
		if _, ok := want[file.Name()]; !ok {
			differs(file.Name(), "has no source")
		}
	}
	return errors.Join(problems...)
}
