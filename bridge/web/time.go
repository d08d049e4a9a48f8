package web

import (
	"encoding/json"
	"errors"
	"reflect"
	"time"
)

// timeLayout has a literal Z: the Go SDK of Genesys Cloud silently reads every
// other way to write the zone as the year 1.
const timeLayout = "2006-01-02T15:04:05.000Z"

// Time is an instant on the wire: UTC with milliseconds and a Z, such as
// "2026-03-04T05:06:07.089Z". Optional ones are left out with the tag omitzero.
type Time time.Time

// FormatTime returns t as it stands on the wire.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// String returns t as it stands on the wire.
func (t Time) String() string { return FormatTime(time.Time(t)) }

// IsZero tells whether t is the zero instant, which encoding/json leaves out
// where a field says omitzero.
func (t Time) IsZero() bool { return time.Time(t).IsZero() }

// MarshalJSON implements [json.Marshaler]. It fails for years after 9999.
func (t Time) MarshalJSON() ([]byte, error) {
	if year := time.Time(t).UTC().Year(); year < 0 || year > 9999 {
		return nil, errors.New("encode time: the year is outside of 0..9999")
	}
	return []byte(`"` + t.String() + `"`), nil
}

// UnmarshalJSON implements [json.Unmarshaler]. It reads any form of RFC 3339.
func (t *Time) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil {
			*t = Time(at.UTC())
			return nil
		}
	}
	// This kind of error gets the name of the field from the decoder.
	return &json.UnmarshalTypeError{Value: "value", Type: reflect.TypeFor[Time]()}
}
