package api

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

// Deployments in the official words: each is a web deployment that is active, and
// has a configuration of its own with the same id, of which one version is kept.

const webConfigurationsPath = "/api/v2/webdeployments/configurations"

// statusActive is the only status that a deployment and its configuration have.
const statusActive = "Active"

// webDeployment is the official model WebDeployment.
type webDeployment struct {
	ID              cobrowse.DeploymentID   `json:"id"`
	Name            string                  `json:"name"`
	AllowAllDomains bool                    `json:"allowAllDomains"`
	AllowedDomains  []string                `json:"allowedDomains"` // host[:port]
	DateCreated     web.Time                `json:"dateCreated"`
	Status          string                  `json:"status"`
	Configuration   webConfigurationVersion `json:"configuration"`
	SelfURI         string                  `json:"selfUri"`
}

// webConfigurationVersion is the official model WebDeploymentConfigurationVersionEntityRef,
// and with Cobrowse and what stands below it WebDeploymentConfigurationVersion.
type webConfigurationVersion struct {
	ID          cobrowse.DeploymentID `json:"id"`
	Name        string                `json:"name"`
	Version     string                `json:"version"` // 1 to 10 digits
	Cobrowse    *publishedSettings    `json:"cobrowse,omitempty"`
	DateCreated web.Time              `json:"dateCreated,omitzero"`
	Status      string                `json:"status,omitempty"`
	SelfURI     string                `json:"selfUri"`
}

// publishedSettings is the official model CobrowseSettings. Rules that it has no
// words for are in the deployment alone.
type publishedSettings struct {
	Enabled              bool        `json:"enabled"`
	AllowAgentControl    bool        `json:"allowAgentControl"`
	AllowAgentNavigation bool        `json:"allowAgentNavigation"`
	AllowDraw            bool        `json:"allowDraw"`
	Channels             []string    `json:"channels"`
	MaskSelectors        []string    `json:"maskSelectors"`
	ReadonlySelectors    []string    `json:"readonlySelectors"`
	PauseCriteria        []pauseBody `json:"pauseCriteria"`
}

// newConfigurationVersion returns the configuration of a deployment. Its version is
// made of the settings: who has read one version finds that it is gone once they
// have changed.
func newConfigurationVersion(d cobrowse.Deployment) (webConfigurationVersion, error) {
	r := newRulesBody(d)
	settings := &publishedSettings{
		Enabled: true, AllowAgentControl: r.AllowAgentControl, AllowAgentNavigation: r.AllowAgentNavigation, AllowDraw: r.AllowDraw,
		Channels: []string{"Webmessaging", "Voice"}, MaskSelectors: r.MaskSelectors, ReadonlySelectors: r.ReadonlySelectors, PauseCriteria: r.PauseCriteria,
	}
	text, err := json.Marshal(settings)
	if err != nil {
		return webConfigurationVersion{}, fmt.Errorf("encode settings: %w", err)
	}
	sum := sha256.Sum256(text)
	version := strconv.FormatUint(uint64(binary.BigEndian.Uint32(sum[:])), 10)
	return webConfigurationVersion{
		ID: d.ID, Name: d.Name, Version: version, Cobrowse: settings, DateCreated: web.Time(d.CreatedAt), Status: statusActive,
		SelfURI: webConfigurationsPath + "/" + string(d.ID) + "/versions/" + version,
	}, nil
}

func newWebDeployment(d cobrowse.Deployment) (webDeployment, error) {
	version, err := newConfigurationVersion(d)
	body := webDeployment{
		ID: d.ID, Name: d.Name, AllowedDomains: make([]string, len(d.AllowedOrigins)), DateCreated: web.Time(d.CreatedAt), Status: statusActive,
		Configuration: webConfigurationVersion{ID: version.ID, Name: version.Name, Version: version.Version, SelfURI: version.SelfURI},
		SelfURI:       webDeploymentsPath + "/" + string(d.ID),
	}
	for i, origin := range d.AllowedOrigins {
		_, body.AllowedDomains[i], _ = strings.Cut(origin, "://")
	}
	return body, err
}

// webDeploymentListing is the official model ExpandableWebDeploymentEntityListing.
type webDeploymentListing struct {
	Entities    []webDeployment `json:"entities"`
	SelfURI     string          `json:"selfUri"`
	NextURI     string          `json:"nextUri,omitempty"`
	PreviousURI string          `json:"previousUri,omitempty"`
	Total       int             `json:"total"`
}

// listWebDeployments answers GET /api/v2/webdeployments/deployments. A cursor is the
// id of the deployment that a page begins after, or ends before.
func (a *api) listWebDeployments(c *fiber.Ctx) error {
	page, err := web.Paging(c, web.PageRule{})
	if err != nil {
		return err
	}
	all, err := a.Sessions.Deployments(c.UserContext(), orgOf(c))
	if err != nil {
		return err
	}
	uri := func(cursor string, id cobrowse.DeploymentID) string {
		q := url.Values{"pageSize": {strconv.Itoa(page.Size)}}
		if id != "" {
			q.Set(cursor, string(id))
		}
		return webDeploymentsPath + "?" + q.Encode()
	}
	first, end, self := 0, min(len(all), page.Size), uri("", "")
	for _, cursor := range []string{"after", "before"} {
		id := cobrowse.DeploymentID(c.Query(cursor))
		if id == "" {
			continue
		}
		i := slices.IndexFunc(all, func(d cobrowse.Deployment) bool { return d.ID == id })
		switch {
		case i < 0:
			return badQuery(cursor, "must be taken from nextUri or previousUri")
		case cursor == "after":
			first, end = i+1, min(len(all), i+1+page.Size)
		default:
			first, end = max(0, i-page.Size), i
		}
		self = uri(cursor, id)
	}
	body := webDeploymentListing{Entities: make([]webDeployment, 0, end-first), Total: len(all), SelfURI: self}
	for _, d := range all[first:end] {
		one, err := newWebDeployment(d)
		if err != nil {
			return err
		}
		body.Entities = append(body.Entities, one)
	}
	if first > 0 && first < len(all) {
		body.PreviousURI = uri("before", all[first].ID)
	}
	if end > 0 && end < len(all) {
		body.NextURI = uri("after", all[end-1].ID)
	}
	return c.JSON(body)
}

// getWebDeployment answers GET /api/v2/webdeployments/deployments/{deploymentId}.
func (a *api) getWebDeployment(c *fiber.Ctx) error {
	d, err := a.Sessions.Deployment(c.UserContext(), orgOf(c), deploymentParam(c))
	if err != nil {
		return err
	}
	body, err := newWebDeployment(d)
	if err != nil {
		return err
	}
	return c.JSON(body)
}

// getWebConfiguration answers GET …/{configurationId}/versions/{versionId}.
func (a *api) getWebConfiguration(c *fiber.Ctx) error {
	id, version := web.PathParam(c, "configurationId"), web.PathParam(c, "versionId")
	unknown := &cobridge.Error{
		Code: cobridge.CodeNotFound, Message: "There is no configuration with this id and version; the version that a deployment names is the only one that is kept.",
		Params: map[string]string{"configurationId": id, "versionId": version}, EntityID: id, EntityName: "configuration",
	}
	d, err := a.Sessions.Deployment(c.UserContext(), orgOf(c), cobrowse.DeploymentID(id))
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return unknown
	} else if err != nil {
		return err
	}
	body, err := newConfigurationVersion(d)
	if err != nil {
		return err
	}
	if body.Version != version {
		return unknown
	}
	return c.JSON(body)
}
