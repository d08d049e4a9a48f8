package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/cobridge/cobridge/cobrowse"
)

// arm is a part of an index: members that begin with prefix and go on with something
// from low on and below high; an empty bound is open.
type arm struct {
	key       string
	prefix    string
	low, high string
}

func (a arm) bounds() (least, end string) {
	end = below(successor(a.prefix))
	if a.high != "" {
		end = below(a.prefix + a.high)
	}
	return atLeast(a.prefix + a.low), end
}

// merge reads one page of what several arms have, ordered by what follows their
// prefixes, and counts all of it.
func (s *Store) merge(ctx context.Context, arms []arm, descending bool, offset, limit int) (page []string, total int, err error) {
	if len(arms) == 0 {
		return nil, 0, nil
	}
	reach := int64(offset + limit)
	var commands []rueidis.Completed
	for _, a := range arms {
		least, end := a.bounds()
		commands = append(commands, s.client.B().Zlexcount().Key(s.key(a.key)).Min(least).Max(end).Build())
		if descending {
			commands = append(commands, s.client.B().Zrevrangebylex().Key(s.key(a.key)).Max(end).Min(least).Limit(0, reach).Build())
		} else {
			commands = append(commands, s.client.B().Zrangebylex().Key(s.key(a.key)).Min(least).Max(end).Limit(0, reach).Build())
		}
	}
	results, err := s.doAll(ctx, commands...)
	if err != nil {
		return nil, 0, err
	}
	var all []string
	for i, a := range arms {
		n, err := results[2*i].AsInt64()
		if err != nil {
			return nil, 0, fmt.Errorf("count members: %w", err)
		}
		total += int(n)
		members, err := results[2*i+1].AsStrSlice()
		if err != nil {
			return nil, 0, fmt.Errorf("read members: %w", err)
		}
		for _, m := range members {
			all = append(all, m[len(a.prefix):])
		}
	}
	slices.Sort(all)
	if descending {
		slices.Reverse(all)
	}
	from := min(offset, len(all))
	return all[from:min(from+limit, len(all))], total, nil
}

// organisations returns all that have a member in an index.
func (s *Store) organisations(ctx context.Context, keys ...string) ([]string, error) {
	var found []string
	for _, key := range keys {
		for from := ""; ; {
			result, err := s.do(ctx, s.client.B().Zrangebylex().Key(s.key(key)).Min(atLeast(from)).Max("+").Limit(0, 1).Build())
			if err != nil {
				return nil, err
			}
			first, err := result.AsStrSlice()
			if err != nil {
				return nil, fmt.Errorf("read members: %w", err)
			}
			if len(first) == 0 {
				break
			}
			org, _ := cutStr(first[0])
			if !slices.Contains(found, org) {
				found = append(found, org)
			}
			from = successor(str(org))
		}
	}
	return found, nil
}

// sessionArms are where the sessions that a query asks for are indexed.
func (s *Store) sessionArms(ctx context.Context, q cobrowse.Query, byOrg, byTalk, low string) ([]arm, error) {
	orgs := []string{string(q.OrgID)}
	if q.OrgID == "" {
		var err error
		if orgs, err = s.organisations(ctx, byOrg); err != nil {
			return nil, err
		}
	}
	var arms []arm
	for _, org := range orgs {
		switch {
		case q.ConversationID != "":
			arms = append(arms, arm{key: byTalk, prefix: str(org) + str(q.ConversationID), low: low})
		case q.Attached:
			arms = append(arms, arm{key: byOrg, prefix: str(org) + "1", low: low})
		default:
			arms = append(arms, arm{key: byOrg, prefix: str(org) + "0", low: low}, arm{key: byOrg, prefix: str(org) + "1", low: low})
		}
	}
	return arms, nil
}

// Sessions implements [cobrowse.Index]. The list and the number are those of one moment
// each; between them a session may come or go.
func (s *Store) Sessions(ctx context.Context, q cobrowse.Query) ([]cobrowse.Session, int, error) {
	fail := func(err error) ([]cobrowse.Session, int, error) { return nil, 0, fmt.Errorf("list sessions: %w", err) }
	wanted := func(state cobrowse.State) bool { return len(q.States) == 0 || slices.Contains(q.States, state) }
	var live, over []arm
	for _, part := range []struct {
		state         cobrowse.State
		byOrg, byTalk string
		low           string
		arms          *[]arm
	}{
		{cobrowse.StateIdle, idleIndex, idleByTalk, "", &live},
		{cobrowse.StateActive, activeIndex, activeByTalk, "", &live},
		{cobrowse.StateEnded, endedIndex, endedByTalk, binaryTime(q.KeptSince), &over},
	} {
		if !wanted(part.state) {
			continue
		}
		arms, err := s.sessionArms(ctx, q, part.byOrg, part.byTalk, part.low)
		if err != nil {
			return fail(err)
		}
		*part.arms = append(*part.arms, arms...)
	}
	page, total, err := s.merge(ctx, live, true, q.Offset, q.Limit)
	if err != nil {
		return fail(err)
	}
	rest, ended, err := s.merge(ctx, over, true, max(0, q.Offset-total), q.Limit-len(page))
	if err != nil {
		return fail(err)
	}
	found, missing, err := s.sessions(ctx, append(page, rest...))
	if err != nil {
		return fail(err)
	}
	return found, total + ended - missing, nil
}

