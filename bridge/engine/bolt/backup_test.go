package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/cobridge/cobridge/bridge/engine/bolt"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// create stores a session that holds its conversation, as the service does.
func create(t testing.TB, store *bolt.Store, id string) {
	t.Helper()
	if err := tryCreate(t.Context(), store, id); err != nil {
		t.Fatal(err)
	}
}

func tryCreate(ctx context.Context, store *bolt.Store, id string) error {
	s := newSession(id, conversations.ID("c-"+id))
	return store.Apply(ctx, cobrowse.Change{
		At: t0, Session: s, Take: []cobrowse.Claim{claimOf(s)}, Events: []cobrowse.Event{{Type: cobrowse.EventCreated, At: t0, SessionID: s.ID}},
	})
}

func backup(t testing.TB, store *bolt.Store, path string) bolt.Report {
	t.Helper()
	report, err := bolt.WriteBackup(t.Context(), path, false, nil, func(w io.Writer) error {
		_, err := store.Backup(t.Context(), w)
		return err
	})
	if err != nil {
		t.Fatalf("WriteBackup: %v", err)
	}
	return report
}

func bytesOf(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func count(t *testing.T, r bolt.Report, kind string) int {
	t.Helper()
	for _, c := range r.Counts {
		if c.Kind == kind {
			return c.Count
		}
	}
	t.Fatalf("no count of %s in %v", kind, r.Counts)
	return 0
}

// names lists a directory: nothing may be left over there.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TestBackupUnderLoad: while sessions are created, each backup has all that were
// acknowledged before it began, and is sound.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := mustOpen(t, filepath.Join(dir, "store.db"))
	var mu sync.Mutex
	acknowledged := []string{}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	more := make(chan struct{}, 1)
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("s-%d-%d", w, i)
				if err := tryCreate(ctx, store, id); err != nil {
					if ctx.Err() == nil {
						t.Errorf("create: %v", err)
					}
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
				select {
				case more <- struct{}{}:
				default:
				}
			}
		})
	}
	before := map[string][]string{}
	for round := range 3 {
		for range 20 {
			<-more
		}
		mu.Lock()
		then := append([]string(nil), acknowledged...)
		mu.Unlock()
		path := filepath.Join(dir, fmt.Sprintf("backup-%d.db", round))
		backup(t, store, path)
		before[path] = then
	}
	stop()
	wg.Wait()
	for path, ids := range before {
		to := path + ".restored"
		if _, err := bolt.Restore(t.Context(), bolt.Restoring{From: path, To: to}); err != nil {
			t.Fatalf("Restore: %v", err)
		}
		restored := mustOpen(t, to)
		for _, id := range ids {
			if _, err := restored.Session(t.Context(), cobrowse.SessionID(id)); err != nil {
				t.Errorf("%s, acknowledged before the backup: %v", id, err)
			}
		}
		if restored.LastEvent() < uint64(len(ids)) {
			t.Errorf("last event is %d, want %d at least", restored.LastEvent(), len(ids))
		}
		if len(ids) < 20 {
			t.Errorf("%d sessions before the backup: was there a load?", len(ids))
		}
	}
}

// Everything that a store can hold comes back the same.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := mustOpen(t, filepath.Join(dir, "store.db"))
	fill(t, store)
	path := filepath.Join(dir, "backup.db")
	made := backup(t, store, path)
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 || info.Size() != made.Bytes {
		t.Errorf("the backup is %v, %v; want mode 0600 and %d bytes", info, err, made.Bytes)
	}
	restored, err := bolt.Restore(t.Context(), bolt.Restoring{From: path, To: filepath.Join(dir, "new", "store.db")})
	if err != nil || restored.Aside != "" {
		t.Fatalf("Restore = %q, %v", restored.Aside, err)
	}
	want, err := store.Dump()
	if err != nil {
		t.Fatal(err)
	}
	got, err := mustOpen(t, filepath.Join(dir, "new", "store.db")).Dump()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what is stored (-backed up +restored):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"backup.db", "new", "store.db"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// TestDamagedBackup: wherever a backup is damaged or cut, it is refused, and the store
