package bayeux

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
)

// The channels of the protocol itself.
const (
	metaHandshake   = "/meta/handshake"
	metaConnect     = "/meta/connect"
	metaSubscribe   = "/meta/subscribe"
	metaUnsubscribe = "/meta/unsubscribe"
	metaDisconnect  = "/meta/disconnect"

	metaPrefix    = "/meta/"
	servicePrefix = "/service/"
)

// message is one message from a client. Members of a wrong type are as good as
// missing; what is wrong with the message is said when somebody needs the member.
type message struct {
	id       json.RawMessage // a string or number, as it came; nil without one
	channel  string
	clientID ClientID
	data     json.RawMessage // nil without any

	minimumVersion string
	connections    []string // supportedConnectionTypes
	timeout        *float64 // advice.timeout, in milliseconds
	subscription   json.RawMessage
	ext            json.RawMessage
	ack            json.RawMessage // ext.ack
}

// wireMessage is the form of a message as it comes. Everything is raw, so that a
// member of a wrong type does not spoil the others.
type wireMessage struct {
	ID             json.RawMessage `json:"id"`
	Channel        json.RawMessage `json:"channel"`
	ClientID       json.RawMessage `json:"clientId"`
	Data           json.RawMessage `json:"data"`
	MinimumVersion json.RawMessage `json:"minimumVersion"`
	Connections    json.RawMessage `json:"supportedConnectionTypes"`
	Advice         json.RawMessage `json:"advice"`
	Subscription   json.RawMessage `json:"subscription"`
	Ext            json.RawMessage `json:"ext"`
}

// decodeEnvelope reads a body or frame: one message, or an array of them. It
// fails as a whole with CodeBadRequest for what is no JSON, nests too deep, is
// empty or has something else than objects in it, and with CodeTooLarge past the
// limits. The messages keep parts of data.
func decodeEnvelope(data []byte, limits *Limits) ([]message, error) {
	if len(data) > limits.MessageBytes {
		return nil, errTooLarge("The messages are larger than " + strconv.Itoa(limits.MessageBytes) + " bytes.")
	}
	if !utf8.Valid(data) || web.TooDeep(data, maxDepth) {
		return nil, errEnvelope()
	}
	all := []json.RawMessage{data}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		if json.Unmarshal(data, &all) != nil {
			return nil, errEnvelope()
		}
	}
	switch {
	case len(all) == 0:
		return nil, errEnvelope()
	case len(all) > limits.Messages:
		return nil, errTooLarge("There are more than " + strconv.Itoa(limits.Messages) + " messages.")
	}
	messages := make([]message, len(all))
	for i, one := range all {
		if err := messages[i].decode(one); err != nil {
			return nil, err
		}
	}
	return messages, nil
}

func errEnvelope() error {
	return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "The body must be one Bayeux message or an array of them, in JSON."}
}

func errTooLarge(text string) error {
	return &cobridge.Error{Code: cobridge.CodeTooLarge, Message: text}
}

func (m *message) decode(data json.RawMessage) error {
	var w wireMessage
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' || json.Unmarshal(data, &w) != nil {
		return errEnvelope()
	}
	if isScalar(w.ID) && len(w.ID) <= maxText {
		m.id = w.ID
	}
	m.channel = textOf(w.Channel)
	m.clientID = ClientID(textOf(w.ClientID))
	if given(w.Data) {
		m.data = w.Data
	}
	m.minimumVersion = textOf(w.MinimumVersion)
	if json.Unmarshal(orNull(w.Connections), &m.connections) != nil {
		m.connections = nil
	}
	var advice struct {
		Timeout *float64 `json:"timeout"`
	}
	if json.Unmarshal(orNull(w.Advice), &advice) == nil {
		m.timeout = advice.Timeout
	}
	m.subscription = w.Subscription
	if len(w.Ext) > 0 && w.Ext[0] == '{' {
		m.ext = w.Ext
		var ext struct {
			Ack json.RawMessage `json:"ack"`
		}
		if json.Unmarshal(w.Ext, &ext) == nil {
			m.ack = ext.Ack
		}
	}
	return nil
}

// isScalar tells a JSON string or number.
func isScalar(v json.RawMessage) bool {
	return len(v) > 0 && (v[0] == '"' || v[0] == '-' || v[0] >= '0' && v[0] <= '9')
}

