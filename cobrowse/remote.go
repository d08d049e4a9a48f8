package cobrowse

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// Remote is a server of the old world that still knows sessions of its own. What
// it knows is only read, and only when nothing of that name is here. Its methods
// may be called concurrently and set bounds to their own waiting.
//
// Both fail with CodeNotFound when the server says that there is none, and with
// CodeUnavailable when it does not say, or says what nobody can believe.
type Remote interface {
	// Record returns a session that has ended, or what is known of one that lives:
	// id, nine digits, times and pages. Times are in UTC and whole milliseconds.
	Record(ctx context.Context, id SessionID) (Session, error)
	// Live tells where a live session is.
	Live(ctx context.Context, token SessionToken) (RemoteLive, error)
}

// RemoteLive is what a server of the old world tells of a live session.
type RemoteLive struct {
	Token      SessionToken
	ServerName string // of the node that owns the session; may be empty
	ServerURL  string // of that node, or else of the server: absolute, http or https
}

// remote is what a Service knows of a Remote.
type remote struct {
	Remote

	org   conversations.OrgID // to which everything of the remote server belongs
	keeps bool                // records that were read are stored here
}

// remoteEndReason stands in records of the old world, which do not say why a
// session ended: of all reasons this one claims the least.
const remoteEndReason = EndRequested

// orRemote goes on where reading a session failed with err: it asks the remote
// server for what is not here.
func (s *Service) orRemote(ctx context.Context, org conversations.OrgID, id SessionID, err error) (Session, error) {
	if cobridge.CodeOf(err) != cobridge.CodeNotFound || !s.remote.serves(org) {
		return Session{}, err
	}
	if !isUUID(string(id)) {
		return Session{}, err
	}
	// A session of somebody else, or one past its retention, is none either: not
	// here, and not over there.
	if _, stored := s.store.Session(ctx, id); cobridge.CodeOf(stored) != cobridge.CodeNotFound {
		return Session{}, err
	}
	found, err := s.remote.Record(ctx, id)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Session{}, sessionNotFound(id)
	} else if err != nil {
		return Session{}, fmt.Errorf("read session from the remote server: %w", err)
	}
	return s.fromRemote(ctx, id, found)
}

// fromRemote makes a session of s.remote one of ours: it says what every session
// says, and is stored if it is to be.
func (s *Service) fromRemote(ctx context.Context, id SessionID, found Session) (Session, error) {
	unbelievable := &cobridge.Error{
		Code: cobridge.CodeUnavailable, Message: "The remote server's answer is not a session.",
		Params: map[string]string{"sessionId": string(id)}, EntityID: string(id), EntityName: EntitySession,
	}
	if found.ID != id {
		return Session{}, unbelievable
	}
	found.OrgID, found.Legacy, found.Settings = s.remote.org, true, Settings{Timeout: s.rules.DefaultTimeout}
	if found.Live() {
		return found, nil
	}
	if found.EndedAt.Before(s.keptSince()) {
		return Session{}, sessionNotFound(id)
	}
	record, err := s.importable(s.remote.org, found)
	if err != nil {
		unbelievable.Err = err
		return Session{}, unbelievable
	}
	if s.remote.keeps {
		// It was read, and whoever asked shall have it. It can be stored the next time.
		if _, err := s.keep(ctx, record); err != nil {
			s.log.WarnContext(ctx, "storing a record of the remote server failed", "sessionId", string(id), "err", err)
		}
	}
	return record, nil
}

// RemoteLive tells where a live session is that is not here: the counterpart of
// ByToken, for when that fails with CodeNotFound. It fails with CodeNotFound, also
// where there is no remote server or it belongs to another organisation, and with
// CodeUnavailable.
func (s *Service) RemoteLive(ctx context.Context, org conversations.OrgID, token SessionToken) (RemoteLive, error) {
	unknown := &cobridge.Error{Code: cobridge.CodeNotFound, Message: "No live session has this session token.", EntityName: EntitySession}
	if _, err := ParseSessionToken(string(token)); err != nil || len(token) != sessionTokenDigits || !s.remote.serves(org) {
		return RemoteLive{}, unknown
	}
	live, err := s.remote.Live(ctx, token)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return RemoteLive{}, unknown
	} else if err != nil {
		return RemoteLive{}, fmt.Errorf("look up session token at the remote server: %w", err)
	}
	return live, nil
}

// serves reports whether an organisation may see what the remote server has.
func (r remote) serves(org conversations.OrgID) bool {
	return r.Remote != nil && org != "" && org == r.org
}

// isUUID reports whether text is a UUID as we write it: lower-case, with hyphens.
func isUUID(text string) bool {
	id, err := uuid.Parse(text)
	return err == nil && id.String() == text
}