// that it was to replace stays as it is.
func TestDamagedBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := mustOpen(t, filepath.Join(dir, "store.db"))
	for i := range 20 {
		create(t, store, strconv.Itoa(i))
	}
	good, bad, there := filepath.Join(dir, "backup.db"), filepath.Join(dir, "bad.db"), filepath.Join(dir, "there.db")
	backup(t, store, good)
	if err := mustOpen(t, there).Close(); err != nil {
		t.Fatal(err)
	}
	whole, kept := bytesOf(t, good), bytesOf(t, there)
	refused := func(what string, data []byte, texts ...string) {
		t.Helper()
		if err := os.WriteFile(bad, data, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := bolt.Restore(t.Context(), bolt.Restoring{From: bad, To: there, Replace: true, At: t0})
		if err == nil {
			t.Fatalf("%s: restored", what)
		}
		wantText(t, err, append(texts, "damaged")...)
	}
	refused("empty", nil, "it has 0 bytes")
	refused("something else", []byte(strings.Repeat("no store ", 10_000)))
	for at := 0; at < len(whole)-512; at += 1000 {
		data := bytes.Clone(whole)
		data[at] ^= 4
		refused(fmt.Sprintf("bit %d", at), data, "sum up to")
	}
	page := os.Getpagesize()
	for at := page; at < len(whole)-page; at += page {
		refused(fmt.Sprintf("cut at %d", at), whole[:at])
		refused(fmt.Sprintf("cut inside the page at %d", at), whole[:at+100])
		refused(fmt.Sprintf("without the page at %d", at), append(bytes.Clone(whole[:at]), whole[at+page:]...), "bytes, want")
	}
	if !bytes.Equal(bytesOf(t, there), kept) {
		t.Error("the store that was there has changed")
	}
	if diff := cmp.Diff([]string{"backup.db", "bad.db", "store.db", "there.db"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// A page of a store that is no backup has no sum: the check finds what cannot be read,
// and never ends the process.
func TestVerifyDamagedStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, bad := filepath.Join(dir, "store.db"), filepath.Join(dir, "bad.db")
	store := mustOpen(t, path)
	for i := range 20 {
		create(t, store, strconv.Itoa(i))
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	whole := bytesOf(t, path)
	report, err := bolt.Verify(t.Context(), path, nil)
	if err != nil || len(report.Problems) > 0 || count(t, report, "live sessions") != 20 || report.Seal != nil {
		t.Fatalf("Verify = %+v, %v, want 20 live sessions and no problem", report, err)
	}
	page, noticed := os.Getpagesize(), 0
	for at := 2 * page; at < len(whole); at += page {
		for _, value := range []byte{0, 0xa5, 0xff} {
			data := bytes.Clone(whole)
			for i := range page {
				data[at+i] = value
			}
			if err := os.WriteFile(bad, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if report, err := bolt.Verify(t.Context(), bad, nil); err != nil || len(report.Problems) > 0 {
				noticed++
			}
		}
	}
	if noticed < 3*10 {
		t.Errorf("%d of %d damages were noticed", noticed, 3*(len(whole)/page-2))
	}
}

// What only the records tell: an index that names nothing, one that lacks something, a
// record that is no longer what was written.
func TestVerifyIndexes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(tx *bbolt.Tx) error
		want  string
	}{
		"an entry too many": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("deadline")).Put(append(bolt.TimeKey(t0), "nobody"...), nil)
		}, "index deadline has 4 entries, want 3"},
		"an entry too few": {func(tx *bbolt.Tx) error {
			key, _ := tx.Bucket([]byte("liveByConversation")).Cursor().First()
			return tx.Bucket([]byte("liveByConversation")).Delete(key)
		}, `index liveByConversation does not have session "`},
		"a pair that is none": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("revocation")).Put([]byte("jti"), bolt.TimeKey(t0))
		}, "index revocationByUntil has 0 entries, want 1"},
		"a record that is cut": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("live")).Put([]byte("1"), []byte("12345678{"))
		}, `session "1" cannot be read`},
		"a conversation without its session": {func(tx *bbolt.Tx) error {
			return tx.DeleteBucket([]byte("claim"))
		}, "damaged"},
		"a conversation that another holds": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("claim")).ForEach(func(key, _ []byte) error {
				return tx.Bucket([]byte("claim")).Put(bytes.Clone(key), []byte(`{"Holder":"2"}`))
			})
		}, `session "1" does not hold its conversation`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "store.db")
			store := mustOpen(t, path)
			for _, id := range []string{"1", "2", "3"} {
				create(t, store, id)
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(tt.spoil), db.Close()); err != nil {
				t.Fatal(err)
			}
			report, err := bolt.Verify(t.Context(), path, nil)
			if text := fmt.Sprint(report.Problems, err); !strings.Contains(text, tt.want) {
				t.Errorf("Verify says %s, want %q", text, tt.want)
			}
		})
	}
}

