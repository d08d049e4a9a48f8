package api

import (
	"slices"

	"github.com/cobridge/cobridge/bridge/notify"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/conversations"
)

// What is told on notification channels, in the words of the official SDKs' notification
// mapping. None of it lets anybody in: there are no join URLs.

// noticeFrame is one notification.
type noticeFrame struct {
	TopicName string         `json:"topicName"`
	Version   string         `json:"version"`
	EventBody any            `json:"eventBody"`
	Metadata  noticeMetadata `json:"metadata"`
}

type noticeMetadata struct {
	CorrelationID string `json:"CorrelationId"` // of the request that brought it about, if there was one
}

// mediaNotice is a conversation as the topics of one medium tell it.
type mediaNotice struct {
	ID           conversations.ID `json:"id"`
	Participants []mediaMember    `json:"participants"`
}

// mediaMember is a participant and its communication in one.
type mediaMember struct {
	ID            conversations.ParticipantID      `json:"id"`
	Name          string                           `json:"name,omitempty"`
	StartTime     web.Time                         `json:"startTime,omitzero"`
	ConnectedTime web.Time                         `json:"connectedTime,omitzero"`
	EndTime       web.Time                         `json:"endTime,omitzero"`
	Purpose       conversations.Purpose            `json:"purpose"`
	State         conversations.CommunicationState `json:"state"`
	Direction     string                           `json:"direction"`
	Held          bool                             `json:"held"`
	MediaRoles    []string                         `json:"mediaRoles,omitempty"`
	User          *userReference                   `json:"user,omitempty"`
	Queue         *queueReference                  `json:"queue,omitempty"`
	Attributes    map[string]string                `json:"attributes"`
}

type queueReference struct {
	ID string `json:"id"`
}

// newMediaNotice returns false if nothing of the conversation is in the medium.
func newMediaNotice(c conversations.Conversation, medium conversations.Medium) (mediaNotice, bool) {
	body := mediaNotice{ID: c.ID}
	for _, p := range c.Participants {
		for _, com := range p.Communications {
			if com.Medium != medium {
				continue
			}
			m := mediaMember{
				ID: p.ID, Name: p.Name, StartTime: web.Time(p.ConnectedAt), ConnectedTime: web.Time(com.ConnectedAt), EndTime: web.Time(com.DisconnectedAt),
				Purpose: p.Purpose, State: com.State, Direction: com.Direction, MediaRoles: p.MediaRoles, Attributes: p.Attributes,
			}
			if m.Attributes == nil {
				m.Attributes = map[string]string{}
			}
			if p.UserID != "" {
				m.User = &userReference{ID: p.UserID, SelfURI: usersPath + "/" + string(p.UserID)}
			}
			if p.QueueID != "" {
				m.Queue = &queueReference{ID: p.QueueID}
			}
			body.Participants = append(body.Participants, m)
		}
	}
	return body, len(body.Participants) > 0
}

// holders are those whose topics tell of a conversation.
type holders struct {
	users, queues []string
}

// holdersOf returns the users and queues of a conversation, those who have left it too:
// that they have is news to them.
func holdersOf(c conversations.Conversation) holders {
	var h holders
	for _, p := range c.Participants {
		h.users = append(h.users, string(p.UserID))
		h.queues = append(h.queues, p.QueueID)
	}
	return h.normal()
}

// with adds the users of a session: a supervisor need not be in the conversation.
func (h holders) with(s cobrowse.Session) holders {
	h.users = slices.Clone(h.users)
	for _, p := range s.Participants {
		h.users = append(h.users, string(p.UserID))
	}
	return h.normal()
}

// normal drops what is empty or there twice.
func (h holders) normal() holders {
	for _, list := range []*[]string{&h.users, &h.queues} {
		slices.Sort(*list)
		*list = slices.DeleteFunc(slices.Compact(*list), func(id string) bool { return id == "" })
	}
	return h
}

// topics returns the topics of one part.
func (h holders) topics(part notify.Part) []notify.Topic {
	all := make([]notify.Topic, 0, len(h.users)+len(h.queues))
	for _, id := range h.users {
		all = append(all, notify.Topic{Holder: notify.HolderUser, ID: id, Part: part})
	}
	for _, id := range h.queues {
		all = append(all, notify.Topic{Holder: notify.HolderQueue, ID: id, Part: part})
	}
	return all
}
