package config

import (
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Field describes one key of the configuration.
type Field struct {
	Path    string // dotted, lower camel case; [] after a list: organisations[].users[].id
	Env     string // COBRIDGE_..., empty where only the file can set it
	Flag    string // without the dashes; empty where there is none
	Type    string // text, number, yes/no, duration, list, map, secret or section
	Default string // as it would be written in the file; empty for none
	Doc     string
}

// Fields returns every key in the order of [Config], those inside of lists too.
// A key's words, cut at dots and capitals, make the names of its environment
// variable and its flag: join.tokenLifetime, COBRIDGE_JOIN_TOKEN_LIFETIME,
// --join-token-lifetime.
func Fields() []Field {
	var all []Field
	walk(reflect.ValueOf(Default()), "", false, func(f Field, _ reflect.Type) { all = append(all, f) })
	return all
}

// walk visits the keys of a section. Inside of lists there are neither flags nor
// variables.
func walk(section reflect.Value, prefix string, inList bool, visit func(Field, reflect.Type)) {
	t := section.Type()
	for i := range t.NumField() {
		key := keyOf(t.Field(i))
		if key == "" {
			continue
		}
		value, doc := section.Field(i), t.Field(i).Tag.Get("doc")
		path := prefix + key
		switch {
		case isSection(value.Type()):
			walk(value, path+".", inList, visit)
		case value.Kind() == reflect.Slice && isSection(value.Type().Elem()):
			visit(Field{Path: path, Type: "list of sections", Doc: doc}, value.Type())
			walk(reflect.New(value.Type().Elem()).Elem(), path+"[].", true, visit)
		default:
			f := Field{Path: path, Type: typeName(value.Type()), Doc: doc}
			if !inList {
				words := strings.Join(strings.FieldsFunc(snake(path), func(r rune) bool { return r == '.' || r == '_' }), "_")
				f.Env = envPrefix + strings.ToUpper(words)
				f.Flag = strings.ReplaceAll(words, "_", "-")
				f.Default = defaultText(value)
			}
			visit(f, value.Type())
		}
	}
}

// keyOf returns the key of a struct field, "" if it has none.
func keyOf(f reflect.StructField) string {
	key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if key == "-" {
		return ""
	}
	return key
}

func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]()
}

// snake cuts lower camel case into words: baseUrl, base_url.
func snake(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[Secret]():
		return "secret"
	case t.Kind() == reflect.Bool:
		return "yes/no"
	case t.Kind() == reflect.Int:
		return "number"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map:
		return "map"
	default:
		return "text"
	}
}
