package bolt

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/cobridge/cobridge/conversations"
)

func userNameKey(u conversations.User) []byte {
	key := appendStr(make([]byte, 0, 6+len(u.OrgID)+len(u.Name)+len(u.ID)), string(u.OrgID))
	return append(appendText(key, u.Name), u.ID...)
}

// user reads a user; the zero value if there is none.
func (t *txn) user(org conversations.OrgID, id conversations.UserID) (conversations.User, error) {
	value := t.get(userBucket, orgKey(org, id))
	if value == nil {
		return conversations.User{}, nil
	}
	return decode[conversations.User](value)
}

// PutUser implements [conversations.Store].
func (s *Store) PutUser(ctx context.Context, u conversations.User) error {
	encoded, err := encode(u)
	if err == nil {
		// As it will be read: JSON has no broken UTF-8, and the index must not either.
		u, err = decode[conversations.User](encoded)
	}
	if err == nil {
		err = s.update(ctx, func(t *txn) error {
			old, err := t.user(u.OrgID, u.ID)
			if err != nil {
				return err
			}
			if old.ID != "" {
				t.del(userByName, userNameKey(old))
			}
			t.put(userBucket, orgKey(u.OrgID, u.ID), encoded)
			t.put(userByName, userNameKey(u), []byte(u.State))
			t.after = append(t.after, func() { s.users.remove(string(orgKey(u.OrgID, u.ID))) })
			return t.err
		})
	}
	if err != nil {
		return fmt.Errorf("store user: %w", err)
	}
	return nil
}

// User implements [conversations.Store].
func (s *Store) User(ctx context.Context, org conversations.OrgID, id conversations.UserID) (conversations.User, error) {
	if err := s.alive(); err != nil {
		return conversations.User{}, err
	}
	key := string(orgKey(org, id))
	if cached := s.users.get(key); cached != nil {
		return *cached, nil
	}
	var found *conversations.User
	mark := s.users.begin(key)
	defer func() { s.users.finish(key, mark, found) }()
	var u conversations.User
	err := s.view(ctx, func(t *txn) (err error) {
		u, err = t.user(org, id)
		return err
	})
	switch {
	case err != nil:
		return u, fmt.Errorf("read user: %w", err)
	case u.ID == "":
		return u, conversations.UserNotFound(id)
	}
	kept := u // the caller may change its own
	found = &kept
	return u, nil
}

// Users implements [conversations.Store].
func (s *Store) Users(ctx context.Context, org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error) {
	var found []conversations.User
	total := 0
	err := s.view(ctx, func(t *txn) (err error) {
		if len(q.IDs) > 0 {
			found, total, err = t.usersByID(org, q)
			return err
		}
		prefix := orgPrefix(string(org), "")
		c := t.bucket(userByName).Cursor()
		for key, state := c.Seek(prefix); bytes.HasPrefix(key, prefix); key, state = c.Next() {
			if len(q.States) > 0 && !slices.Contains(q.States, conversations.UserState(state)) {
				continue
			}
			if total++; total <= q.Offset || len(found) >= q.Limit {
				continue
			}
			// The id follows the end of the name, which stands nowhere else in it.
			u, err := t.user(org, conversations.UserID(key[bytes.Index(key[len(prefix):], []byte{0, 1})+len(prefix)+2:]))
			if err != nil {
				return err
			}
			found = append(found, u)
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list users: %w", err)
	}
	return found, total, nil
}

// usersByID looks the few that are asked for up one by one.
func (t *txn) usersByID(org conversations.OrgID, q conversations.UserQuery) ([]conversations.User, int, error) {
	ids := slices.Clone(q.IDs)
	slices.Sort(ids)
	var all []conversations.User
	for _, id := range slices.Compact(ids) {
		u, err := t.user(org, id)
		if err != nil {
			return nil, 0, err
		}
		if u.ID != "" && (len(q.States) == 0 || slices.Contains(q.States, u.State)) {
			all = append(all, u)
		}
	}
	slices.SortFunc(all, func(a, b conversations.User) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	from := min(q.Offset, len(all))
	return all[from:min(from+q.Limit, len(all))], len(all), nil
}
