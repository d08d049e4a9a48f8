package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
)

// HasBody tells whether the request brings a body. Clients send
// "Content-Type: application/json" with requests that have none, so a call with
// an optional body asks this first.
func HasBody(c *fiber.Ctx) bool {
	return len(c.Request().Body()) > 0
}

// Decode reads the body, one JSON object of at most [DefaultBodyLimit] bytes,
// into v. It fails with
//   - CodeUnsupportedMediaType: a body that is not application/json in UTF-8, or is compressed;
//   - CodeTooLarge: a body past the limit;
//   - CodeBadRequest: no body, broken JSON or UTF-8, more than 64 levels, another
//     kind of value than an object, anything after it; and a member of the wrong
//     type, which a Detail names by its path in the body, such as "participants[1].role".
//
// Members that v does not have are ignored; of a repeated member the last counts.
// When it fails, v may be filled in part.
func Decode(c *fiber.Ctx, v any) error {
	return DecodeLimit(c, v, DefaultBodyLimit)
}

// DecodeLimit is [Decode] with another limit in bytes. Limits above the one of
// the whole server have no effect.
func DecodeLimit(c *fiber.Ctx, v any, limit int) error {
	return decodeBody(c, v, limit, object)
}

// DecodeArray is [DecodeLimit] for a body that is one JSON array.
func DecodeArray(c *fiber.Ctx, v any, limit int) error {
	return decodeBody(c, v, limit, array)
}

// shape is the kind of value that a body must be.
type shape struct {
	opens byte
	name  string
}

var (
	object = shape{'{', "object"}
	array  = shape{'[', "array"}
)

func decodeBody(c *fiber.Ctx, v any, limit int, want shape) error {
	// Not c.Body(): that would unpack a compressed body, however large it becomes.
	body := c.Request().Body()
	if len(body) == 0 {
		return badBody("The request needs a JSON " + want.name + " as its body.")
	}
	if !isJSON(c) {
		return &cobridge.Error{Code: cobridge.CodeUnsupportedMediaType}
	}
	if len(body) > limit {
		return &cobridge.Error{
			Code: cobridge.CodeTooLarge, Message: "The body is larger than " + strconv.Itoa(limit) + " bytes.",
			Params: map[string]string{"limit": strconv.Itoa(limit)},
		}
	}
	return decodeJSON(body, v, want)
}

// isJSON judges the two headers that say what a body is.
func isJSON(c *fiber.Ctx) bool {
	if coding := c.Get(fiber.HeaderContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	kind, params, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err != nil || kind != fiber.MIMEApplicationJSON {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// decodeJSON is the one place that reads JSON of a caller.
func decodeJSON(body []byte, v any, want shape) error {
	if !utf8.Valid(body) {
		return badBody("The body is not UTF-8.")
	}
	if TooDeep(body, maxDepth) {
		return badBody("The body nests more than " + strconv.Itoa(maxDepth) + " levels deep.")
	}
	if start := bytes.TrimLeft(body, " \t\r\n"); len(start) == 0 || start[0] != want.opens {
		return badBody("The body must be one JSON " + want.name + ".")
	}
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := fieldAt(body, wrong)
		return &cobridge.Error{
			Code: cobridge.CodeBadRequest, Message: "The field " + field + " must be " + expected(wrong.Type) + ".",
			Details: []cobridge.Detail{{ErrorCode: "invalid.value", FieldName: field}},
		}
	}
	if e, ok := errors.AsType[*cobridge.Error](err); ok { // a type of ours that decodes itself
		return e
	}
	if broken, ok := errors.AsType[*json.SyntaxError](err); ok {
		return badBody("The body is not valid JSON, near byte " + strconv.FormatInt(broken.Offset, 10) + ".")
	}
	return badBody("A value in the body has the wrong form.")
}

func badBody(message string) error {
	return &cobridge.Error{Code: cobridge.CodeBadRequest, Message: message}
}

// TooDeep reports whether JSON has more than the given number of levels. It counts
// brackets outside of strings, before a decoder recurses into them; what it says
// of broken JSON does not matter.
func TooDeep(data []byte, levels int) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch b := data[i]; {
		case inString && b == '\\':
			i++
		case b == '"':
			inString = !inString
		case inString:
		case b == '{' || b == '[':
			if depth++; depth > levels {
				return true
			}
		case b == '}' || b == ']':
			depth--
		}
	}
	return false
}

// fieldAt returns the path of the value that err is about. The decoder knows
// names but no positions in arrays, so the body is read again up to the place.
func fieldAt(body []byte, err *json.UnmarshalTypeError) string {
	type level struct {
		array bool
		index int    // in an array: of the current element
		name  string // in an object: of the current member
		value bool   // in an object: the name was read, its value comes next
	}
	var path []level
	dec := json.NewDecoder(bytes.NewReader(body))
	for err.Offset > 0 {
		token, e := dec.Token()
		if e != nil {
			break
		}
		top := len(path) - 1
		if top >= 0 && !path[top].array && !path[top].value {
			if name, ok := token.(string); ok {
				path[top].name, path[top].value = name, true
				continue
			}
		}
		closing := token == json.Delim('}') || token == json.Delim(']')
		if !closing && dec.InputOffset() >= err.Offset {
			var field strings.Builder
			for i, l := range path {
				switch {
				case l.array:
					field.WriteString("[" + strconv.Itoa(l.index) + "]")
				case i > 0:
					field.WriteString("." + l.name)
				default:
					field.WriteString(l.name)
				}
			}
			return cut(field.String())
		}
		switch token {
		case json.Delim('{'):
			path = append(path, level{})
			continue
		case json.Delim('['):
			path = append(path, level{array: true})
			continue
		case json.Delim('}'), json.Delim(']'):
			path = path[:top]
			top--
		}
		if top >= 0 { // a value of this level is complete
			path[top].value = false
			path[top].index++
		}
	}
	return cut(err.Field)
}

// cut keeps a caller's own text from filling the answer.
func cut(name string) string {
	if len(name) <= maxFieldName {
		return name
	}
	return strings.ToValidUTF8(name[:maxFieldName], "") + "..."
}

// expected says in the words of JSON what a field should have been.
func expected(t reflect.Type) string {
	if t == nil {
		return "another value"
	}
	if t == reflect.TypeFor[Time]() {
		return "a date-time such as 2026-03-04T05:06:07.089Z"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return expected(t.Elem())
	default:
		return "another value"
	}
}
