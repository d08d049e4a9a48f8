package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/rueidis"
)

// A shelf is what is decided together besides sessions: records by name and one index
// of members that sort, in one slot. What is read of it and written to it is checked
// and written by one script.
type shelf string

const (
	directoryShelf  shelf = "directory"
	deploymentShelf shelf = "deployments"
	oauthShelf      shelf = "oauth"
	knowledgeShelf  shelf = "knowledge"
	channelShelf    shelf = "channels"
	webhookShelf    shelf = "webhooks"
)

// index is the name of the shelf's index, without the prefix of all keys.
func (h shelf) index() string { return "{" + string(h) + "}:index" }

func (s *Store) records(h shelf) string { return s.key("{" + string(h) + "}:records") }
func (s *Store) members(h shelf) string { return s.key(h.index()) }

// errChanged: what a decision was based on is no longer what is stored.
var errChanged = errors.New("changed in between")

// writing is a decision: first what must still be so, then what is to be written.
type writing struct{ checks, writes []string }

// same has the record still be what was read, "" if there was none.
func (w *writing) same(name, value string) {
	if value == "" {
		w.checks = append(w.checks, "none", name)
		return
	}
	w.checks = append(w.checks, "same", name, value)
}

// among has the members between the bounds still be those that were read.
func (w *writing) among(least, end string, members []string) {
	w.checks = append(append(w.checks, "range", least, end, strconv.Itoa(len(members))), members...)
}

// some has a record of this name be there.
func (w *writing) some(name string) { w.checks = append(w.checks, "some", name) }

// room has the members that begin with prefix be fewer than most; or not, as they were.
func (w *writing) room(prefix string, most int, there bool) {
	op := "least"
	if there {
		op = "fewer"
	}
	w.checks = append(w.checks, op, atLeast(prefix), below(successor(prefix)), strconv.Itoa(most))
}

func (w *writing) put(name, value string) { w.writes = append(w.writes, "put", name, value) }
func (w *writing) del(name string)        { w.writes = append(w.writes, "del", name) }

func (w *writing) add(members ...string) {
	for _, m := range members {
		w.writes = append(w.writes, "add", m)
	}
}

func (w *writing) rem(members ...string) {
	for _, m := range members {
		w.writes = append(w.writes, "rem", m)
	}
}

// write makes the decision so. It fails with errChanged.
func (s *Store) write(ctx context.Context, h shelf, w *writing) error {
	answer, err := s.run(ctx, call{s.script.shelf, []string{s.records(h), s.members(h)}, append(w.checks, w.writes...)})
	if err != nil {
		return err
	}
	if done, err := answer.AsInt64(); err != nil {
		return fmt.Errorf("read the answer of a script: %w", err)
	} else if done == 0 {
		return errChanged
	}
	return nil
}

// record reads a record; "" if there is none.
func (s *Store) record(ctx context.Context, h shelf, name string) (string, error) {
	result, err := s.do(ctx, s.client.B().Hget().Key(s.records(h)).Field(name).Build())
	if err != nil {
		return "", err
	}
	value, err := result.ToString()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	return value, err
}

// recordsOf reads records in the order of their names; "" for those that are not there.
func (s *Store) recordsOf(ctx context.Context, h shelf, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	result, err := s.do(ctx, s.client.B().Hmget().Key(s.records(h)).Field(names...).Build())
	if err != nil {
		return nil, err
	}
	message, err := result.ToMessage()
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return list(message)
}

// between reads the members between the bounds, at most limit of them, -1 = all.
func (s *Store) between(ctx context.Context, h shelf, least, end string, limit int) ([]string, error) {
	result, err := s.do(ctx, s.client.B().Zrangebylex().Key(s.members(h)).Min(least).Max(end).Limit(0, int64(limit)).Build())
	if err != nil {
		return nil, err
	}
	members, err := result.AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	return members, nil
}

// countAll counts the members that begin with each of the prefixes.
func (s *Store) countAll(ctx context.Context, h shelf, prefixes ...string) ([]int, error) {
	commands := make([]rueidis.Completed, len(prefixes))
	for i, prefix := range prefixes {
		commands[i] = s.client.B().Zlexcount().Key(s.members(h)).Min(atLeast(prefix)).Max(below(successor(prefix))).Build()
	}
	results, err := s.doAll(ctx, commands...)
	if err != nil {
		return nil, err
	}
	counts := make([]int, len(results))
	for i, result := range results {
		n, err := result.AsInt64()
		if err != nil {
			return nil, fmt.Errorf("count members: %w", err)
		}
		counts[i] = int(n)
	}
	return counts, nil
}

// until is for decisions that depend on what was read: they are made again as long as
// somebody was faster.
func until(ctx context.Context, decide func() error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := decide(); !errors.Is(err, errChanged) {
			return err
		}
	}
}

// recordsAs reads records, without those that are not there.
func recordsAs[T any](ctx context.Context, s *Store, h shelf, names []string) (found []T, missing int, err error) {
	stored, err := s.recordsOf(ctx, h, names)
	if err != nil {
		return nil, 0, err
	}
	for _, data := range stored {
		if data == "" {
			missing++
			continue
		}
		one, err := decode[T](data)
		if err != nil {
			return nil, 0, err
		}
		found = append(found, one)
	}
	return found, missing, nil
}

// purgeShelf deletes at most limit records whose members under the prefix come before
// high, in steps. What changes meanwhile is looked at again.
func (s *Store) purgeShelf(ctx context.Context, h shelf, prefix, high string, limit int, record func(member string) string, members func(stored string) ([]string, error)) (int, error) {
	total := 0
	for total < limit {
		var deleted int
		err := until(ctx, func() error {
			due, err := s.between(ctx, h, atLeast(prefix), below(prefix+high), min(limit-total, pageSize))
			deleted = len(due)
			if err != nil || deleted == 0 {
				return err
			}
			names := make([]string, len(due))
			for i, m := range due {
				names[i] = record(m)
			}
			stored, err := s.recordsOf(ctx, h, names)
			if err != nil {
				return err
			}
			var w writing
			for i, data := range stored {
				w.same(names[i], data)
				w.del(names[i])
				w.rem(due[i])
				if data == "" {
					continue
				}
				others, err := members(data)
				if err != nil {
					return err
				}
				w.rem(others...)
			}
			return s.write(ctx, h, &w)
		})
		if err != nil {
			return total, err
		}
		if deleted == 0 {
			break
		}
		total += deleted
	}
	return total, nil
}
