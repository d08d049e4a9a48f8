package notify

import (
	"strconv"

	"github.com/cobridge/cobridge"
)

// NotFound is the failure for a channel that the caller may not see or that is not there.
// It does not say which: the id is a credential.
func NotFound() error {
	return &cobridge.Error{Code: cobridge.CodeEntityNotFound, Message: "The client has no notification channel with this id.", EntityName: "channel"}
}

func invalidTopic(topic string) error {
	return &cobridge.Error{
		Code: cobridge.CodeInvalidTopic, Message: textInvalid, Params: map[string]string{"topic": shortened(topic)},
		Details: []cobridge.Detail{{ErrorCode: string(cobridge.CodeInvalidTopic), FieldName: "id"}},
	}
}

func unauthorizedTopic(topic, reason string) error {
	return &cobridge.Error{Code: cobridge.CodeUnauthorizedTopic, Message: reason, Params: map[string]string{"topic": topic}}
}

func tooMany(limit int) error {
	return &cobridge.Error{
		Code: cobridge.CodeTooManySubscriptions, Message: "A channel can have at most " + strconv.Itoa(limit) + " topics.",
		Params: map[string]string{"limit": strconv.Itoa(limit)},
	}
}

// Why a topic is refused.
const (
	textInvalid = "There is no such topic."
	textScope   = "The client lacks the required scope."
	textUser    = "No user of this organisation has this id."
)

// shortened bounds what of a caller's text comes back.
func shortened(topic string) string {
	if len(topic) > maxTopic {
		return topic[:maxTopic]
	}
	return topic
}
