package config

import "time"

// Config is everything that can be set. The yaml tag of a field is its key in
// the file; the names of its environment variable and its flag follow from it
// (see [Fields]). The doc tag is its text in docs/config.md and in the help.
type Config struct {
	Listen         string         `yaml:"listen" doc:"Address to listen on, host:port. Port 0 takes any free one."`
	AdminListen    string         `yaml:"adminListen" doc:"Separate address for /healthz, /readyz and /metrics, and for /backup and /debug/pprof. Empty: the first three are on the main listener, the others nowhere."`
	AdminToken     Secret         `yaml:"adminToken" doc:"At least 32 random characters, which callers of /backup and /debug/pprof on adminListen send as a bearer token. Empty: only this machine may call them."`
	AdminTokenFile string         `yaml:"adminTokenFile" doc:"File with adminToken, in place of it; relative to the configuration file."`
	BaseURL        string         `yaml:"baseUrl" doc:"Public base URL for links, with the path prefix of a gateway if there is one. Empty: derived from the listener."`
	ViewerBaseURL  string         `yaml:"viewerBaseUrl" doc:"Origin of its own for the viewer pages and their streams. Empty: the same as baseUrl."`
	TLS            TLS            `yaml:"tls"`
	TrustedProxies []string       `yaml:"trustedProxies" doc:"Networks (CIDR) of proxies whose X-Forwarded headers are believed."`
	Store          string         `yaml:"store" doc:"Where everything is kept: bolt:FILE for the embedded store, relative to the working directory; or redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss, redis+unix, redis-sentinel (docs/operations.md)."`
	Log            Log            `yaml:"log"`
	OAuth          OAuth          `yaml:"oauth"`
	Join           Join           `yaml:"join"`
	Session        Session        `yaml:"session"`
	Retention      Retention      `yaml:"retention"`
	Limits         Limits         `yaml:"limits"`
	Shutdown       Shutdown       `yaml:"shutdown"`
	Cluster        Cluster        `yaml:"cluster"`
	Legacy         Legacy         `yaml:"legacy"`
	Directory      string         `yaml:"directory" doc:"Where conversations and users are: local (kept here), or genesyscloud (read from the organisation of genesysCloud)."`
	GenesysCloud   GenesysCloud   `yaml:"genesysCloud"`
	Webhooks       Webhooks       `yaml:"webhooks"`
	Organisations  []Organisation `yaml:"organisations,omitempty" doc:"Organisations that exist from the first start on, with what belongs to them. Only in the file."`

	// Demo marks the configuration of the demonstration, which alone may use the
	// well-known credentials and has the demonstration's own routes.
	Demo bool `yaml:"-"`
}

// TLS says how the listener is encrypted: by files, by a certificate made here,
// or not at all.
type TLS struct {
	CertFile   string   `yaml:"certFile" doc:"PEM file with the certificate chain; needs tls.keyFile."`
	KeyFile    string   `yaml:"keyFile" doc:"PEM file with the private key of tls.certFile."`
	HSTS       bool     `yaml:"hsts" doc:"Tell browsers, for a year, that this host is to be asked over TLS only. Off while there may be a way back to a server that speaks plain http under the same name."`
	SelfSigned bool     `yaml:"selfSigned" doc:"Make a self-signed certificate and keep it beside the store. For tests and first steps."`
	Names      []string `yaml:"names" doc:"Further host names and addresses in the self-signed certificate."`
}

// Enabled reports whether the listener speaks TLS.
func (t TLS) Enabled() bool { return t.SelfSigned || t.CertFile != "" }

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level" doc:"Least level that is logged: debug, info, warn or error."`
	Format string `yaml:"format" doc:"text or json."`
}

// OAuth configures the authorisation server.
type OAuth struct {
	Issuer              string        `yaml:"issuer" doc:"Issuer of the access tokens. Empty: baseUrl."`
	SigningAlgorithm    string        `yaml:"signingAlgorithm" doc:"How new signing keys sign: EdDSA, or RS256 for verifiers that know nothing newer."`
	KeyLifetime         time.Duration `yaml:"keyLifetime" doc:"Age at which the signing key is replaced; the old one verifies until its last token has expired. 0 = never."`
	InvalidClientStatus int           `yaml:"invalidClientStatus" doc:"Status of invalid_client: 401 as in RFC 6749, or 400 for clients that expect it."`
}

