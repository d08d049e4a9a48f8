package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// envelope mirrors ErrorBody in https://github.com/MyPureCloud/platform-client-sdk-go.
type envelope struct {
	Message       string            `json:"message"`
	Code          cobridge.Code     `json:"code"`
	Status        int               `json:"status"`
	MessageParams map[string]string `json:"messageParams,omitempty"`
	ContextID     string            `json:"contextId"` // the same id is in every log line of the request
	EntityID      string            `json:"entityId,omitempty"`
	EntityName    string            `json:"entityName,omitempty"`
	Details       []detail          `json:"details"` // never null
	Errors        []envelope        `json:"errors"`  // never null; nothing here has failures below failures
}

type detail struct {
	ErrorCode  string `json:"errorCode,omitempty"`
	FieldName  string `json:"fieldName,omitempty"`
	EntityID   string `json:"entityId,omitempty"`
	EntityName string `json:"entityName,omitempty"`
}

// envelopeMembers are the names that additions must not take.
var envelopeMembers = []string{"message", "code", "status", "messageParams", "contextId", "entityId", "entityName", "details", "errors"}

// writeEnvelope is the dialect of everything that has no dialect of its own.
func writeEnvelope(c *fiber.Ctx, f Failure) error {
	body, err := encodeEnvelope(f)
	if err != nil {
		return err
	}
	if challenge := challengeOf(f); challenge != "" {
		c.Set(fiber.HeaderWWWAuthenticate, challenge)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(body)
	return nil
}

// challengeOf returns what RFC 6750, section 3, wants to stand beside a 401.
func challengeOf(f Failure) string {
	switch {
	case f.Status != fiber.StatusUnauthorized:
		return ""
	case f.Code == cobridge.CodeBadCredentials:
		return `Bearer realm="cobridge", error="invalid_token"`
	default:
		return `Bearer realm="cobridge"`
	}
}

func encodeEnvelope(f Failure) ([]byte, error) {
	out := envelope{
		Message: f.Message, Code: f.Code, Status: f.Status, MessageParams: f.Params, ContextID: f.ContextID,
		EntityID: f.EntityID, EntityName: f.EntityName,
		Details: make([]detail, len(f.Details)), Errors: []envelope{},
	}
	for i, d := range f.Details {
		out.Details[i] = detail(d)
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode error answer: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Members)) {
		if slices.Contains(envelopeMembers, name) {
			continue
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, fmt.Errorf("encode error answer: %w", err)
		}
		value, err := json.Marshal(f.Members[name])
		if err != nil {
			return nil, fmt.Errorf("encode error answer: %w", err)
		}
		body = append(body[:len(body)-1], ',')
		body = append(append(append(append(body, key...), ':'), value...), '}')
	}
	return body, nil
}