func given(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" }

func orNull(v json.RawMessage) []byte {
	if len(v) == 0 {
		return []byte("null")
	}
	return v
}

// textOf returns the string in v, "" for anything else and for a longer one.
func textOf(v json.RawMessage) string {
	var text string
	if len(v) == 0 || v[0] != '"' || len(v) > 6*maxText+2 || json.Unmarshal(v, &text) != nil || len(text) > maxText {
		return ""
	}
	return text
}

// subscriptions returns the channels that a subscription names: a string, or an
// array of them. ok is false for anything else.
func (m *message) subscriptions(limit int) (channels []string, ok bool) {
	if one := textOf(m.subscription); one != "" {
		return []string{one}, true
	}
	if json.Unmarshal(orNull(m.subscription), &channels) != nil || len(channels) == 0 || len(channels) > limit {
		return nil, false
	}
	return channels, true
}

// ackEnabled tells whether a handshake asks for the ack extension.
func (m *message) ackEnabled() bool { return string(m.ack) == "true" }

// acked returns the latest batch that a connect says has come.
func (m *message) acked() (batch uint64, ok bool) {
	n, err := strconv.ParseUint(string(m.ack), 10, 64)
	return n, err == nil
}

// hold returns how long a connect may wait for its answer.
func (m *message) hold(longest time.Duration) time.Duration {
	if m.timeout == nil || *m.timeout >= float64(longest.Milliseconds()) {
		return longest
	}
	return max(0, time.Duration(*m.timeout*float64(time.Millisecond)))
}

// isChannel tells whether a name is one of a single channel: segments of letters,
// digits and some marks, each after a slash
// (https://docs.cometd.org/current9/reference/#_bayeux_channels).
func isChannel(name string) bool {
	if len(name) < 2 || len(name) > maxText || name[0] != '/' {
		return false
	}
	for segment := range strings.SplitSeq(name[1:], "/") {
		if segment == "" || strings.Trim(segment, channelAlphabet) != "" {
			return false
		}
	}
	return true
}

const channelAlphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_!~()$@.+"

// isPattern tells whether a name is one of a channel or of several: those one
// level below ("/a/*") or at any level below ("/a/**").
func isPattern(name string) bool {
	for _, glob := range []string{"/**", "/*"} {
		if parent, ok := strings.CutSuffix(name, glob); ok {
			return len(name) <= maxText && (parent == "" || isChannel(parent))
		}
	}
	return isChannel(name)
}

// patternsOf returns the names under which a channel can be subscribed to.
func patternsOf(channel string) []string {
	names := []string{channel}
	for end := strings.LastIndexByte(channel, '/'); end >= 0; end = strings.LastIndexByte(channel[:end], '/') {
		if len(names) == 1 {
			names = append(names, channel[:end]+"/*")
		}
		names = append(names, channel[:end]+"/**")
	}
	return names
}

// reply is the answer to a message. It has successful and never data: that is
// how clients tell it from an event, some by the one and some by the other.
type reply struct {
	ID             json.RawMessage `json:"id,omitempty"`
	Channel        string          `json:"channel,omitempty"`
	Successful     bool            `json:"successful"`
	Version        string          `json:"version,omitempty"`
	MinimumVersion string          `json:"minimumVersion,omitempty"`
	ClientID       ClientID        `json:"clientId,omitempty"`
	Connections    []Transport     `json:"supportedConnectionTypes,omitempty"`
	Subscription   json.RawMessage `json:"subscription,omitempty"`
	Error          string          `json:"error,omitempty"`
	Advice         *wireAdvice     `json:"advice,omitempty"`
	Ext            *wireExt        `json:"ext,omitempty"`
}

// event is what an application sends. It has data and never successful.
type event struct {
	ID      json.RawMessage `json:"id,omitempty"`
	Channel string          `json:"channel"`
	Data    json.RawMessage `json:"data"`
}

// wireAdvice always has all its members: clients replace the whole of what they
// were advised before.
type wireAdvice struct {
	Reconnect   string `json:"reconnect"` // retry, handshake or none
	Interval    int64  `json:"interval"`  // milliseconds, as the others
	Timeout     int64  `json:"timeout"`
	MaxInterval int64  `json:"maxInterval"`
}

type wireExt struct {
	Ack any `json:"ack"` // the number of a batch; in a handshake {"enabled":true}
}

// encode makes the JSON of a reply; nothing in it can fail to be encoded.
func (r *reply) encode() []byte {
	text, err := json.Marshal(r)
	if err != nil {
		return []byte(`{"successful":false,"error":"500::Internal error"}`)
	}
	return text
}

// encodeEvent makes the JSON of an event. It fails when data cannot be encoded.
func encodeEvent(id json.RawMessage, channel string, data any) ([]byte, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(event{ID: id, Channel: channel, Data: raw})
}

// join makes the array of what was encoded.
func join(messages [][]byte) []byte {
	size := 2
	for _, m := range messages {
		size += len(m) + 1
	}
	text := append(make([]byte, 0, size), '[')
	for i, m := range messages {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, m...)
	}
	return append(text, ']')
}