// Join configures join tokens.
type Join struct {
	TokenLifetime time.Duration `yaml:"tokenLifetime" doc:"How long a join token can be redeemed; 10s to 15m."`
}

// Session holds the rules of sessions that can be set.
type Session struct {
	DefaultTimeout     time.Duration `yaml:"defaultTimeout" doc:"Time-out of inactivity where the caller asks for none; whole minutes, 1m to 480m."`
	NeverJoined        time.Duration `yaml:"neverJoined" doc:"When a session ends in which both sides never met; counted from its creation or its latest join token."`
	Grace              time.Duration `yaml:"grace" doc:"How long the sharer or the agent may be without a connection before the session ends."`
	MaxDuration        time.Duration `yaml:"maxDuration" doc:"When a session ends whatever happens."`
	OneSessionPerAgent bool          `yaml:"oneSessionPerAgent" doc:"Refuse an agent who is still connected in another session."`
	MaxViewers         int           `yaml:"maxViewers" doc:"Most viewers of one session."`
}

// Retention says for how long things are kept that are over.
type Retention struct {
	History       time.Duration `yaml:"history" doc:"How long the record of an ended session is kept."`
	Conversations time.Duration `yaml:"conversations" doc:"How long an ended conversation is kept."`
}

// Limits bound what callers may use. 0 switches a rate limit off.
type Limits struct {
	TokenPerMinute        int `yaml:"tokenPerMinute" doc:"Requests per minute with one access token; 0 = no limit."`
	AddressPerMinute      int `yaml:"addressPerMinute" doc:"Requests per minute from one address; 0 = no limit."`
	FailedLoginsPerMinute int `yaml:"failedLoginsPerMinute" doc:"Failed token requests per minute from one address; 0 = no limit."`
	StartsPerMinute       int `yaml:"startsPerMinute" doc:"Sessions started per minute by customers' pages from one address; 0 = no limit."`
	BodyBytes             int `yaml:"bodyBytes" doc:"Largest request body that is read at all, in bytes; calls of the API take at most 65536. Each connection may take as much memory."`
	Connections           int `yaml:"connections" doc:"Most connections at a time."`
	StreamsPerAddress     int `yaml:"streamsPerAddress" doc:"Most open streams from one address; and, beside them, most CometD clients."`
	PageFramesPerSecond   int `yaml:"pageFramesPerSecond" doc:"Frames per second in which a sharer may send its page, for ever; four times as many at once. 0 = no limit, else at least 10."`
	PageBytesPerSecond    int `yaml:"pageBytesPerSecond" doc:"Bytes per second of these frames; eight times as many at once. 0 = no limit, else at least 524288."`
}

// Shutdown configures how the service stops.
type Shutdown struct {
	Drain time.Duration `yaml:"drain" doc:"How long running requests and open streams may take to finish."`
}

// Organisation is a tenant with what it has from the start.
type Organisation struct {
	ID            string         `yaml:"id" doc:"Lower-case UUID."`
	Name          string         `yaml:"name" doc:"Required."`
	Users         []User         `yaml:"users,omitempty" doc:"Agents and supervisors; changed ones are updated at each start."`
	Conversations []Conversation `yaml:"conversations,omitempty" doc:"Conversations that are started once, the first time they are seen."`
	Clients       []Client       `yaml:"clients,omitempty" doc:"OAuth clients with secrets that are known beforehand; see also: cobridge client create."`
	Deployments   []Deployment   `yaml:"deployments,omitempty" doc:"Web sites whose visitors may start sessions."`
	Webhooks      []Webhook      `yaml:"webhooks,omitempty" doc:"Addresses that are told what happens to sessions; one that is taken out here is deleted at the next start."`
}

