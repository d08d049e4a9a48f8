package cobrowse

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/conversations"
)

// Bounds of one deployment.
const (
	maxOrigins   = 50
	maxSelectors = 500
	maxSelector  = 1000 // characters, of a selector or a URL fragment
	maxTexts     = 50   // languages of a consent text
	maxConsent   = 4000 // characters of one consent text
)

// DeploymentStart asks for a session from a customer's page.
type DeploymentStart struct {
	DeploymentID DeploymentID
	Origin       string // of the page, as its browser says
	CustomerName string
}

// StartFromDeployment creates a session that has a customer and no conversation
// yet; an agent attaches it with the nine digits. It fails with CodeNotFound,
// CodeConstraintValidation, or CodeNotAuthorized for a foreign origin.
func (s *Service) StartFromDeployment(ctx context.Context, r DeploymentStart) (Session, JoinToken, error) {
	d, err := s.siteOf(ctx, r.DeploymentID, r.Origin)
	if err != nil {
		return Session{}, JoinToken{}, err
	}
	session, err := s.openOn(ctx, d, r.CustomerName, false)
	if err != nil {
		return Session{}, JoinToken{}, err
	}
	token, err := s.tokens.issue(session, session.Participants[0])
	if err != nil {
		return Session{}, JoinToken{}, fmt.Errorf("sign join token: %w", err)
	}
	return session, token, nil
}

// siteOf returns a deployment for a page of the given origin. It fails with
// CodeNotFound, or CodeNotAuthorized if the origin is not one of it.
func (s *Service) siteOf(ctx context.Context, id DeploymentID, origin string) (Deployment, error) {
	d, err := s.deployments.Deployment(ctx, id)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound {
		return Deployment{}, deploymentNotFound(id)
	} else if err != nil {
		return Deployment{}, fmt.Errorf("look up deployment: %w", err)
	}
	if !d.Allows(origin) {
		return Deployment{}, &cobridge.Error{
			Code: cobridge.CodeNotAuthorized, Message: "Pages of this origin may not use this deployment.",
			EntityID: string(d.ID), EntityName: EntityDeployment,
		}
	}
	return d, nil
}

func deploymentNotFound(id DeploymentID) error {
	return &cobridge.Error{
		Code: cobridge.CodeNotFound, Message: "There is no deployment with this id.",
		Params: map[string]string{"deploymentId": string(id)}, EntityID: string(id), EntityName: EntityDeployment,
	}
}

// CreateDeployment stores a deployment under a new id, or under the given one, in
// place of what is there but for its restrictions. It fails with CodeConstraintValidation and one detail per problem, or CodeConflict
// if the given id belongs to another organisation.
func (s *Service) CreateDeployment(ctx context.Context, d Deployment) (Deployment, error) {
	if err := d.check(); err != nil {
		return Deployment{}, err
	}
	s.deploymentWrite.Lock()
	defer s.deploymentWrite.Unlock()
	d.Restrictions = nil
	if d.ID == "" {
		d.ID = DeploymentID(s.newUUID("deployment"))
	} else if old, err := s.deployments.Deployment(ctx, d.ID); err == nil {
		d.Restrictions = old.Restrictions
	} else if cobridge.CodeOf(err) != cobridge.CodeNotFound {
		return Deployment{}, fmt.Errorf("look up deployment: %w", err)
	}
	d = d.withDefaults()
	d.CreatedAt = s.clock.Now()
	if err := s.deployments.PutDeployment(ctx, d); err != nil {
		return Deployment{}, fmt.Errorf("store deployment: %w", err)
	}
	s.forgetDefaults(d.OrgID)
	return d, nil
}

// UpdateDeployment replaces a deployment, but for its restrictions. It fails with
// CodeNotFound or CodeConstraintValidation.
func (s *Service) UpdateDeployment(ctx context.Context, d Deployment) (Deployment, error) {
	s.deploymentWrite.Lock()
	defer s.deploymentWrite.Unlock()
	old, err := s.Deployment(ctx, d.OrgID, d.ID)
	if err != nil {
		return Deployment{}, err
	}
	if err := d.check(); err != nil {
		return Deployment{}, err
	}
	d = d.withDefaults()
	d.CreatedAt, d.Restrictions = old.CreatedAt, old.Restrictions
	if err := s.deployments.PutDeployment(ctx, d); err != nil {
		return Deployment{}, fmt.Errorf("store deployment: %w", err)
	}
	s.forgetDefaults(d.OrgID)
	return d, nil
}

// Deployment fails with CodeNotFound.
func (s *Service) Deployment(ctx context.Context, org conversations.OrgID, id DeploymentID) (Deployment, error) {
	d, err := s.deployments.Deployment(ctx, id)
	if cobridge.CodeOf(err) == cobridge.CodeNotFound || err == nil && d.OrgID != org {
		return Deployment{}, deploymentNotFound(id)
	} else if err != nil {
		return Deployment{}, fmt.Errorf("look up deployment: %w", err)
	}
	return d.withDefaults(), nil
}

