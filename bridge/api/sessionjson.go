package api

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge/bridge/web"
)

// sendSession answers with one session. It is what clients ask for most, and
// encoding/json would take half of the time that the whole request does; the
// bytes are the same, and a test holds both against each other.
func sendSession(c *fiber.Ctx, body *sessionBody) error {
	r := c.Response()
	r.Header.SetContentType(fiber.MIMEApplicationJSON)
	r.SwapBody(appendSession(r.SwapBody(nil)[:0], body)) // into the memory of earlier answers
	return nil
}

// appendSession appends b as encoding/json writes it.
func appendSession(dst []byte, b *sessionBody) []byte {
	dst = appendString(append(dst, `{"id":`...), string(b.ID))
	dst = appendString(append(dst, `,"sessionId":`...), string(b.SessionID))
	dst = appendString(append(dst, `,"sessionToken":`...), string(b.SessionToken))
	dst = appendOptional(dst, `,"conversationId":`, string(b.ConversationID))
	dst = appendOptional(dst, `,"deploymentId":`, string(b.DeploymentID))
	dst = appendString(append(dst, `,"state":`...), string(b.State))
	dst = append(dst, `,"participants":[`...)
	for i := range b.Participants {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendParticipant(dst, &b.Participants[i])
	}
	dst = strconv.AppendBool(append(dst, `],"settings":{"allowRemoteControl":`...), b.Settings.AllowRemoteControl)
	dst = strconv.AppendInt(append(dst, `,"timeoutInMinutes":`...), int64(b.Settings.TimeoutInMinutes), 10)
	dst = append(dst, `},"dateCreated":"`...)
	dst = append(append(dst, web.FormatTime(time.Time(b.DateCreated))...), '"')
	dst = appendTime(dst, `,"dateActivated":"`, b.DateActivated)
	dst = appendTime(dst, `,"dateEnded":"`, b.DateEnded)
	dst = appendOptional(dst, `,"endReason":`, string(b.EndReason))
	dst = appendTime(dst, `,"inactivityTimeout":"`, b.InactivityTimeout)
	if b.CreatedBy != nil {
		dst = append(appendString(append(dst, `,"createdBy":{"id":`...), b.CreatedBy.ID), '}')
	}
	return append(appendString(append(dst, `,"selfUri":`...), b.SelfURI), '}')
}

func appendParticipant(dst []byte, p *participantBody) []byte {
	dst = appendString(append(dst, `{"id":`...), string(p.ID))
	dst = appendOptional(dst, `,"userId":`, string(p.UserID))
	dst = appendString(append(dst, `,"role":`...), string(p.Role))
	dst = appendString(append(dst, `,"cobrowseRole":`...), p.CobrowseRole)
	dst = appendOptional(dst, `,"name":`, p.Name)
	dst = appendString(append(dst, `,"state":`...), string(p.State))
	if p.AllowControl {
		dst = append(dst, `,"allowControl":true`...)
	}
	dst = appendTime(dst, `,"dateJoined":"`, p.DateJoined)
	dst = appendTime(dst, `,"dateLeft":"`, p.DateLeft)
	return append(appendOptional(dst, `,"joinUrl":`, p.JoinURL), '}')
}

// appendOptional appends a member unless it is empty.
func appendOptional(dst []byte, member, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(append(dst, member...), s)
}

// appendTime appends a member, whose text ends with the first quote, unless it is zero.
func appendTime(dst []byte, member string, t web.Time) []byte {
	if t.IsZero() {
		return dst
	}
	return append(append(append(dst, member...), t.String()...), '"')
}

// appendString appends s in quotes. What needs any care is left to encoding/json.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if b := s[i]; b < ' ' || b > '~' || b == '"' || b == '\\' || b == '<' || b == '>' || b == '&' {
			quoted, err := json.Marshal(s)
			if err != nil { // strings always have an encoding
				return append(dst, `""`...)
			}
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
