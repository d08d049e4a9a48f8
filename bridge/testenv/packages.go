package testenv

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// NeedPackages makes sure that npm has installed in dir what dir's
// package-lock.json says. When it has not, it skips the test, or fails it when
// COBRIDGE_REQUIRE has [Node].
func NeedPackages(t testing.TB, dir string) {
	t.Helper()
	must := required(t, Node)
	if err := installed(dir); err != nil {
		missing(t, must, "what npm installs", fmt.Sprintf("run npm ci in %s: %v", dir, err))
	}
}

// npmLock is the part of package-lock.json that is looked at: packages by the
// path they are installed at, "" for the one that the file belongs to.
type npmLock struct {
	Packages map[string]struct {
		Version   string `json:"version"`
		Integrity string `json:"integrity"`
		Optional  bool   `json:"optional"` // for instance of another operating system
	} `json:"packages"`
}

// installed compares the lock with the one that npm keeps of what it installed
// (npm's documentation of package-lock.json, "Hidden Lockfiles").
func installed(dir string) error {
	var want, got npmLock
	if err := readLock(filepath.Join(dir, "package-lock.json"), &want); err != nil {
		return err
	}
	if err := readLock(filepath.Join(dir, "node_modules", ".package-lock.json"), &got); err != nil {
		return err
	}
	for path, p := range want.Packages {
		if is := got.Packages[path]; path != "" && is != p && (!p.Optional || is.Version != "") {
			return fmt.Errorf("%s is %q, want %q", path, is.Version, p.Version)
		}
	}
	return nil
}

func readLock(path string, lock *npmLock) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read lock: %w", err)
	}
	if err := json.Unmarshal(text, lock); err != nil {
		return fmt.Errorf("read lock %s: %w", path, err)
	}
	return nil
}
