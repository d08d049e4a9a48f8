package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

const (
	envPrefix = "COBRIDGE_"
	// EnvFile names the variable with the path of the configuration file.
	EnvFile = envPrefix + "CONFIG"
)

// Sources are the places that a configuration is read from. Each overrides the
// ones before it: defaults, file, environment, flags.
type Sources struct {
	File  string         // path of a YAML file; "" = the one that COBRIDGE_CONFIG names, if any
	Env   []string       // NAME=value, as os.Environ returns it
	Flags *pflag.FlagSet // with the flags of [AddFlags]; nil = none. Only those that were given count.

	// OtherEnv names COBRIDGE_ variables that belong to somebody else. All others
	// that are no key of the configuration are problems.
	OtherEnv []string
}

// Load reads, completes and checks a configuration. It fails with an [*Error]
// that has all problems, unknown keys and unreadable secret files too; the
// configuration is returned nevertheless, for printing.
func Load(src Sources) (Config, error) {
	var found problems
	layers := koanf.New(".")
	path := src.File
	if path == "" {
		path = lookup(src.Env, EnvFile)
	}
	if path != "" {
		if err := layers.Load(file.Provider(path), yaml.Parser()); err != nil {
			found.add("", "read %s: %v", path, err)
		}
	}
	loadEnv(layers, src, &found)
	loadFlags(layers, src.Flags, &found)

	cfg := Default()
	decode(layers.Raw(), reflect.ValueOf(&cfg).Elem(), "", &found)
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	cfg.ViewerBaseURL = strings.TrimRight(cfg.ViewerBaseURL, "/")
	cfg.readSecrets(filepath.Dir(path), &found)
	cfg.check(&found)
	return cfg, found.err()
}

func lookup(environ []string, name string) string {
	value := ""
	for _, entry := range environ {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v // the last one counts, as with os.Getenv after os.Setenv
		}
	}
	return value
}

func loadEnv(layers *koanf.Koanf, src Sources, found *problems) {
	types := map[string]reflect.Type{}
	paths := map[string]string{}
	walk(reflect.ValueOf(Default()), "", false, func(f Field, t reflect.Type) {
		if f.Env != "" {
			paths[f.Env], types[f.Env] = f.Path, t
		}
	})
	var unknown []string
	provider := env.Provider(".", env.Opt{
		Prefix: envPrefix,
		TransformFunc: func(name, value string) (string, any) {
			path, ok := paths[name]
			switch {
			case ok:
				return path, typed(value, types[name])
			case !foreign(name) && !slices.Contains(src.OtherEnv, name):
				unknown = append(unknown, name)
			}
			return "", nil
		},
		EnvironFunc: func() []string { return src.Env },
	})
	if err := layers.Load(provider, nil); err != nil {
		found.add("", "read environment: %v", err)
	}
	slices.Sort(unknown)
	for _, name := range slices.Compact(unknown) {
		found.add("", "environment variable %s is no key of the configuration", name)
	}
}

// foreign reports whether a variable with our prefix does not come from the
// operator: Kubernetes gives each pod COBRIDGE_PORT, COBRIDGE_SERVICE_HOST and
// more for a service of the name cobridge
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
// The last two belong to our own tests.
func foreign(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return name == EnvFile || rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_") ||
		rest == "REQUIRE" || rest == "GOLDEN"
}

// annotation marks the flags of AddFlags, so that others in the same set are not
// taken for keys.
const annotation = "cobridge-config-path"

// AddFlags adds a flag for each key outside of lists to the set. Defaults are
// told in the help text only: a flag that was not given changes nothing.
func AddFlags(flags *pflag.FlagSet) {
	walk(reflect.ValueOf(Default()), "", false, func(f Field, t reflect.Type) {
		if f.Flag == "" {
			return
		}
		usage := f.Doc
		if f.Default != "" {
			usage += " (default " + f.Default + ")"
		}
		flags.Var(&flagValue{kind: f.Type}, f.Flag, usage)
		flag := flags.Lookup(f.Flag)
		flag.Annotations = map[string][]string{annotation: {f.Path}}
		if t.Kind() == reflect.Bool {
			flag.NoOptDefVal = "true"
		}
	})
}

// flagValue keeps a flag's text until decode looks at it, so that its problems
// are reported together with all others.
type flagValue struct{ text, kind string }

// String returns the text as given.
func (v *flagValue) String() string { return v.text }

// Set keeps the text. A list that is given several times grows.
func (v *flagValue) Set(text string) error {
	if v.kind == "list" && v.text != "" {
		text = v.text + "," + text
	}
	v.text = text
	return nil
}

// Type names the kind of value in the help.
func (v *flagValue) Type() string {
	if v.kind == "yes/no" {
		return "bool" // pflag knows this word: such a flag needs no value
	}
	return v.kind
}

func loadFlags(layers *koanf.Koanf, flags *pflag.FlagSet, found *problems) {
	if flags == nil {
		return
	}
	types := map[string]reflect.Type{}
	walk(reflect.ValueOf(Default()), "", false, func(f Field, t reflect.Type) { types[f.Path] = t })
	provider := posflag.ProviderWithFlag(flags, ".", layers, func(f *pflag.Flag) (string, any) {
		if !f.Changed || len(f.Annotations[annotation]) == 0 {
			return "", nil
		}
		path := f.Annotations[annotation][0]
		return path, typed(f.Value.String(), types[path])
	})
	if err := layers.Load(provider, nil); err != nil {
		found.add("", "read flags: %v", err)
	}
}

// maxSecretFile bounds what is read: a wrong path may lead to something huge.
const maxSecretFile = 4096

// readSecrets replaces secretFile, and clientSecretFile, by what stands in the file.
func (c *Config) readSecrets(dir string, found *problems) {
	for i := range c.Organisations {
		for j := range c.Organisations[i].Clients {
			client := &c.Organisations[i].Clients[j]
			at := fmt.Sprintf("organisations[%d].clients[%d].", i, j)
			readSecret(found, dir, at+"secretFile", "secret", client.SecretFile, &client.Secret)
		}
		for j := range c.Organisations[i].Webhooks {
			w := &c.Organisations[i].Webhooks[j]
			at := fmt.Sprintf("organisations[%d].webhooks[%d].", i, j)
			readSecret(found, dir, at+"secretFile", "secret", w.SecretFile, &w.Secret)
		}
	}
	readSecret(found, dir, "adminTokenFile", "adminToken", c.AdminTokenFile, &c.AdminToken)
	readSecret(found, dir, "genesysCloud.clientSecretFile", "clientSecret", c.GenesysCloud.ClientSecretFile, &c.GenesysCloud.ClientSecret)
}

// readSecret puts what stands in the file of that name, if there is one, into secret.
func readSecret(found *problems, dir, path, beside, name string, secret *Secret) {
	if name == "" {
		return
	}
	if *secret != "" {
		found.add(path, "stands beside %s, want one of them", beside)
		return
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	text, err := os.ReadFile(name) //nolint:gosec // the operator names the file
	switch {
	case err != nil:
		found.add(path, "%v", err)
	case len(text) > maxSecretFile:
		found.add(path, "%s has %d bytes, want at most %d", name, len(text), maxSecretFile)
	default:
		*secret = Secret(strings.TrimSpace(string(text)))
	}
}
