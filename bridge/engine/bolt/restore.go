package bolt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// UnsoundError is what Verify has to say against a file that something was to be made of.
type UnsoundError struct{ Report Report }

// Error lists the problems.
func (e *UnsoundError) Error() string {
	text := fmt.Sprintf("it is damaged, %d problems: %s", len(e.Report.Problems)+e.Report.More, strings.Join(e.Report.Problems, "; "))
	if e.Report.More > 0 {
		text += "; ..."
	}
	return text
}

// sound is Verify for files that must have no problem.
func sound(ctx context.Context, path string, progress Progress) (Report, error) {
	report, err := Verify(ctx, path, progress)
	if err == nil && len(report.Problems) > 0 {
		err = fmt.Errorf("%s: %w", path, &UnsoundError{Report: report})
	}
	return report, err
}

// WriteBackup makes a backup at path of what fill writes: beside it under another name at
// first, with mode 0600, synced, verified, and only then under its own. What is there
// already is left alone unless replace says otherwise, and in any case when something fails.
func WriteBackup(ctx context.Context, path string, replace bool, progress Progress, fill func(io.Writer) error) (Report, error) {
	if err := free(path, replace); err != nil {
		return Report{}, err
	}
	var report Report
	err := writeFile(path, fill, func(made string) (err error) {
		if report, err = sound(ctx, made, progress); err == nil && report.Seal == nil {
			err = fmt.Errorf("%s is no backup: it ends without a seal", made)
		}
		return err
	}, os.Rename)
	if err != nil {
		return Report{}, fmt.Errorf("write backup: %w", err)
	}
	return report, nil
}

// Restoring says what Restore is to do.
type Restoring struct {
	From string // a backup, or the file of a store that was stopped
	To   string // the store's file; its directory is made with mode 0700 if it is missing
	// Replace allows that there is a store already, of a stopped service. It is kept
	// beside the new one.
	Replace  bool
	At       time.Time // names the store that is replaced
	Progress Progress  // may be nil
}

// Restored is what has become of it.
type Restored struct {
	Report Report
	Aside  string // where the store is that was there before; "" if there was none
}

// Restore puts a backup in the place of a store, once it has been verified, copied, synced
// and verified again: whatever fails, what was there stays there.
func Restore(ctx context.Context, r Restoring) (Restored, error) {
	report, err := sound(ctx, r.From, r.Progress)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(r.To), 0o700); err != nil {
		return Restored{}, fmt.Errorf("restore: create the store's directory: %w", err)
	}
	if err := free(r.To, r.Replace); err != nil {
		return Restored{}, err
	}
	done := Restored{Report: report}
	unlock, err := hold(r.To)
	if err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	put := func(w io.Writer) error { return copyStore(ctx, w, r.From, report, r.Progress) }
	check := func(made string) error { _, err := sound(ctx, made, r.Progress); return err }
	err = writeFile(r.To, put, check, func(made, to string) (err error) {
		if err := letGo(unlock); err != nil {
			return err
		}
		if done.Aside, err = setAside(to, r.At); err != nil {
			return err
		}
		err = os.Rename(made, to)
		if err != nil && done.Aside != "" {
			err = errors.Join(err, os.Rename(done.Aside, to)) // of two names of one file it does nothing
		}
		return err
	})
	if err = errors.Join(err, unlock()); err != nil {
		return Restored{}, fmt.Errorf("restore: %w", err)
	}
	return done, nil
}