// Records implements [cobrowse.Index].
func (s *Store) Records(ctx context.Context, q cobrowse.RecordQuery) ([]cobrowse.Session, error) {
	var low, high string
	if !q.From.IsZero() {
		low = binaryTime(q.From)
	}
	if !q.To.IsZero() {
		high = binaryTime(q.To)
	}
	if q.After.ID != "" {
		if at := binaryTime(q.After.EndedAt) + string(q.After.ID); high == "" || at < high {
			high = at
		}
	}
	arms, err := s.sessionArms(ctx, cobrowse.Query{OrgID: q.OrgID, ConversationID: q.ConversationID}, endedIndex, endedByTalk, low)
	if err != nil {
		return nil, fmt.Errorf("list history records: %w", err)
	}
	for i := range arms {
		arms[i].high = high
	}
	var found []cobrowse.Session
	for len(found) < q.Limit {
		want := q.Limit - len(found)
		page, _, err := s.merge(ctx, arms, true, 0, want)
		if err != nil {
			return nil, fmt.Errorf("list history records: %w", err)
		}
		more, _, err := s.sessions(ctx, page)
		if err != nil {
			return nil, fmt.Errorf("list history records: %w", err)
		}
		found = append(found, more...)
		if len(page) < want {
			break
		}
		for i := range arms { // those that were purged meanwhile make room for others
			arms[i].high = page[len(page)-1]
		}
	}
	return found, nil
}

// sessions reads the sessions that members of an index lead to, without those that are
// not there any more.
func (s *Store) sessions(ctx context.Context, members []string) (found []cobrowse.Session, missing int, err error) {
	for chunk := range slices.Chunk(members, pageSize) {
		commands := make([]rueidis.Completed, len(chunk))
		for i, m := range chunk {
			commands[i] = s.client.B().Hget().Key(s.sessionKeys(m[timeSize:])[0]).Field("d").Build()
		}
		results, err := s.doAll(ctx, commands...)
		if err != nil {
			return nil, 0, err
		}
		for _, result := range results {
			data, err := result.ToString()
			if rueidis.IsRedisNil(err) {
				missing++
				continue
			} else if err != nil {
				return nil, 0, fmt.Errorf("read session: %w", err)
			}
			session, err := decode[cobrowse.Session](data)
			if err != nil {
				return nil, 0, err
			}
			found = append(found, session)
		}
	}
	return found, missing, nil
}

// Overdue implements [cobrowse.Store].
func (s *Store) Overdue(ctx context.Context, at time.Time, limit int) ([]cobrowse.SessionID, error) {
	ids, err := s.overdue(ctx, at, limit)
	if err != nil {
		return nil, fmt.Errorf("read deadlines: %w", err)
	}
	return ids, nil
}

func (s *Store) overdue(ctx context.Context, at time.Time, limit int) ([]cobrowse.SessionID, error) {
	result, err := s.do(ctx, s.client.B().Zrangebylex().Key(s.key(deadlineIndex)).Min("-").Max(below(after(at))).Limit(0, int64(limit)).Build())
	if err != nil {
		return nil, err
	}
	members, err := result.AsStrSlice()
	if err != nil {
		return nil, err
	}
	var ids []cobrowse.SessionID
	for chunk := range slices.Chunk(members, pageSize) {
		commands := make([]rueidis.Completed, len(chunk))
		for i, m := range chunk {
			commands[i] = s.client.B().Exists().Key(s.sessionKeys(m[timeSize:])[0]).Build()
		}
		results, err := s.doAll(ctx, commands...)
		if err != nil {
			return nil, err
		}
		for i, result := range results {
			id := chunk[i][timeSize:]
			if there, err := result.AsBool(); err != nil {
				return nil, err
			} else if there {
				ids = append(ids, cobrowse.SessionID(id))
				continue
			}
			// The server lost it. Left in the index it would be overdue for ever.
			if err := s.unindex(ctx, id); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

// unindex takes sessions out of the indexes.
func (s *Store) unindex(ctx context.Context, ids ...string) error {
	_, err := s.run(ctx, call{s.script.unindex, s.indexKeys()[:8], ids})
	return err
}