// What replaces a store is told to, keeps the old one, and never touches one in use.
func TestRestoreOverAStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := mustOpen(t, filepath.Join(dir, "store.db"))
	create(t, store, "old")
	path := filepath.Join(dir, "backup.db")
	backup(t, store, path)
	create(t, store, "new")
	r := bolt.Restoring{From: path, To: filepath.Join(dir, "store.db"), At: t0}
	_, err := bolt.Restore(t.Context(), r)
	if err == nil {
		t.Fatal("restored over a store without being told to")
	}
	wantText(t, err, "is there already")
	r.Replace = true
	if _, err = bolt.Restore(t.Context(), r); err == nil {
		t.Fatal("restored over a store in use")
	}
	wantText(t, err, "in use by another process")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	done, err := bolt.Restore(t.Context(), r)
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	if got, want := filepath.Base(done.Aside), "store.db.replaced-20260102T030405.678Z"; got != want {
		t.Errorf("the old store is at %s, want %s", got, want)
	}
	for path, want := range map[string]bool{r.To: false, done.Aside: true} {
		if _, err := mustOpen(t, path).Session(t.Context(), "new"); (err == nil) != want {
			t.Errorf("%s has the later session: %v, want %t", filepath.Base(path), err, want)
		}
	}
}

// A damaged store is what a backup is for: it can be replaced, though nothing opens it.
func TestRestoreOverADamagedStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := mustOpen(t, filepath.Join(dir, "store.db"))
	create(t, store, "1")
	path, broken := filepath.Join(dir, "backup.db"), filepath.Join(dir, "broken.db")
	backup(t, store, path)
	if err := os.WriteFile(broken, bytes.Repeat([]byte{0xa5}, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Restore(t.Context(), bolt.Restoring{From: path, To: broken, Replace: true, At: t0}); err != nil {
		t.Fatalf("Restore: %v", err)
	}
	if _, err := mustOpen(t, broken).Session(t.Context(), "1"); err != nil {
		t.Errorf("Session: %v", err)
	}
}

// A disk that is full, a connection that breaks, a caller who goes: the backup of
// yesterday is still there, and nothing else.
func TestBackupThatFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := mustOpen(t, filepath.Join(dir, "store.db"))
	create(t, store, "1")
	path := filepath.Join(dir, "backup.db")
	backup(t, store, path)
	kept := bytesOf(t, path)
	full := errors.New("no space left on device")
	for name, fill := range map[string]func(io.Writer) error{
		"full": func(w io.Writer) error {
			_, err := store.Backup(t.Context(), &bounded{w: w, left: 20_000, err: full})
			return err
		},
		"caller gone": func(w io.Writer) error {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := store.Backup(ctx, &bounded{w: w, left: 1 << 30, then: cancel})
			return err
		},
		"cut": func(w io.Writer) error {
			_, err := w.Write(kept[:len(kept)-4096])
			return err
		},
		"without its seal": func(w io.Writer) error {
			_, err := w.Write(kept[:len(kept)-512])
			return err
		},
		"nothing": func(io.Writer) error { return nil },
	} {
		if _, err := bolt.WriteBackup(t.Context(), path, true, nil, fill); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if !bytes.Equal(bytesOf(t, path), kept) {
		t.Error("the earlier backup has changed")
	}
	if diff := cmp.Diff([]string{"backup.db", "store.db"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	_, err := bolt.WriteBackup(t.Context(), path, false, nil, func(io.Writer) error { t.Error("asked for a backup"); return nil })
	if err == nil {
		t.Fatal("WriteBackup over another succeeded")
	}
	wantText(t, err, "is there already")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Backup(t.Context(), io.Discard); err == nil {
		t.Error("Backup after Close succeeded")
	}
}

// bounded is a place that can be written to only so much, or that calls then.
type bounded struct {
	w    io.Writer
	left int
	err  error
	then func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.then != nil {
		b.then()
	}
	if b.left -= len(p); b.left < 0 {
		return 0, b.err
	}
	return b.w.Write(p)
}

func TestBackupFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	store := mustOpen(t, path)
	create(t, store, "1")
	_, err := bolt.BackupFile(t.Context(), path, io.Discard, t0)
	if err == nil {
		t.Fatal("backed up a file that a process has open")
	}
	wantText(t, err, "in use by another process")
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	before := bytesOf(t, path)
	report, err := bolt.WriteBackup(t.Context(), filepath.Join(dir, "backup.db"), false, nil, func(w io.Writer) error {
		_, err := bolt.BackupFile(t.Context(), path, w, t0)
		return err
	})
	if err != nil || !report.Seal.MadeAt.Equal(t0) || report.Format != 1 {
		t.Errorf("report = %+v, %v", report, err)
	}
	if !bytes.Equal(bytesOf(t, path), before) {
		t.Error("the store has changed")
	}
	if _, err := bolt.BackupFile(t.Context(), filepath.Join(dir, "missing.db"), io.Discard, t0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a missing file = %v", err)
	}
}

// A backup that somebody copied over a store is a store from then on.
func TestBackupInPlaceOfAStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := mustOpen(t, filepath.Join(dir, "store.db"))
	for i := range 50 {
		create(t, store, strconv.Itoa(i))
	}
	path := filepath.Join(dir, "backup.db")
	backup(t, store, path)
	copied := mustOpen(t, path)
	create(t, copied, "another")
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := bolt.Verify(t.Context(), path, nil)
	if err != nil || report.Seal != nil || len(report.Problems) > 0 || count(t, report, "live sessions") != 51 {
		t.Errorf("Verify = %+v, %v, want a store with 51 sessions", report, err)
	}
}

func TestBackupOfANewerVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	putFormat(t, path, "meta", "7")
	_, err := bolt.Restore(t.Context(), bolt.Restoring{From: path, To: filepath.Join(dir, "new.db")})
	if err == nil {
		t.Fatal("restored a store of a newer version")
	}
	wantText(t, err, "format 7", "newer version")
}

