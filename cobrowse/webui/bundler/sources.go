package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkSources compares the third-party files with the hashes in their SOURCE:
// lines of package, version, file of the package, file here and SHA-256. Every
// file beside a SOURCE must be in it, but for LICENSE.
func checkSources(thirdParty string) error {
	lists, err := filepath.Glob(filepath.Join(thirdParty, "*", "SOURCE"))
	if err != nil || len(lists) == 0 {
		return errors.Join(fmt.Errorf("no SOURCE below %s", thirdParty), err)
	}
	var problems []error
	for _, list := range lists {
		problems = append(problems, checkSource(list))
	}
	return errors.Join(problems...)
}

func checkSource(list string) error {
	dir := filepath.Dir(list)
	text, err := os.ReadFile(list)
	if err != nil {
		return fmt.Errorf("read SOURCE: %w", err)
	}
	var problems []error
	known := map[string]bool{"SOURCE": true, "LICENSE": true}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 5 {
			problems = append(problems, fmt.Errorf("%s: %q has not five fields", list, line))
			continue
		}
		name, want := fields[3], fields[4]
		known[name] = true
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			problems = append(problems, fmt.Errorf("read what SOURCE names: %w", err))
			continue
		}
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != want {
			problems = append(problems, fmt.Errorf("%s is not the file of %s %s: SHA-256 %s, SOURCE says %s", filepath.Join(dir, name), fields[0], fields[1], got, want))
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("list %s: %w", dir, err)
	}
	for _, file := range files {
		if !known[file.Name()] {
			problems = append(problems, fmt.Errorf("%s is not in SOURCE", filepath.Join(dir, file.Name())))
		}
	}
	return errors.Join(problems...)
}
