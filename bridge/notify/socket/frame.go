package socket

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
)

// Frames that are always the same.
const (
	heartbeatFrame = `{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}`
	pongFrame      = `{"topicName":"channel.metadata","eventBody":{"message":"pong"}}`
	closingFrame   = `{"topicName":"v2.system.socket_closing","eventBody":{"message":"The service is about to stop. Connect again."}}`
)

// message is what a client sends.
type message struct {
	Message       string   `json:"message"` // "ping" or "subscribe"
	Topics        []string `json:"topics"`
	CorrelationID string   `json:"correlationId"`
}

// result answers a subscription.
type result struct {
	Result        string   `json:"result"` // an HTTP status
	Status        string   `json:"status"`
	Message       string   `json:"message,omitempty"`
	Topics        []string `json:"topics,omitempty"`
	CorrelationID string   `json:"correlationId,omitempty"`
}

const maxCorrelation = 100 // bytes of a correlation id that comes back

// subscribed is the answer to m, which ended with err. The words are those that clients
// of the real service know: "failure" for what the client can correct, "error" for the rest.
func subscribed(m message, err error) ([]byte, error) {
	r := result{Result: "200", Status: "subscribed", Topics: m.Topics}
	if len(m.CorrelationID) <= maxCorrelation {
		r.CorrelationID = m.CorrelationID
	}
	if err != nil {
		code := cobridge.CodeOf(err)
		status := web.StatusOf(code)
		r.Result, r.Topics, r.Status, r.Message = strconv.Itoa(status), nil, "error", string(code)
		if slices.Contains([]cobridge.Code{cobridge.CodeInvalidTopic, cobridge.CodeTooManySubscriptions, cobridge.CodeUnauthorizedTopic}, code) {
			r.Result, r.Status = "400", "failure"
		}
	}
	return json.Marshal(r)
}
