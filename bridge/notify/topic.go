package notify

import (
	"slices"
	"strings"

	"github.com/cobridge/cobridge/conversations"
	"github.com/cobridge/cobridge/oauth"
)

// Holder is what the conversations of a topic have in common.
type Holder string

// The holders. The values stand in topics.
const (
	HolderUser  Holder = "users"          // somebody who takes part in them
	HolderQueue Holder = "routing.queues" // that they came through
)

// Part is what of a conversation a topic tells.
type Part string

// The parts. The values stand at the end of topics.
const (
	PartAll       Part = "" // the whole of it
	PartCalls     Part = "calls"
	PartCallbacks Part = "callbacks"
	PartChats     Part = "chats"
	PartEmails    Part = "emails"
	PartMessages  Part = "messages"
	PartCobrowse  Part = "cobrowseSessions"
)

// Parts returns every part.
func Parts() []Part {
	return []Part{PartAll, PartCalls, PartCallbacks, PartChats, PartEmails, PartMessages, PartCobrowse}
}

// PartOf returns the part that tells of a medium.
func PartOf(m conversations.Medium) Part {
	switch m {
	case conversations.MediumCall:
		return PartCalls
	case conversations.MediumCallback:
		return PartCallbacks
	case conversations.MediumChat:
		return PartChats
	case conversations.MediumEmail:
		return PartEmails
	default:
		return PartMessages
	}
}

// Topic is what can be subscribed to: the conversations of a user or a queue, such as
// v2.users.{id}.conversations.cobrowseSessions. The names are those of the official
// SDKs' notification mapping.
type Topic struct {
	Holder Holder
	ID     string // of the user or the queue
	Part   Part
}

// String returns the topic as it is written.
func (t Topic) String() string {
	name := "v2." + string(t.Holder) + "." + t.ID + ".conversations"
	if t.Part != PartAll {
		name += "." + string(t.Part)
	}
	return name
}

// ParseTopic reads a topic; ok is false if there is no such topic.
func ParseTopic(name string) (t Topic, ok bool) {
	if len(name) > maxTopic {
		return Topic{}, false
	}
	for _, holder := range []Holder{HolderUser, HolderQueue} {
		rest, found := strings.CutPrefix(name, "v2."+string(holder)+".")
		if !found {
			continue
		}
		id, rest, _ := strings.Cut(rest, ".")
		kind, part, divided := strings.Cut(rest, ".")
		if divided == (part == "") || kind != "conversations" || !isID(id) || !slices.Contains(Parts(), Part(part)) {
			return Topic{}, false
		}
		return Topic{Holder: holder, ID: id, Part: Part(part)}, true
	}
	return Topic{}, false
}

// isID bounds what may stand in place of an id: ours are UUIDs.
func isID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// Scopes returns the scopes of which a token needs one for topics of this part: those
// with which the same could be read.
func (p Part) Scopes() []oauth.Scope {
	if p == PartCobrowse {
		return []oauth.Scope{oauth.ScopeConversationsReadonly, oauth.ScopeCobrowseRead}
	}
	return []oauth.Scope{oauth.ScopeConversationsReadonly}
}

// missing returns the names of the scopes of which a token lacks all; nil = it may.
func (p Part) missing(granted []string) []string {
	var names []string
	for _, scope := range p.Scopes() {
		if oauth.Satisfies(granted, scope) {
			return nil
		}
		names = append(names, oauth.Alternatives(scope)...)
	}
	return names
}
