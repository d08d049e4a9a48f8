//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// The CometD surface of the old product.
const (
	cometdPath = "/cobrowse/cometd"

	metaHandshake    = "/meta/handshake"
	metaConnect      = "/meta/connect"
	channelCreate    = "/service/session/create"
	channelJoin      = "/service/session/join"
	channelStop      = "/service/session/stop"
	channelActivated = "/service/session/activated"

	roleCustomer   = 1
	roleAgent      = 2
	roleController = 3

	cometBuffer = 4 << 10 // bytes, of each connection for reading
)

// bayeuxMessage is what a Bayeux server says, as far as it is needed here.
type bayeuxMessage struct {
	Channel    string          `json:"channel"`
	Successful *bool           `json:"successful"` // of answers; nil = an event
	Error      string          `json:"error"`
	ClientID   string          `json:"clientId"`
	Data       json.RawMessage `json:"data"`
}

// comet is a Bayeux client over a WebSocket. It keeps a connect waiting at the server
// as long as somebody reads.
type comet struct {
	*socket

	id     string // that the server has given it
	number int    // of the last message
	frame  []byte
}

// openComet opens a client. Origin is that of its page; authorization is what it shows
// in place of the header, which scripts cannot set. Either may be "".
func openComet(ctx context.Context, addr, origin, authorization string) (*comet, error) {
	var headers []string
	if origin != "" {
		headers = []string{"Origin: " + origin}
	}
	s, err := dialSocket(ctx, addr, cometdPath, cometBuffer, headers...)
	if err != nil {
		return nil, err
	}
	c := &comet{socket: s}
	if err := c.enter(authorization); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// enter makes the client known, as the clients in browsers do it: a handshake, a connect
// that is answered at once, and one that waits.
func (c *comet) enter(authorization string) error {
	shake := object{"version": "1.0", "supportedConnectionTypes": []string{"websocket"}}
	if authorization != "" {
		shake["ext"] = object{"authorization": authorization}
	}
	if err := c.say(metaHandshake, shake); err != nil {
		return err
	}
	answer, _, err := c.until(metaHandshake)
	if err != nil {
		return err
	}
	c.id = answer.ClientID
	if err := c.say(metaConnect, object{"connectionType": "websocket", "advice": object{"timeout": 0}}); err != nil {
		return err
	}
	_, _, err = c.until(metaConnect) // which sends the next one
	return err
}

// say sends one message.
func (c *comet) say(channel string, members object) error {
	c.number++
	members["id"], members["channel"] = strconv.Itoa(c.number), channel
	if c.id != "" {
		members["clientId"] = c.id
	}
	text, err := json.Marshal([]object{members})
	if err != nil {
		return fmt.Errorf("encode %s: %w", channel, err)
	}
	return c.send(opText, text)
}

// call sends data on a service channel and returns what is answered.
func (c *comet) call(channel string, data object, out any) error {
	if err := c.say(channel, object{"data": data}); err != nil {
		return err
	}
	event, _, err := c.until(channel)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(event.Data, out); err != nil {
		return fmt.Errorf("read what %s says: %w", channel, err)
	}
	return nil
}

// until reads until a message on a channel: the answer on one of the protocol's own, the
// event on any other. It returns when the frame with it had come.
func (c *comet) until(channel string) (bayeuxMessage, time.Time, error) {
	for {
		messages, at, err := c.receive()
		if err != nil {
			return bayeuxMessage{}, at, fmt.Errorf("wait for %s: %w", channel, err)
		}
		for _, m := range messages {
			if m.Successful != nil && !*m.Successful {
				return bayeuxMessage{}, at, fmt.Errorf("%s: the server says %q", m.Channel, m.Error)
			}
			if m.Channel == metaConnect {
				if err := c.say(metaConnect, object{"connectionType": "websocket"}); err != nil {
					return bayeuxMessage{}, at, err
				}
			}
		}
		is := func(m bayeuxMessage) bool {
			return m.Channel == channel && (m.Successful == nil || channel == metaHandshake || channel == metaConnect)
		}
		if i := slices.IndexFunc(messages, is); i >= 0 {
			return messages[i], at, nil
		}
	}
}

// receive reads the next frame with messages and returns when it had come.
func (c *comet) receive() ([]bayeuxMessage, time.Time, error) {
	if err := c.SetReadDeadline(time.Now().Add(hangLimit)); err != nil {
		return nil, time.Time{}, fmt.Errorf("receive: %w", err)
	}
	for {
		op, size, err := c.next()
		if err == nil {
			c.frame = slices.Grow(c.frame[:0], size)[:size]
			_, err = io.ReadFull(c.reader, c.frame)
		}
		at := time.Now()
		if err != nil {
			return nil, at, fmt.Errorf("receive: %w", err)
		}
		switch op {
		case opText:
			var messages []bayeuxMessage
			if err := json.Unmarshal(c.frame, &messages); err != nil {
				return nil, at, fmt.Errorf("read messages: %w", err)
			}
			return messages, at, nil
		case opPing:
			if err := c.send(opPong, c.frame); err != nil {
				return nil, at, err
			}
		case opClose:
			return nil, at, fmt.Errorf("%w: %q", errClosedByServer, c.frame)
		}
	}
}

// joinedComet is the answer to a join.
type joinedComet struct {
	UserToken        string `json:"userToken"`
	SessionHistoryID string `json:"sessionHistoryId"`
}

// join joins the session with these nine digits.
func (c *comet) join(digits string, role int) (joinedComet, error) {
	var in joinedComet
	err := c.call(channelJoin, joining(digits, role), &in)
	return in, err
}

func joining(digits string, role int) object {
	name := map[int]string{roleCustomer: "Kim Customer", roleAgent: "Ada Agent", roleController: "Sam Supervisor"}[role]
	return object{"sessionToken": digits, "role": role, "name": name}
}