// User is somebody who works in an organisation.
type User struct {
	ID       string     `yaml:"id" doc:"Lower-case UUID."`
	Name     string     `yaml:"name" doc:"Required."`
	Email    string     `yaml:"email,omitempty" doc:"Mail address."`
	Title    string     `yaml:"title,omitempty" doc:"For instance: Supervisor."`
	State    string     `yaml:"state,omitempty" doc:"active (also when empty), inactive or deleted."`
	Cobrowse Capability `yaml:"cobrowse"`
}

// Capability is the cobrowse permission of a user, per kind of interaction.
type Capability struct {
	Voice   bool `yaml:"voice" doc:"May cobrowse in calls and callbacks."`
	Digital bool `yaml:"digital" doc:"May cobrowse in chats, messages and emails."`
}

// Conversation is an interaction that exists from the start.
type Conversation struct {
	ID           string        `yaml:"id" doc:"Lower-case UUID."`
	MediaType    string        `yaml:"mediaType" doc:"call, callback, chat, email or message."`
	ExternalTag  string        `yaml:"externalTag,omitempty" doc:"Free text for other systems."`
	Participants []Participant `yaml:"participants" doc:"1 to 50."`

	// StartedAt orders conversations; zero = when it is first seen.
	StartedAt time.Time `yaml:"-"`
}

// Participant is somebody in a conversation.
type Participant struct {
	Purpose    string            `yaml:"purpose" doc:"agent, user, customer, external, acd or ivr."`
	UserID     string            `yaml:"userId,omitempty" doc:"A user of the organisation; required for agent and user, refused for others."`
	Name       string            `yaml:"name,omitempty" doc:"Empty: the user's name."`
	MediaRoles []string          `yaml:"mediaRoles,omitempty" doc:"For instance: monitor, coach."`
	Attributes map[string]string `yaml:"attributes,omitempty" doc:"Attached data, as strings."`
}

// Client is an OAuth client with a secret that is known beforehand.
type Client struct {
	ID         string        `yaml:"id" doc:"A UUID, or 1 to 128 of A-Z a-z 0-9 . _ ~ -"`
	Name       string        `yaml:"name" doc:"Required."`
	Scopes     []string      `yaml:"scopes" doc:"At least one known scope."`
	Lifetime   time.Duration `yaml:"lifetime,omitempty" doc:"Of its access tokens: 300s to 172800s in whole seconds. 0: 86400s."`
	Secret     Secret        `yaml:"secret,omitempty" doc:"At least 32 random characters."`
	SecretFile string        `yaml:"secretFile,omitempty" doc:"File with the secret, in place of secret; relative to the configuration file."`
}