// Compact makes the file of a stopped service as small as what is in it, and returns what
// it was and what it is. The new file is verified, and has as much of everything, before
// it takes the place of the old one.
func Compact(ctx context.Context, path string, progress Progress) (before, after Report, err error) {
	if before, err = sound(ctx, path, progress); err != nil {
		return before, after, fmt.Errorf("compact store: %w", err)
	}
	unlock, err := hold(path)
	if err != nil {
		return before, after, fmt.Errorf("compact store: %w", err)
	}
	check := func(made string) (err error) {
		after, err = sound(ctx, made, progress)
		for i, was := range before.Counts {
			if err == nil && after.Counts[i] != was {
				err = fmt.Errorf("the new file has %d %s, want %d", after.Counts[i].Count, was.Kind, was.Count)
			}
		}
		return err
	}
	err = writeFile(path, func(w io.Writer) error {
		made, ok := w.(*os.File)
		if !ok {
			return errors.New("compact into something that is no file")
		}
		return compactInto(ctx, made.Name(), path)
	}, check, func(made, to string) error {
		if err := letGo(unlock); err != nil {
			return err
		}
		return os.Rename(made, to)
	})
	if err = errors.Join(err, unlock()); err != nil {
		return before, after, fmt.Errorf("compact store: %w", err)
	}
	return before, after, nil
}

// compactTransaction bounds what one transaction of a compaction holds in memory.
const compactTransaction = 16 << 20

func compactInto(ctx context.Context, made, path string) error {
	from, err := openFile(path, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // it was only read
	// Synced as a whole at the end, by whoever made the file.
	to, err := openFile(made, &bbolt.Options{Timeout: lockTimeout, NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	return errors.Join(bbolt.Compact(to, from, compactTransaction), to.Close(), ctx.Err())
}

// copyStore copies a store without its seal.
func copyStore(ctx context.Context, w io.Writer, from string, report Report, progress Progress) error {
	size := report.Bytes
	if report.Seal != nil {
		size = report.Seal.Bytes
	}
	f, err := os.Open(from) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	_, err = io.CopyN(&counting{ctx: ctx.Err, w: w, tell: func(n int64) { progress.tell("copying", n, size) }}, f, size)
	return err
}

// free refuses to write over something.
func free(path string, replace bool) error {
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !replace:
		return fmt.Errorf("%s is there already", path)
	}
	return nil
}

// hold keeps services from the store of that path until the returned function is called,
// if it can be opened at all. It fails when one has it open.
func hold(path string) (release func() error, err error) {
	release = func() error { return nil }
	if _, err := os.Stat(path); err != nil {
		return release, nil //nolint:nilerr // nothing there, nobody to keep away
	}
	var db *bbolt.DB
	err = guarded(path, func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
		return err
	})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("the store %s is in use by another process, stop that first: %w", path, err)
	case err != nil:
		return release, nil //nolint:nilerr // damaged, and to be replaced for that
	}
	return sync.OnceValue(db.Close), nil
}

// letGo gives a store free before another file takes its name, on systems where an open
// file cannot lose it.
func letGo(unlock func() error) error {
	if runtime.GOOS == "windows" {
		return unlock()
	}
	return nil
}

// writeFile makes a file of mode 0600: under another name beside path, filled, synced and
// checked, and then put there. Nothing is left over when it fails.
func writeFile(path string, fill func(io.Writer) error, check func(made string) error, put func(made, path string) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	made := f.Name()
	defer func() {
		_ = f.Close() // the second time of a file that is well
		if err != nil {
			err = errors.Join(err, removeIfThere(made))
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := check(made); err != nil {
		return err
	}
	if err := put(made, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// setAside gives the file of that path a second name, or another where files cannot have
// two, and returns it; "" if there is no file.
func setAside(path string, at time.Time) (string, error) {
	aside := path + ".replaced-" + at.UTC().Format("20060102T150405.000Z")
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if os.Link(path, aside) == nil { // so that there is a store at every moment
		return aside, nil
	}
	if err := os.Rename(path, aside); err != nil {
		return "", fmt.Errorf("keep the old store: %w", err)
	}
	return aside, nil
}

// syncDir makes a new name in a directory last, where directories can be synced.
func syncDir(path string) error {
	dir, err := os.Open(path) //nolint:gosec // the directory of a file that the operator named
	if err != nil {
		return err
	}
	_ = dir.Sync() // Windows cannot, nor can some network file systems: the file itself is safe
	return dir.Close()
}
