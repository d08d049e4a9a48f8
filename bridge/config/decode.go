package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// decode copies what the layers hold into a section, key by key, and says
// everything that does not fit with its whole path. (koanf's own decoder stops at
// levels, and names the key that it does not know without its path.)
func decode(raw any, into reflect.Value, path string, found *problems) {
	switch {
	case raw == nil: // a key without a value: as if it were not there
	case isSection(into.Type()):
		decodeSection(raw, into, path, found)
	case into.Type() == reflect.TypeFor[time.Duration]():
		decodeDuration(raw, into, path, found)
	case into.Kind() == reflect.Slice:
		decodeList(raw, into, path, found)
	case into.Kind() == reflect.Map:
		decodeMap(raw, into, path, found)
	default:
		decodeScalar(raw, into, path, found)
	}
}

func decodeSection(raw any, into reflect.Value, path string, found *problems) {
	section, ok := raw.(map[string]any)
	if !ok {
		found.add(path, "%s, want a section with keys", show(raw, into.Type()))
		return
	}
	known := map[string]reflect.Value{}
	for i := range into.NumField() {
		if key := keyOf(into.Type().Field(i)); key != "" {
			known[key] = into.Field(i)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(section)) {
		field, ok := known[key]
		if !ok {
			found.add(join(path, key), "unknown key%s", hint(key, known))
			continue
		}
		decode(section[key], field, join(path, key), found)
	}
}

// hint names the key that was probably meant.
func hint(key string, known map[string]reflect.Value) string {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s))
	}
	for _, k := range slices.Sorted(maps.Keys(known)) {
		if plain(k) == plain(key) {
			return "; did you mean " + k + "?"
		}
	}
	return ""
}

func decodeDuration(raw any, into reflect.Value, path string, found *problems) {
	text, ok := raw.(string)
	if !ok {
		found.add(path, "%s, want a duration with its unit, such as 90s, 15m or 14d", show(raw, into.Type()))
		return
	}
	d, err := parseDuration(text)
	if err != nil {
		found.add(path, "%q, want a duration such as 90s, 15m or 14d", text)
		return
	}
	into.SetInt(int64(d))
}

func decodeList(raw any, into reflect.Value, path string, found *problems) {
	list, ok := raw.([]any)
	if !ok {
		found.add(path, "%s, want a list", show(raw, into.Type()))
		return
	}
	made := reflect.MakeSlice(into.Type(), len(list), len(list))
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item == nil {
			found.add(at, "empty")
			continue
		}
		decode(item, made.Index(i), at, found)
	}
	into.Set(made)
}

func decodeMap(raw any, into reflect.Value, path string, found *problems) {
	section, ok := raw.(map[string]any)
	if !ok {
		found.add(path, "%s, want keys with texts", show(raw, into.Type()))
		return
	}
	made := reflect.MakeMap(into.Type())
	for _, key := range slices.Sorted(maps.Keys(section)) {
		text, ok := section[key].(string)
		if !ok {
			found.add(join(path, key), "%s, want a text in quotes", show(section[key], into.Type()))
			continue
		}
		made.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(text))
	}
	into.Set(made)
}

func decodeScalar(raw any, into reflect.Value, path string, found *problems) {
	switch value := raw.(type) {
	case string:
		if into.Kind() == reflect.String {
			into.SetString(value)
			return
		}
	case bool:
		if into.Kind() == reflect.Bool {
			into.SetBool(value)
			return
		}
	case int:
		if into.Kind() == reflect.Int {
			into.SetInt(int64(value))
			return
		}
	}
	want := map[reflect.Kind]string{reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number"}[into.Kind()]
	if into.Kind() == reflect.String {
		want += "; put it in quotes"
	}
	found.add(path, "%s, want %s", show(raw, into.Type()), want)
}

// show writes a value that does not fit, unless it could be a secret.
func show(raw any, wanted reflect.Type) string {
	if wanted == reflect.TypeFor[Secret]() {
		return hidden
	}
	switch raw.(type) {
	case map[string]any:
		return "a section"
	case []any:
		return "a list"
	case string:
		return fmt.Sprintf("%q", raw)
	default:
		return fmt.Sprint(raw)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// typed turns the text of an environment variable or a flag into what the file
// would have there. Text that does not fit stays text, and decode complains.
func typed(text string, t reflect.Type) any {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return text
	case t.Kind() == reflect.Bool:
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	case t.Kind() == reflect.Int:
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	case t.Kind() == reflect.Slice:
		list := []any{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		return list
	}
	return text
}