// Deployment is a web site whose visitors may start sessions.
type Deployment struct {
	ID                   string            `yaml:"id" doc:"Lower-case UUID."`
	Name                 string            `yaml:"name" doc:"Required."`
	AllowedOrigins       []string          `yaml:"allowedOrigins" doc:"Origins of the pages, scheme://host[:port]."`
	StartURL             string            `yaml:"startUrl,omitempty" doc:"Page that a sharer's join URL leads to; on an allowed origin."`
	TextMode             string            `yaml:"textMode,omitempty" doc:"visible (also when empty), or private: no text is shown but what showSelectors name."`
	MaskSelectors        []string          `yaml:"maskSelectors,omitempty" doc:"CSS selectors whose text and values never leave the page."`
	ShowSelectors        []string          `yaml:"showSelectors,omitempty" doc:"CSS selectors of fields whose values are shown; all others are hidden."`
	BlockSelectors       []string          `yaml:"blockSelectors,omitempty" doc:"CSS selectors of which viewers see an empty box."`
	NeverShowSelectors   []string          `yaml:"neverShowSelectors,omitempty" doc:"CSS selectors of fields that are hidden whatever the page says, besides passwords, card data and one-time codes."`
	ReadonlySelectors    []string          `yaml:"readonlySelectors,omitempty" doc:"CSS selectors that a viewer cannot change or click."`
	PauseCriteria        []PauseCriterion  `yaml:"pauseCriteria,omitempty" doc:"Pages on which sharing pauses."`
	PageRules            []PageRule        `yaml:"pageRules,omitempty" doc:"More restrictions, on the pages whose address matches."`
	AllowAgentControl    bool              `yaml:"allowAgentControl,omitempty" doc:"A viewer may ask for control."`
	AllowAgentNavigation bool              `yaml:"allowAgentNavigation,omitempty" doc:"A viewer may ask to navigate."`
	AllowAgentSubmit     bool              `yaml:"allowAgentSubmit,omitempty" doc:"A viewer in control may submit forms."`
	AllowDraw            bool              `yaml:"allowDraw,omitempty" doc:"A viewer may ask to draw."`
	ControlMode          string            `yaml:"controlMode,omitempty" doc:"full (also when empty), or fieldsOnly: a viewer in control clicks fields and what controlSelectors name, nothing else."`
	ControlSelectors     []string          `yaml:"controlSelectors,omitempty" doc:"CSS selectors of what can be clicked with fieldsOnly besides fields."`
	AssetOrigins         []string          `yaml:"assetOrigins,omitempty" doc:"Origins from where viewers' browsers may load the page's pictures and fonts."`
	ConsentVersion       string            `yaml:"consentVersion,omitempty" doc:"Names the wording of consentTexts in the record of what was agreed to; required with them."`
	ConsentTexts         map[string]string `yaml:"consentTexts,omitempty" doc:"By language, what a customer reads before sharing. In other languages a built-in text is shown."`
	DefaultFor           []string          `yaml:"defaultFor,omitempty" doc:"customer, agent: used by sessions created without a deployment in which such a one shares. One deployment of an organisation for each."`
}

// PauseCriterion pauses sharing on pages whose URL matches.
type PauseCriterion struct {
	URLFragment string `yaml:"urlFragment" doc:"What the URL is compared with."`
	Condition   string `yaml:"condition" doc:"Includes, DoesNotInclude, StartsWith, EndsWith or Equals."`
}

// PageRule restricts the pages whose address matches.
type PageRule struct {
	URLPattern        string   `yaml:"urlPattern" doc:"Regular expression for the whole address, with the query, with or without the fragment; no flags, names, look-around or Unicode classes."`
	MaskSelectors     []string `yaml:"maskSelectors,omitempty" doc:"CSS selectors whose text and values never leave the page."`
	ReadonlySelectors []string `yaml:"readonlySelectors,omitempty" doc:"CSS selectors that a viewer cannot change or click."`
}

const day = 24 * time.Hour

// Default returns what holds when nothing is set.
func Default() Config {
	return Config{
		Listen: "127.0.0.1:8080",
		TLS:    TLS{HSTS: true},
		Store:  "bolt:cobridge.db",
		Log:    Log{Level: "info", Format: "text"},
		OAuth:  OAuth{SigningAlgorithm: "EdDSA", KeyLifetime: 90 * day, InvalidClientStatus: 401},
		Join:   Join{TokenLifetime: 15 * time.Minute},
		Session: Session{
			DefaultTimeout: 15 * time.Minute, NeverJoined: 20 * time.Minute, Grace: 2 * time.Minute, MaxDuration: 8 * time.Hour,
			OneSessionPerAgent: true, MaxViewers: 5,
		},
		Retention: Retention{History: 14 * day, Conversations: 14 * day},
		Limits: Limits{
			TokenPerMinute: 300, AddressPerMinute: 1200, FailedLoginsPerMinute: 10, StartsPerMinute: 60,
			BodyBytes: 256 << 10, Connections: 16384, StreamsPerAddress: 1000,
			PageFramesPerSecond: 60, PageBytesPerSecond: 1 << 20,
		},
		Shutdown: Shutdown{Drain: 10 * time.Second},
		Cluster:  defaultCluster(),
		Legacy:   defaultLegacy(),

		Directory: DirectoryLocal, GenesysCloud: defaultGenesysCloud(), Webhooks: defaultWebhooks(),
	}
}
