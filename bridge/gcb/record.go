package gcb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

// recordBody is what the server says of a session (History REST, 8.5 and 9.0).
// Members that nobody documented are ignored; of those that are, null is absent.
type recordBody struct {
	ID               string     `json:"id"`
	SessionToken     string     `json:"sessionToken"`
	CreationTime     int64      `json:"creationTime"`
	ActivationTime   int64      `json:"activationTime"`   // 0 = never
	DeactivationTime int64      `json:"deactivationTime"` // 0 = it lives
	Pages            []pageBody `json:"pages"`
}

type pageBody struct {
	URL              string `json:"url"`
	EnteredTimestamp int64  `json:"enteredTimestamp"` // milliseconds
	Duration         *int64 `json:"duration"`         // whole seconds; absent on the last page of a session that lives
}

// liveBody is what the server says of a live session (Realtime REST).
type liveBody struct {
	SessionToken      string `json:"sessionToken"`
	SessionServerName string `json:"sessionServerName"`
	SessionServerURL  string `json:"sessionServerUrl"`
}

const (
	// maxMoment is the end of the year 9999 in milliseconds: later times cannot be written.
	maxMoment = 253402300799999
	// maxShown is the longest time for which a page can have been shown, in seconds.
	maxShown = 366 * 24 * 60 * 60

	maxServerName = 256  // bytes
	maxServerURL  = 2048 // bytes
)

var uuidPattern = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func isUUID(text string) bool { return uuidPattern.MatchString(text) }

// parseRecord reads an answer about one session.
func parseRecord(body []byte, id cobrowse.SessionID) (cobrowse.Session, error) {
	var in recordBody
	if err := decode(body, &in); err != nil {
		return cobrowse.Session{}, err
	}
	if !strings.EqualFold(in.ID, string(id)) {
		return cobrowse.Session{}, otherID(in.ID == "")
	}
	s, err := in.session(id)
	if err != nil {
		return cobrowse.Session{}, (&Error{Reason: ReasonBadRecord, Text: err.Error()}).unavailable(0)
	}
	return s, nil
}

func otherID(none bool) error {
	if none {
		return (&Error{Reason: ReasonBadRecord, Text: "it names no session"}).unavailable(0)
	}
	return (&Error{Reason: ReasonOtherID, Text: "it is about another session than was asked for"}).unavailable(0)
}

// session translates a record. Its failures name members, never what is in them.
func (b recordBody) session(id cobrowse.SessionID) (cobrowse.Session, error) {
	if digits, err := cobrowse.ParseSessionToken(b.SessionToken); err != nil || string(digits) != b.SessionToken {
		return cobrowse.Session{}, errors.New("sessionToken does not have nine digits")
	}
	created, activated, ended := moment(b.CreationTime), moment(b.ActivationTime), moment(b.DeactivationTime)
	switch {
	case b.CreationTime <= 0 || b.CreationTime > maxMoment:
		return cobrowse.Session{}, errors.New("creationTime is no time")
	case b.ActivationTime != 0 && (b.ActivationTime < b.CreationTime || b.ActivationTime > maxMoment):
		return cobrowse.Session{}, errors.New("activationTime is before creationTime, or no time")
	case b.DeactivationTime != 0 && (b.DeactivationTime < max(b.CreationTime, b.ActivationTime) || b.DeactivationTime > maxMoment):
		return cobrowse.Session{}, errors.New("deactivationTime is before the times that come first, or no time")
	}
	s := cobrowse.Session{ID: id, Token: cobrowse.SessionToken(b.SessionToken), Legacy: true, CreatedAt: created, ActivatedAt: activated, EndedAt: ended}
	for i, p := range b.Pages {
		if p.EnteredTimestamp <= 0 || p.EnteredTimestamp > maxMoment {
			return cobrowse.Session{}, fmt.Errorf("pages[%d].enteredTimestamp is no time", i)
		}
		if p.Duration != nil && (*p.Duration < 0 || *p.Duration > maxShown) {
			return cobrowse.Session{}, fmt.Errorf("pages[%d].duration is no number of seconds", i)
		}
		visit := cobrowse.PageVisit{EnteredAt: moment(p.EnteredTimestamp)}
		end := ended
		if i+1 < len(b.Pages) {
			end = moment(b.Pages[i+1].EnteredTimestamp)
		}
		visit.LeftAt = left(visit.EnteredAt, activated, end, i == 0, p.Duration)
		// What is no address of the web, an empty page for instance, is nothing that
		// was shown, and no reason to lose the rest.
		if address, err := cobrowse.CleanPageURL(p.URL); err == nil {
			visit.URL = address
			s.Pages = append(s.Pages, visit)
		}
	}
	return s, nil
}

// left returns when a page was left; zero if it is shown. The first page's
// seconds count from the start of the co-browse session.
func left(entered, activated, end time.Time, first bool, seconds *int64) time.Time {
	if seconds == nil {
		return end
	}
	begin := entered
	if first && !activated.IsZero() {
		begin = activated
	}
	if at := cobrowse.PageLeft(begin, end, *seconds); at.After(entered) {
		return at
	}
	return entered
}

// moment reads milliseconds since 1970; zero for 0.
func moment(milli int64) time.Time {
	if milli == 0 {
		return time.Time{}
	}
	return time.UnixMilli(milli).UTC()
}

// parseLive reads an answer about a live session.
func parseLive(body []byte, token cobrowse.SessionToken, base string) (cobrowse.RemoteLive, error) {
	var in liveBody
	if err := decode(body, &in); err != nil {
		return cobrowse.RemoteLive{}, err
	}
	if in.SessionToken != string(token) {
		return cobrowse.RemoteLive{}, otherID(in.SessionToken == "")
	}
	if in.SessionServerURL == "" {
		in.SessionServerURL = base
	}
	u, err := url.Parse(in.SessionServerURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(in.SessionServerURL) > maxServerURL || len(in.SessionServerName) > maxServerName {
		return cobrowse.RemoteLive{}, (&Error{Reason: ReasonBadRecord, Text: "sessionServerUrl or sessionServerName is none"}).unavailable(0)
	}
	return cobrowse.RemoteLive{Token: token, ServerName: in.SessionServerName, ServerURL: in.SessionServerURL}, nil
}

// decode reads one JSON object.
func decode(body []byte, v any) error {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if !bytes.HasPrefix(body, []byte("{")) {
		return (&Error{Reason: ReasonNotJSON, Text: "not a JSON object"}).unavailable(0)
	}
	err := json.Unmarshal(body, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return (&Error{Reason: ReasonBadRecord, Text: wrong.Field + " is not of type " + wrong.Type.String()}).unavailable(0)
	}
	if err != nil {
		return (&Error{Reason: ReasonNotJSON, Text: "broken JSON"}).unavailable(0)
	}
	return nil
}
