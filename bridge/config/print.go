package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// YAML returns the configuration as a file that [Load] reads again, all keys in
// the order of [Config], with each secret as ***.
func (c Config) YAML() ([]byte, error) {
	c.Store = withoutPasswords(c.Store)
	node, err := encode(reflect.ValueOf(c))
	if err != nil {
		return nil, fmt.Errorf("print configuration: %w", err)
	}
	return yaml.Marshal(node)
}

// withoutPasswords has *** for who connects to a store, and for the query, which may
// have passwords too.
func withoutPasswords(store string) string {
	kind, rest, found := strings.Cut(store, "://")
	if !found {
		return store
	}
	place, _, query := strings.Cut(rest, "?")
	if i := strings.LastIndex(place, "@"); i >= 0 {
		place = "***" + place[i:]
	}
	if query {
		place += "?***"
	}
	return kind + "://" + place
}

// encode differs from yaml's own encoder in durations, which it writes without
// needless zeros.
func encode(v reflect.Value) (*yaml.Node, error) {
	node := &yaml.Node{}
	switch {
	case isSection(v.Type()):
		node.Kind = yaml.MappingNode
		for i := range v.NumField() {
			field := v.Type().Field(i)
			key := keyOf(field)
			if key == "" || v.Field(i).IsZero() && strings.HasSuffix(field.Tag.Get("yaml"), ",omitempty") {
				continue
			}
			value, err := encode(v.Field(i))
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
		}
	case v.Type() == reflect.TypeFor[time.Duration]():
		node.Kind, node.Value = yaml.ScalarNode, formatDuration(time.Duration(v.Int()))
	case v.Kind() == reflect.Slice && v.Len() > 0:
		node.Kind = yaml.SequenceNode
		for i := range v.Len() {
			item, err := encode(v.Index(i))
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, item)
		}
	default:
		if err := node.Encode(v.Interface()); err != nil {
			return nil, err
		}
	}
	return node, nil
}

// defaultText writes a default for docs and help, "" for none.
func defaultText(v reflect.Value) string {
	if list, ok := reflect.TypeAssert[[]string](v); ok {
		return strings.Join(list, ",")
	}
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map || v.Kind() == reflect.String && v.Len() == 0 {
		return ""
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return formatDuration(time.Duration(v.Int()))
	}
	return fmt.Sprint(v.Interface())
}

// Document returns docs/config.md.
func Document() string {
	var b strings.Builder
	b.WriteString(documentHead)
	b.WriteString("| key | type | default | |\n|---|---|---|---|\n")
	list := false
	for _, f := range Fields() {
		if f.Env == "" && !list {
			list = true
			b.WriteString(documentLists)
			b.WriteString("| key | type | |\n|---|---|---|\n")
		}
		if list {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Path, f.Type, f.Doc)
			continue
		}
		value := ""
		if f.Default != "" {
			value = "`" + f.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s<br>`%s` `--%s` |\n", f.Path, f.Type, value, f.Doc, f.Env, f.Flag)
	}
	b.WriteString(documentTail)
	return b.String()
}

const documentHead = `# Configuration

This page is written by ` + "`cobridge config doc`" + ` (` + "`make docs`" + `).

Each value comes from the last of these that has it: the default, the YAML file (` + "`--config FILE`" + ` or
` + "`COBRIDGE_CONFIG`" + `), the environment, the command line. The names in the environment and on the command line
are the key's words, cut at dots and capitals: ` + "`join.tokenLifetime`" + ` is ` + "`COBRIDGE_JOIN_TOKEN_LIFETIME`" + ` and
` + "`--join-token-lifetime`" + `. Lists are separated by commas there.

A key or a ` + "`COBRIDGE_`" + ` variable that does not exist is an error. All problems are reported together, each with
its key, before the first socket opens; ` + "`cobridge config check`" + ` does nothing else, and ` + "`cobridge config print`" + `
shows what is in force, without secrets. Variables that Kubernetes makes for a service (` + "`COBRIDGE_PORT…`" + `,
` + "`COBRIDGE_SERVICE_…`" + `) are ignored.

Durations have units: ` + "`90s`, `15m`, `336h`, `14d`, `1d12h`" + `.

`

const documentLists = `
## Organisations

These stand in the file only. Ids are unique over all organisations.

`

const documentTail = `
## Example

` + "```yaml" + `
listen: 127.0.0.1:8443
baseUrl: https://cobrowse.example.com
viewerBaseUrl: https://viewer.example.com
tls:
  certFile: /etc/cobridge/cert.pem
  keyFile: /etc/cobridge/key.pem
adminListen: 127.0.0.1:9090
store: bolt:/var/lib/cobridge/cobridge.db
log:
  format: json
retention:
  history: 30d
organisations:
  - id: 7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a01
    name: Example
    users:
      - id: 7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a02
        name: Ada Agent
        cobrowse: {voice: true, digital: true}
    conversations:
      - id: 7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a03
        mediaType: call
        participants:
          - purpose: customer
            name: Kim Customer
          - purpose: agent
            userId: 7b0c1f0e-58a4-4d0c-9a55-6f2f3f1c0a02
` + "```" + `
`
