package redis

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cobridge/cobridge/conversations"
)

func userRecord(org conversations.OrgID, id conversations.UserID) string {
	return "user:" + part(org) + ":" + part(id)
}

func userPrefix(org conversations.OrgID, state conversations.UserState) string {
	return nameMember + str(org) + str(state)
}

// userMembers are the members that lead to a user: among all, and among those of the state.
func userMembers(u conversations.User) []string {
	last := text(u.Name) + string(u.ID)
	members := []string{userPrefix(u.OrgID, "") + last}
	if u.State != "" {
		members = append(members, userPrefix(u.OrgID, u.State)+last)
	}
	return members
}

// PutUser implements [conversations.Store].
func (s *Store) PutUser(ctx context.Context, u conversations.User) error {
	encoded, err := encode(u)
	if err == nil {
		// As it will be read: JSON has no broken UTF-8, and the index must not either.
		u, err = decode[conversations.User](encoded)
	}
	if err == nil {
		name := userRecord(u.OrgID, u.ID)
		err = until(ctx, func() error {
			stored, err := s.record(ctx, directoryShelf, name)
			if err != nil {
				return err
			}
			var w writing
			w.same(name, stored)
			if stored != "" {
				old, err := decode[conversations.User](stored)
				if err != nil {
					return err
				}
				w.rem(userMembers(old)...)
			}
			w.add(userMembers(u)...)
			w.put(name, encoded)
			return s.write(ctx, directoryShelf, &w)
		})
	}
	if err != nil {
		return fmt.Errorf("store user: %w", err)
	}
	return nil
}

// User implements [conversations.Store].
func (s *Store) User(ctx context.Context, org conversations.OrgID, id conversations.UserID) (conversations.User, error) {
	var u conversations.User
	stored, err := s.record(ctx, directoryShelf, userRecord(org, id))
	if err == nil && stored != "" {
		u, err = decode[conversations.User](stored)
	}
	switch {
	case err != nil:
		return u, fmt.Errorf("read user: %w", err)
	case stored == "":
		return u, conversations.UserNotFound(id)
	}
	return u, nil
}

// Users implements [conversations.Store].
func (s *Store) Users(ctx context.Context, org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error) {
	fail := func(err error) ([]conversations.User, int, error) { return nil, 0, fmt.Errorf("list users: %w", err) }
	if len(q.IDs) > 0 {
		found, total, err := s.usersByID(ctx, org, q)
		if err != nil {
			return fail(err)
		}
		return found, total, nil
	}
	states := slices.Clone(q.States)
	if len(states) == 0 {
		states = []conversations.UserState{""}
	}
	slices.Sort(states)
	var arms []arm
	for _, state := range slices.Compact(states) {
		arms = append(arms, arm{key: directoryShelf.index(), prefix: userPrefix(org, state)})
	}
	page, total, err := s.merge(ctx, arms, false, q.Offset, q.Limit)
	if err != nil {
		return fail(err)
	}
	names := make([]string, len(page))
	for i, m := range page {
		// The id follows the end of the name, which stands nowhere else in it.
		names[i] = userRecord(org, conversations.UserID(m[strings.Index(m, "\x00\x01")+2:]))
	}
	found, missing, err := recordsAs[conversations.User](ctx, s, directoryShelf, names)
	if err != nil {
		return fail(err)
	}
	return found, total - missing, nil
}

// usersByID looks the few that are asked for up by their names.
func (s *Store) usersByID(ctx context.Context, org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error) {
	ids := slices.Clone(q.IDs)
	slices.Sort(ids)
	var names []string
	for _, id := range slices.Compact(ids) {
		names = append(names, userRecord(org, id))
	}
	all, _, err := recordsAs[conversations.User](ctx, s, directoryShelf, names)
	if err != nil {
		return nil, 0, err
	}
	all = slices.DeleteFunc(all, func(u conversations.User) bool { return len(q.States) > 0 && !slices.Contains(q.States, u.State) })
	slices.SortFunc(all, func(a, b conversations.User) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	from := min(q.Offset, len(all))
	return all[from:min(from+q.Limit, len(all))], len(all), nil
}
