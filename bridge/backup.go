package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/engine/bolt"
)

const (
	// backupTime bounds the copy beside the store, while which no page of it is reused.
	backupTime = 10 * time.Minute
	// backupStall is how long a caller may take for the next piece of a backup.
	backupStall = time.Minute
	// backupReserve is what a backup must leave free on the store's disk, besides a
	// tenth of its own size: the service goes on writing.
	backupReserve = 64 << 20
)

// serveBackup answers POST /backup on the admin address with the store as it is now, as
// Backup of package bolt describes it. The copy is made beside the store first, and sent
// when it is whole: a slow caller then holds up a file without a name, and not the store.
func (a *App) serveBackup(c *fiber.Ctx) error {
	if !a.backingUp.TryLock() {
		return &cobridge.Error{Code: cobridge.CodeConflict, Message: "Another backup is being made or fetched."}
	}
	body, seal, err := a.copyStore(c.UserContext())
	a.metrics.backedUp(err)
	if err != nil {
		a.backingUp.Unlock()
		return err
	}
	a.log.InfoContext(c.UserContext(), "backup made", "bytes", body.size)
	body.conn, body.clock, body.release = c.Context().Conn(), a.clock, sync.OnceFunc(a.backingUp.Unlock)
	c.Set(fiber.HeaderContentType, fiber.MIMEOctetStream)
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentDisposition, fmt.Sprintf(`attachment; filename="cobridge-%s.db"`, seal.MadeAt.UTC().Format("20060102T150405Z")))
	c.Context().SetBodyStream(body, int(body.size))
	return nil
}

// copyStore makes a backup in a file of its own beside the store.
func (a *App) copyStore(ctx context.Context) (*spooled, bolt.Seal, error) {
	refused := func(message string, err error) (*spooled, bolt.Seal, error) {
		return nil, bolt.Seal{}, &cobridge.Error{Code: cobridge.CodeUnavailable, Message: message, Err: err}
	}
	path, err := a.cfg.StoreFile()
	if err != nil {
		return refused("This store has no file to back up.", err)
	}
	embedded, ok := a.store.(*bolt.Store)
	if !ok {
		return refused("This store has no file to back up.", errors.New("it is not embedded"))
	}
	size := embedded.Stats().FileBytes
	free, known := a.diskFree(filepath.Dir(path))
	if known && free < size+size/10+backupReserve {
		return refused("There is no room for a backup beside the store.", fmt.Errorf("%d bytes are free, the store has %d", free, size))
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".cobridge-backup-*") // mode 0600
	if err != nil {
		return refused("A backup cannot be written beside the store.", err)
	}
	// Without a name at once, where that can be: then nothing is left over of it whatever happens.
	body := &spooled{f: f, named: os.Remove(f.Name()) != nil, release: func() {}}
	// The request's own deadline is for what answers at once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backupTime)
	defer cancel()
	seal, err := embedded.Backup(ctx, f)
	if err == nil {
		body.size, err = f.Seek(0, io.SeekCurrent)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return refused("The backup could not be written beside the store.", errors.Join(err, body.Close()))
	}
	return body, seal, nil
}

// spooled is a backup on its way to the caller: the body of an answer.
type spooled struct {
	f       *os.File
	named   bool // it has to be deleted when it is closed
	size    int64
	sent    int64
	conn    net.Conn
	clock   cobridge.Clock
	release func()
}

// Read gives the connection as much time for this piece as for any: the server's limit is
// for a whole answer.
func (s *spooled) Read(p []byte) (int, error) {
	if err := s.conn.SetWriteDeadline(s.clock().Add(backupStall)); err != nil {
		return 0, err
	}
	n, err := s.f.Read(p)
	if s.sent += int64(n); s.sent >= s.size {
		s.release() // whoever has it all may ask again at once
	}
	return n, err
}

// Close is called by the server, whether everything was sent or not.
func (s *spooled) Close() error {
	defer s.release()
	err := s.f.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.f.Name()))
	}
	return err
}
