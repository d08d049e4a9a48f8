package api

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
)

// The names, among the texts of the customer script, of what is asked before
// anything is shared where the deployment does not have words of its own, and of
// the version under which a consent to it is recorded.
const (
	textConsent        = "consent.sharing"
	textConsentVersion = "consent.version"
)

// textLanguage is that of texts for which nobody asked in a language that there is.
const textLanguage = "en"

// scriptSettingsBody is what the script on a customer's page works by.
type scriptSettingsBody struct {
	ID       cobrowse.DeploymentID `json:"id"`
	Name     string                `json:"name"`
	Language string                `json:"language"`
	Rules    rulesBody             `json:"rules"`
	Consent  consentBody           `json:"consent"`
	Texts    map[string]string     `json:"texts"`
}

type consentBody struct {
	Version string `json:"version"`
	Sharing string `json:"sharing"`
}

// getScriptSettings answers GET …/{deploymentId}/settings. Pages of the
// deployment's origins may read it, and whoever sends no Origin: nothing in it is
// secret, and a page on our own origin sends none with a GET.
func (a *api) getScriptSettings(c *fiber.Ctx) error {
	c.Vary(fiber.HeaderOrigin)
	id := deploymentParam(c)
	d, err := a.Deployments.Deployment(c.UserContext(), id)
	if err != nil {
		return err
	}
	if !mayRead(c, d) && c.Get(fiber.HeaderOrigin) != "" {
		return &cobridge.Error{
			Code: cobridge.CodeNotAuthorized, Message: "Pages of this origin may not use this deployment.",
			EntityID: string(d.ID), EntityName: cobrowse.EntityDeployment,
		}
	}
	wanted := languages(c.Query("lang"))
	language := textLanguage
	for _, l := range wanted {
		if a.SDKTexts[l] != nil {
			language = l
			break
		}
	}
	wanted = append(wanted, language) // the deployment's own English beside English controls, if need be
	texts := a.SDKTexts[language]
	consent := consentBody{Version: texts[textConsentVersion], Sharing: texts[textConsent]}
	if own := consentText(d, wanted); own != "" {
		consent = consentBody{Version: d.ConsentVersion, Sharing: own}
	}
	if consent.Version == "" || consent.Sharing == "" {
		return errors.New("the customer script has no text to ask for consent")
	}
	c.Set(fiber.HeaderCacheControl, "private, max-age=60")
	d.Rules.PageRules = d.PageRules() // wherever they come from
	return c.JSON(scriptSettingsBody{ID: d.ID, Name: d.Name, Language: language, Rules: newRulesBody(d), Consent: consent, Texts: texts})
}

// consentText returns the deployment's own words in the first of the languages
// that it has, "" if it has none of them.
func consentText(d cobrowse.Deployment, wanted []string) string {
	known := slices.Sorted(maps.Keys(d.ConsentTexts)) // of two that differ in case alone, always the same
	for _, language := range wanted {
		i := slices.IndexFunc(known, func(l string) bool { return strings.EqualFold(l, language) })
		if i >= 0 {
			return d.ConsentTexts[known[i]]
		}
	}
	return ""
}

// maxLanguage is the longest language tag that is looked at, in bytes (RFC 5646,
// section 4.4.1).
const maxLanguage = 35

// languages returns a language tag in lower case and what is left of it when
// subtags are taken off its end: de-ch-1996, de-ch, de (RFC 4647, section 3.4).
// Nobody's wish, or one that is none, is English.
func languages(tag string) []string {
	tag = strings.ToLower(cmp.Or(tag, textLanguage))
	if len(tag) > maxLanguage {
		tag = textLanguage
	}
	list := []string{tag}
	for i := strings.LastIndexByte(tag, '-'); i > 0; i = strings.LastIndexByte(tag, '-') {
		tag = tag[:i]
		list = append(list, tag)
	}
	return list
}
