package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

// A backup is a store file with one block behind its last page that says what the file
// must be. bbolt looks at no page that its own root does not name, so a backup can be
// opened as it is; Open takes the block away, since what is written afterwards breaks it.
const (
	sealSize  = 512
	sealMagic = "cobridge backup 1\n"
)

// Seal is what a backup says of itself.
type Seal struct {
	MadeAt time.Time `json:"madeAt"` // the moment whose state it is, at the latest; zero if nobody knew the time
	Format int       `json:"format"` // of the store
	Bytes  int64     `json:"bytes"`  // of the store in it, the seal not counted
	SHA256 string    `json:"sha256"` // of these bytes, hexadecimal
}

// size returns that of the whole backup.
func (s Seal) size() int64 { return s.Bytes + sealSize }

func (s Seal) encode() ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("seal backup: %w", err)
	}
	block := make([]byte, sealSize)
	copy(block[copy(block, sealMagic):], text)
	return block, nil
}

// readSeal reads the seal at the end of a file; nil if there is none, for instance
// because the file is a store that was copied while nothing had it open.
func readSeal(f *os.File, size int64) (*Seal, error) {
	if size < sealSize {
		return nil, nil //nolint:nilnil // not exported: it has none
	}
	block := make([]byte, sealSize)
	if _, err := f.ReadAt(block, size-sealSize); err != nil {
		return nil, fmt.Errorf("read the end of the file: %w", err)
	}
	return parseSeal(block)
}

func parseSeal(block []byte) (*Seal, error) {
	text, ok := bytes.CutPrefix(block, []byte(sealMagic))
	if !ok {
		return nil, nil //nolint:nilnil // not exported: it has none
	}
	var seal Seal
	if err := json.Unmarshal(bytes.TrimRight(text, "\x00"), &seal); err != nil {
		return nil, fmt.Errorf("read its seal: %w", err)
	}
	return &seal, nil
}

// Backup writes the store as it is at one moment to w, sealed, while it goes on being
// written. What was acknowledged before the call is in it. Pages that are replaced
// meanwhile are kept for it, and the file grows by them, so w must be no slower than a
// disk: give it a file, never a connection. It fails when ctx ends, when w does, and with
// CodeUnavailable after Close.
func (s *Store) Backup(ctx context.Context, w io.Writer) (Seal, error) {
	if s.standing != nil {
		return Seal{}, errors.New("back up store: it is one that keeps nothing")
	}
	var at time.Time
	if s.clock != nil {
		at = s.clock()
	}
	var seal Seal
	err := s.view(ctx, func(t *txn) (err error) {
		seal, err = writeBackup(ctx, t.tx, w, at)
		return err
	})
	if err != nil {
		return Seal{}, fmt.Errorf("back up store: %w", err)
	}
	return seal, nil
}

// BackupFile does the same with the store of a stopped service, which it does not change.
func BackupFile(ctx context.Context, path string, w io.Writer, at time.Time) (Seal, error) {
	if _, err := os.Stat(path); err != nil {
		return Seal{}, fmt.Errorf("back up store: %w", err) // bbolt would make it
	}
	if err := guarded(path, func() error { return inspect(path) }); err != nil {
		return Seal{}, err
	}
	db, err := openFile(path, &bbolt.Options{ReadOnly: true, Timeout: lockTimeout})
	if err != nil {
		return Seal{}, err
	}
	var seal Seal
	err = db.View(func(tx *bbolt.Tx) (err error) {
		seal, err = writeBackup(ctx, tx, w, at)
		return err
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return Seal{}, fmt.Errorf("back up store: %w", err)
	}
	return seal, nil
}

func writeBackup(ctx context.Context, tx *bbolt.Tx, w io.Writer, at time.Time) (Seal, error) {
	sum := &summing{ctx: ctx.Err, w: w, sum: sha256.New()}
	n, err := tx.WriteTo(sum)
	if err != nil {
		return Seal{}, err
	}
	seal := Seal{MadeAt: at, Format: format, Bytes: n, SHA256: hex.EncodeToString(sum.sum.Sum(nil))}
	block, err := seal.encode()
	if err != nil {
		return Seal{}, err
	}
	if _, err := w.Write(block); err != nil {
		return Seal{}, err
	}
	return seal, nil
}

// summing passes on what is written and sums it up, until ctx fails.
type summing struct {
	ctx func() error
	w   io.Writer
	sum hash.Hash
}

func (s *summing) Write(p []byte) (int, error) {
	if err := s.ctx(); err != nil {
		return 0, err
	}
	n, err := s.w.Write(p)
	_, _ = s.sum.Write(p[:n]) // a hash never fails
	return n, err
}

// unseal makes a store of a backup that somebody has put in a store's place.
func unseal(path string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the operator names the file
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	seal, err := readSeal(f, info.Size())
	if err != nil || seal == nil || seal.size() != info.Size() {
		return nil // it is not for this function to judge the file
	}
	return f.Truncate(seal.Bytes)
}

// SealReader passes a backup through and compares it with its seal, for places that
// cannot be read again: it fails at the end of the bytes, in place of io.EOF, when they
// are not what the seal says. Seal is valid once Read has returned io.EOF. It is for one
// goroutine.
type SealReader struct {
	Seal Seal

	r    io.Reader
	sum  hash.Hash
	n    int64  // bytes that went into sum
	tail []byte // the latest ones, which may be the seal
}

// NewSealReader returns a reader of r.
func NewSealReader(r io.Reader) *SealReader { return &SealReader{r: r, sum: sha256.New()} }

// Read implements [io.Reader].
func (s *SealReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.tail = append(s.tail, p[:n]...)
	if over := len(s.tail) - sealSize; over > 0 {
		_, _ = s.sum.Write(s.tail[:over]) // a hash never fails
		s.n += int64(over)
		s.tail = append(s.tail[:0], s.tail[over:]...)
	}
	if errors.Is(err, io.EOF) {
		return n, s.end()
	}
	return n, err
}

func (s *SealReader) end() error {
	seal, err := parseSeal(s.tail)
	switch {
	case err != nil:
		return fmt.Errorf("the backup is damaged: %w", err)
	case seal == nil:
		return errors.New("the backup is cut: it ends without a seal")
	case seal.Bytes != s.n || seal.SHA256 != hex.EncodeToString(s.sum.Sum(nil)):
		return errors.New("the backup is damaged: its bytes are not those of its seal")
	}
	s.Seal = *seal
	return io.EOF
}