// A store whose sessions have gone gets small, and goes on where it was.
func TestCompact(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	store := mustOpen(t, path)
	var wg sync.WaitGroup
	for i := range 400 {
		wg.Go(func() {
			s := newSession(fmt.Sprintf("s-%d", i), "")
			s.EndedAt = t0
			if err := store.Apply(t.Context(), cobrowse.Change{At: t0, Session: s, Events: []cobrowse.Event{{Type: cobrowse.EventEnded, At: t0, SessionID: s.ID}}}); err != nil {
				t.Errorf("Apply: %v", err)
			}
		})
	}
	wg.Wait()
	create(t, store, "kept")
	for _, purge := range []cobrowse.Purge{{At: t0.Add(time.Hour), Ended: t0.Add(time.Hour), Events: t0.Add(time.Hour)}} {
		if n, err := store.Purge(t.Context(), purge, 1000); err != nil || n < 400 {
			t.Fatalf("Purge = %d, %v", n, err)
		}
	}
	last := store.LastEvent()
	if _, _, err := bolt.Compact(t.Context(), path, nil); err == nil {
		t.Error("compacted a store in use")
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	before, after, err := bolt.Compact(t.Context(), path, nil)
	if err != nil {
		t.Fatalf("Compact: %v", err)
	}
	if after.Bytes >= before.Bytes/2 || before.Free < before.Bytes/2 {
		t.Errorf("%d bytes, %d of them free, became %d: want less than half", before.Bytes, before.Free, after.Bytes)
	}
	compacted := mustOpen(t, path)
	if _, err := compacted.Session(t.Context(), "kept"); err != nil || compacted.LastEvent() != last {
		t.Errorf("the session that is kept: %v; last event %d, want %d", err, compacted.LastEvent(), last)
	}
	if diff := cmp.Diff([]string{"store.db"}, names(t, dir)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// What cannot be read twice is compared while it passes.
func TestSealReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := mustOpen(t, filepath.Join(dir, "store.db"))
	create(t, store, "1")
	path := filepath.Join(dir, "backup.db")
	report := backup(t, store, path)
	whole := bytesOf(t, path)
	through := func(data []byte) (*bolt.SealReader, []byte, error) {
		r := bolt.NewSealReader(iotest.OneByteReader(bytes.NewReader(data)))
		passed, err := io.ReadAll(r)
		return r, passed, err
	}
	r, passed, err := through(whole)
	if err != nil || !bytes.Equal(passed, whole) || r.Seal != *report.Seal {
		t.Errorf("of a whole backup: %d bytes, %+v, %v", len(passed), r.Seal, err)
	}
	changed := bytes.Clone(whole)
	changed[len(changed)/2] ^= 1
	for name, data := range map[string][]byte{
		"nothing": nil, "changed": changed, "cut": whole[:len(whole)-1000], "without its seal": whole[:len(whole)-512], "longer": append(bytes.Clone(whole), 0),
		"a seal without its store": whole[len(whole)-512:], "without a page": append(bytes.Clone(whole[:4096]), whole[8192:]...),
	} {
		if _, _, err := through(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
