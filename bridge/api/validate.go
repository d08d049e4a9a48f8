package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"go.yaml.in/yaml/v3"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
)

// The schemas of request bodies in docs/openapi.yaml.
const (
	schemaConversation = "CreateConversationRequest"
	schemaAttributes   = "AttributesRequest"
	schemaSession      = "CreateSessionRequest"
	schemaPatch        = "PatchSessionRequest"
	schemaInvite       = "Invite"
	schemaAttach       = "AttachRequest"
	schemaStart        = "StartRequest"
	schemaJoin         = "JoinRequest"
	schemaDeployment   = "DeploymentRequest"
	schemaRecord       = "HistoryRecordRequest"
	schemaWebhook      = "WebhookRequest"
	schemaReplay       = "ReplayRequest"

	schemaCobrowse         = "CobrowseConversationRequest"
	schemaMediaParticipant = "MediaParticipantRequest"
	schemaCommunication    = "CommunicationRequest"
	schemaTransfer         = "TransferRequest"
	schemaRecording        = "RecordingStateRequest"
)

var requestSchemas = []string{
	schemaConversation, schemaAttributes, schemaSession, schemaPatch, schemaInvite, schemaAttach, schemaStart, schemaJoin, schemaDeployment,
	schemaRecord, schemaCobrowse, schemaMediaParticipant, schemaCommunication, schemaTransfer, schemaRecording,
	schemaWebhook, schemaReplay,
}

// schemas checks request bodies. They are compiled when the first body comes: it
// takes some ten milliseconds that a start should not wait for.
type schemas struct {
	load    func() (map[string]*jsonschema.Schema, error)
	members sync.Map // reflect.Type -> []bodyMember
}

// bodyMember is a field that a body is read into.
type bodyMember struct {
	name string
	kind reflect.Type
}

// membersOf returns the fields of a struct, those of embedded ones too. To find them
// takes longer than the rest of dropOtherCase.
func (s *schemas) membersOf(t reflect.Type) []bodyMember {
	if known, ok := s.members.Load(t); ok {
		return known.([]bodyMember) //nolint:forcetypeassert // nothing else is in it
	}
	var members []bodyMember
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		members = append(members, bodyMember{name, field.Type})
	}
	s.members.Store(t, members)
	return members
}

func newSchemas(document []byte) *schemas {
	return &schemas{load: sync.OnceValues(func() (map[string]*jsonschema.Schema, error) { return compile(document) })}
}

