package redis

import (
	"context"
	"fmt"
	"strconv"

	"github.com/cobridge/cobridge/cobrowse"
)

// Purge implements [cobrowse.Index]. Events are forgotten from the oldest on, up to the
// first that is to be kept.
func (s *Store) Purge(ctx context.Context, p cobrowse.Purge, limit int) (int, error) {
	total := 0
	for _, part := range []func(context.Context, cobrowse.Purge, int) (int, error){s.purgeHistory, s.purgeExpired, s.purgeEvents} {
		for total < limit {
			n, err := part(ctx, p, min(limit-total, pageSize))
			total += n
			if err != nil {
				return total, fmt.Errorf("purge: %w", err)
			}
			if n == 0 {
				break
			}
		}
	}
	return total, nil
}

// purgeHistory deletes some records. The index leads to them until they are gone.
func (s *Store) purgeHistory(ctx context.Context, p cobrowse.Purge, limit int) (int, error) {
	arms, err := s.sessionArms(ctx, cobrowse.Query{}, endedIndex, endedByTalk, "")
	if err != nil {
		return 0, err
	}
	for i := range arms {
		arms[i].high = binaryTime(p.Ended)
	}
	members, _, err := s.merge(ctx, arms, false, 0, limit)
	if err != nil || len(members) == 0 {
		return 0, err
	}
	calls := make([]call, len(members))
	for i, m := range members {
		calls[i] = call{s.script.bury, s.sessionKeys(m[timeSize:]), nil}
	}
	answers, err := s.runAll(ctx, calls...)
	if err != nil {
		return 0, err
	}
	var buried []string
	for i, answer := range answers {
		id := members[i][timeSize:]
		if n, err := answer.AsInt64(); err != nil {
			return 0, fmt.Errorf("read the answer of a script: %w", err)
		} else if n == 1 {
			buried = append(buried, id)
		} else if _, err := s.finish(ctx, id); err != nil {
			return 0, err
		}
	}
	if len(buried) == 0 {
		return 0, nil // the next purge will find them finished
	}
	return len(buried), s.unindex(ctx, buried...)
}

// purgeExpired forgets some cells whose time is over.
func (s *Store) purgeExpired(ctx context.Context, p cobrowse.Purge, limit int) (int, error) {
	for {
		result, err := s.do(ctx, s.client.B().Zrangebylex().Key(s.key(expiryIndex)).Min("-").Max(below(after(p.At))).Limit(0, int64(limit)).Build())
		if err != nil {
			return 0, err
		}
		members, err := result.AsStrSlice()
		if err != nil || len(members) == 0 {
			return 0, err
		}
		calls := make([]call, len(members))
		for i, m := range members {
			c := kindOf(m[timeSize:])
			calls[i] = call{s.script.expire, []string{s.key(c.name)}, []string{string(c.kind), decimalTime(p.At)}}
		}
		answers, err := s.runAll(ctx, calls...)
		if err != nil {
			return 0, err
		}
		deleted := 0
		for _, answer := range answers {
			n, err := answer.AsInt64()
			if err != nil {
				return 0, fmt.Errorf("read the answer of a script: %w", err)
			}
			deleted += int(n)
		}
		// What was taken again has another entry, of its new expiry, or will get one.
		if _, err := s.do(ctx, s.client.B().Zrem().Key(s.key(expiryIndex)).Member(members...).Build()); err != nil {
			return deleted, err
		}
		if deleted > 0 {
			return deleted, nil
		}
	}
}

// purgeEvents forgets some of the oldest events.
func (s *Store) purgeEvents(ctx context.Context, p cobrowse.Purge, limit int) (int, error) {
	events, err := s.readEvents(ctx, 0, limit)
	if err != nil {
		return 0, err
	}
	n := 0
	for n < len(events) && events[n].At.Before(p.Events) {
		n++
	}
	if n == 0 {
		return 0, nil
	}
	keep := strconv.FormatUint(events[n-1].Sequence+1, 10)
	result, err := s.do(ctx, s.client.B().Xtrim().Key(s.key(eventStream)).Minid().Exact().Threshold(keep).Build())
	if err != nil {
		return 0, err
	}
	trimmed, err := result.AsInt64()
	if err != nil {
		return 0, fmt.Errorf("forget events: %w", err)
	}
	s.tail.forget(events[n-1].Sequence)
	return int(trimmed), nil
}