// Deployments returns those of one organisation, by name.
func (s *Service) Deployments(ctx context.Context, org conversations.OrgID) ([]Deployment, error) {
	all, err := s.deployments.Deployments(ctx, org)
	for i := range all {
		all[i] = all[i].withDefaults()
	}
	return all, err
}

// DeleteDeployment fails with CodeNotFound. Sessions that it started go on.
func (s *Service) DeleteDeployment(ctx context.Context, org conversations.OrgID, id DeploymentID) error {
	s.deploymentWrite.Lock()
	defer s.deploymentWrite.Unlock()
	if _, err := s.Deployment(ctx, org, id); err != nil {
		return err
	}
	defer s.forgetDefaults(org)
	return s.deployments.DeleteDeployment(ctx, id)
}

// checkOrigins demands the form in which browsers send origins.
func checkOrigins(bad *problems, field string, origins []string) {
	for i, origin := range origins {
		if u, err := url.Parse(origin); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" ||
			origin != u.Scheme+"://"+strings.ToLower(u.Host) || strings.ContainsAny(origin, " ;,'\"") {
			bad.addf("format", "%s[%d]", field, i)
		}
	}
}

func (d Deployment) checkConsent(bad *problems) {
	if len([]rune(d.ConsentVersion)) > maxTextVersion {
		bad.add("consentVersion", "too.long")
	}
	if len(d.ConsentTexts) > 0 && d.ConsentVersion == "" {
		bad.add("consentVersion", "required") // a record of a consent must say to what
	}
	if len(d.ConsentTexts) > maxTexts {
		bad.add("consentTexts", "size")
	}
	for language, text := range d.ConsentTexts {
		if language == "" || len(language) > 35 || strings.Trim(language, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
			bad.add("consentTexts", "language")
		}
		if strings.TrimSpace(text) == "" || len([]rune(text)) > maxConsent {
			bad.addf("size", "consentTexts.%s", language)
		}
	}
}

func (d Deployment) check() error {
	var bad problems
	if d.Name == "" || len([]rune(d.Name)) > maxName {
		bad.add("name", "size")
	}
	if len(d.AllowedOrigins) > maxOrigins {
		bad.add("allowedOrigins", "size")
	}
	checkOrigins(&bad, "allowedOrigins", d.AllowedOrigins)
	if len(d.Rules.AssetOrigins) > maxOrigins {
		bad.add("assetOrigins", "size")
	}
	checkOrigins(&bad, "assetOrigins", d.Rules.AssetOrigins)
	d.checkConsent(&bad)
	if mode := d.Rules.TextMode; mode != "" && mode != TextVisible && mode != TextPrivate {
		bad.add("textMode", "unknown")
	}
	if mode := d.Rules.ControlMode; mode != "" && mode != ControlFull && mode != ControlFieldsOnly {
		bad.add("controlMode", "unknown")
	}
	for i, role := range d.DefaultFor {
		if role != RoleCustomer && role != RoleAgent {
			bad.addf("unknown", "defaultFor[%d]", i)
		}
	}
	if d.StartURL != "" {
		u, err := url.Parse(d.StartURL)
		switch {
		case err != nil || u.User != nil || u.Fragment != "" || len(d.StartURL) > maxPageURL:
			bad.add("startUrl", "format")
		case !d.Allows(u.Scheme + "://" + strings.ToLower(u.Host)):
			bad.add("startUrl", "origin")
		}
	}
	for field, list := range map[string][]string{
		"maskSelectors": d.Rules.MaskSelectors, "readonlySelectors": d.Rules.ReadonlySelectors, "showSelectors": d.Rules.ShowSelectors,
		"blockSelectors": d.Rules.BlockSelectors, "neverShowSelectors": d.Rules.NeverShowSelectors, "controlSelectors": d.Rules.ControlSelectors,
	} {
		checkSelectors(&bad, field, list)
	}
	checkPageRules(&bad, "pageRules", d.Rules.PageRules)
	if len(d.Rules.PauseCriteria) > maxSelectors {
		bad.add("pauseCriteria", "size")
	}
	for i, c := range d.Rules.PauseCriteria {
		if c.URLFragment == "" || len([]rune(c.URLFragment)) > maxSelector {
			bad.addf("size", "pauseCriteria[%d].urlFragment", i)
		}
		if !slices.Contains(PauseConditions(), c.Condition) {
			bad.addf("unknown", "pauseCriteria[%d].condition", i)
		}
	}
	slices.SortFunc(bad, func(a, b cobridge.Detail) int { return strings.Compare(a.FieldName, b.FieldName) })
	return bad.err("The deployment")
}