func compile(document []byte) (map[string]*jsonschema.Schema, error) {
	var doc struct {
		Components struct {
			Schemas map[string]any `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("read request schemas: %w", err)
	}
	const address = "mem:///openapi.json"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	if err := compiler.AddResource(address, map[string]any{"components": map[string]any{"schemas": doc.Components.Schemas}}); err != nil {
		return nil, fmt.Errorf("read request schemas: %w", err)
	}
	compiled := make(map[string]*jsonschema.Schema, len(requestSchemas))
	for _, name := range requestSchemas {
		schema, err := compiler.Compile(address + "#/components/schemas/" + name)
		if err != nil {
			return nil, fmt.Errorf("compile request schema %s: %w", name, err)
		}
		compiled[name] = schema
	}
	return compiled, nil
}

// decode reads the body into v after it was checked against a schema. A body that
// breaks rules fails with CodeConstraintValidation and one Detail per problem, and v
// has as much of it as could be read; otherwise it fails as web.Decode does.
func (a *api) decode(c *fiber.Ctx, schema string, v any) error {
	return a.decodeLimit(c, schema, v, web.DefaultBodyLimit)
}

// decodeLimit is decode with another limit of the body, in bytes.
func (a *api) decodeLimit(c *fiber.Ctx, schema string, v any, limit int) error {
	// Numbers become float64 on purpose: all of ours are small, and an exact 1e999999 costs megabytes.
	var instance map[string]any
	if err := web.DecodeLimit(c, &instance, limit); err != nil {
		return err
	}
	compiled, err := a.schemas.load()
	if err != nil {
		return err
	}
	broken := compiled[schema].Validate(instance)
	body := c.Request().Body()
	if a.schemas.dropOtherCase(instance, reflect.TypeOf(v)) {
		if body, err = json.Marshal(instance); err != nil {
			return fmt.Errorf("encode body: %w", err)
		}
	}
	unread := json.Unmarshal(body, v)
	if failed, ok := errors.AsType[*jsonschema.ValidationError](broken); ok {
		return brokenRules(failed, instance)
	}
	if broken != nil {
		return fmt.Errorf("check body: %w", broken)
	}
	if unread != nil {
		return unreadable()
	}
	return nil
}

// together adds to the problems that the schema found those that the rules of the
// domain find in what could be read: a caller shall see all of them at once. What
// lies at or below a place that has a problem already is a consequence of it.
func together(bySchema, byRules error) error {
	first, ok := asFailure(bySchema)
	second, also := asFailure(byRules)
	if !ok || first.Code != cobridge.CodeConstraintValidation || !also || second.Code != cobridge.CodeConstraintValidation {
		return bySchema
	}
	all := *first
	all.Details = slices.Clone(first.Details)
	for _, d := range second.Details {
		if len(all.Details) < maxProblems && !slices.ContainsFunc(first.Details, func(known cobridge.Detail) bool {
			rest, below := strings.CutPrefix(d.FieldName, known.FieldName)
			return below && (rest == "" || rest[0] == '.' || rest[0] == '[')
		}) {
			all.Details = append(all.Details, d)
		}
	}
	return &all
}

// dropOtherCase removes the members of a body that have the name of one of t's
// fields in another case, and reports whether there were any. To the schema they
// are unknown, but Go's decoder would take them, with whatever they hold.
func (s *schemas) dropOtherCase(value any, t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	dropped := false
	switch at := value.(type) {
	case []any:
		for _, item := range at {
			if t.Kind() == reflect.Slice {
				dropped = s.dropOtherCase(item, t.Elem()) || dropped
			}
		}
	case map[string]any:
		if t.Kind() != reflect.Struct {
			break
		}
		for name, member := range at {
			for _, field := range s.membersOf(t) {
				switch {
				case name == field.name:
					dropped = s.dropOtherCase(member, field.kind) || dropped
				case strings.EqualFold(name, field.name):
					delete(at, name)
					dropped = true
				}
			}
		}
	}
	return dropped
}

func unreadable() error {
	return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: "A value in the body has the wrong form."}
}

// problem is one broken rule.
type problem struct{ field, code, rule string }

// maxProblems is how many problems one answer lists.
const maxProblems = 50

// brokenRules turns the leaves of a validation error into one failure.
func brokenRules(failed *jsonschema.ValidationError, instance any) error {
	var found []problem
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		for _, cause := range e.Causes {
			walk(cause)
		}
		if len(e.Causes) == 0 {
			found = append(found, problemsOf(e, fieldPath(e.InstanceLocation, instance))...)
		}
	}
	walk(failed)
	slices.SortFunc(found, func(a, b problem) int {
		if a.field != b.field {
			return strings.Compare(a.field, b.field)
		}
		return strings.Compare(a.code, b.code)
	})
	found = slices.Compact(found)
	if len(found) > maxProblems {
		found = found[:maxProblems]
	}
	details := make([]cobridge.Detail, len(found))
	texts := make([]string, 0, len(found))
	for i, p := range found {
		details[i] = cobridge.Detail{ErrorCode: p.code, FieldName: p.field}
		texts = append(texts, strings.TrimSpace(p.field+" "+p.rule))
	}
	const shown = 5 // in the text; the details have them all
	if len(texts) > shown {
		texts = append(texts[:shown], "and more")
	}
	return &cobridge.Error{
		Code: cobridge.CodeConstraintValidation, Message: "The request breaks a rule: " + strings.Join(texts, "; ") + ".", Details: details,
	}
}

// problemsOf says what is wrong at one place. A missing member is a problem of its own place.
func problemsOf(e *jsonschema.ValidationError, field string) []problem {
	one := func(code, rule string) []problem { return []problem{{field, code, rule}} }
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		missing := make([]problem, len(k.Missing))
		for i, name := range k.Missing {
			missing[i] = problem{member(field, name), "required", "is missing"}
		}
		return missing
	case *kind.Type:
		return one("type", "must be "+strings.Join(inWords(k.Want), " or "))
	case *kind.Enum:
		return one("unknown", "must be one of "+values(k.Want))
	case *kind.Const:
		return one("unknown", "must be "+values([]any{k.Want}))
	case *kind.FalseSchema:
		return one("not.allowed", "is not allowed here")
	case *kind.Minimum:
		return one("range", "must be at least "+k.Want.RatString())
	case *kind.Maximum:
		return one("range", "must be at most "+k.Want.RatString())
	case *kind.MinLength:
		if k.Got == 0 {
			return one("required", "must not be empty")
		}
		return one("too.short", "must have at least "+strconv.Itoa(k.Want)+" characters")
	case *kind.MaxLength:
		return one("too.long", "must have at most "+strconv.Itoa(k.Want)+" characters")
	case *kind.MinItems:
		return one("size", "must have at least "+counted(k.Want))
	case *kind.MaxItems:
		return one("size", "must have at most "+counted(k.Want))
	case *kind.MaxProperties:
		return one("size", "must have at most "+strconv.Itoa(k.Want)+" members")
	case *kind.UniqueItems:
		return one("duplicate", "must not have an entry twice")
	case *kind.Pattern, *kind.Format:
		return one("format", "has the wrong form")
	default:
		return one("invalid.value", "has a value that is not allowed")
	}
}

// inWords puts an article before the names of JSON Schema's types.
func inWords(types []string) []string {
	words := make([]string, len(types))
	for i, name := range types {
		switch name {
		case "null":
			words[i] = name
		case "boolean":
			words[i] = "true or false"
		case "array", "integer", "object":
			words[i] = "an " + name
		default:
			words[i] = "a " + name
		}
	}
	return words
}

func values(allowed []any) string {
	words := make([]string, len(allowed))
	for i, v := range allowed {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, ", ")
}

// fieldPath writes a location in the body as "participants[1].role".
func fieldPath(location []string, instance any) string {
	field := ""
	for _, token := range location {
		switch at := instance.(type) {
		case []any:
			field += "[" + token + "]"
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(at) {
				instance = at[i]
			}
		case map[string]any:
			field = member(field, token)
			instance = at[token]
		}
	}
	return field
}

// maxName cuts names of a caller's own that are repeated in an answer, in bytes.
const maxName = 128

func member(field, name string) string {
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "..."
	}
	if field == "" {
		return name
	}
	return field + "." + name
}

// counted returns a number of entries in words.
func counted(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.Itoa(n) + " entries"
}
