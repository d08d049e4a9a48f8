package pages

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/bridge/web"
	"github.com/cobridge/cobridge/cobrowse"
)

// historyPath is where histories are.
const historyPath = "/cobrowse/history/"

// historyPolicy is the policy of the history page, whose script only tells times
// and prints.
const historyPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// history answers GET /cobrowse/history/{id}: what happened in a session, for
// whoever has a link from [cobrowse.Service.HistoryLink].
func (p *Pages) history(c *fiber.Ctx) error {
	token, id := c.Query("token"), cobrowse.SessionID(c.Params("id"))
	if token == "" {
		return p.refuseHistory(c, fiber.StatusBadRequest, "missing")
	}
	s, err := p.service.InspectHistory(c.UserContext(), token)
	if err == nil && s.ID != id {
		err = &cobridge.Error{Code: cobridge.CodeJoinTokenInvalid}
	}
	if err != nil {
		code := cobridge.CodeOf(err)
		status := web.StatusOf(code)
		if status >= fiber.StatusInternalServerError {
			p.log.ErrorContext(c.UserContext(), "history page failed", slog.String("code", string(code)), slog.Any("err", err))
		}
		return p.refuseHistory(c, status, map[cobridge.Code]string{
			cobridge.CodeJoinTokenExpired: "expired", cobridge.CodeJoinTokenInvalid: "invalid", cobridge.CodeNotFound: "gone",
		}[code])
	}
	lang, texts := p.historyTexts(c)
	v := newHistoryView(s, p.clock.Now(), texts)
	v.Lang, v.up, v.names = lang, upFrom(c), p.names
	var page bytes.Buffer
	if err := p.pages.ExecuteTemplate(&page, "history.html", v); err != nil {
		return fmt.Errorf("render history page: %w", err)
	}
	pageHeaders(c, historyPolicy)
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Vary(fiber.HeaderAcceptLanguage)
	return c.Send(page.Bytes())
}

// refuseHistory shows a page that says why no history is shown. An unknown key is
// a failure of ours.
func (p *Pages) refuseHistory(c *fiber.Ctx, status int, key string) error {
	if key == "" {
		key = "failed"
	}
	lang, texts := p.historyTexts(c)
	up := upFrom(c)
	return p.render(c, status, "message.html", messagePolicy, view{
		Lang: lang, Icon: up + p.names["icon.svg"], Style: up + p.names["join.css"], Screen: "refused", Pill: texts.get("refused"),
		Head: texts.get(key + ".head"), Text: texts.get(key + ".text"), Next: texts.get(key + ".next"),
	})
}

// historyTexts chooses the language of a request.
func (p *Pages) historyTexts(c *fiber.Ctx) (string, historyTexts) {
	lang := p.texts.choose(c.Get(fiber.HeaderAcceptLanguage))
	c.Set(fiber.HeaderContentLanguage, lang)
	return lang, historyTexts{own: p.ofHistory[lang], join: p.texts[lang]}
}

// upFrom returns the way from a history page to /cobrowse/. It is relative,
// because a gateway may add a prefix in front of all our paths.
func upFrom(c *fiber.Ctx) string {
	if strings.HasSuffix(c.Path(), "/") {
		return "../../"
	}
	return "../"
}

// historyTexts are the texts of the history page in one language.
type historyTexts struct{ own, join map[string]string }

func (t historyTexts) get(key string) string { return t.own[key] }

// among returns the text of one of several, as "grant.draw"; what has none, as an
// action of a newer script, is shown as it is called.
func (t historyTexts) among(kind, name string) string {
	if text := t.own[kind+"."+name]; text != "" {
		return text
	}
	return name
}

// who names a participant, by name or by role.
func (t historyTexts) who(s cobrowse.Session, id cobrowse.ParticipantID) string {
	for _, p := range s.Participants {
		if p.ID == id {
			if p.Name != "" {
				return p.Name
			}
			return t.join["role."+string(p.Role)]
		}
	}
	return t.own["unknown"]
}

// withoutQuery returns an address without what may hold secrets. Addresses are
// stored without it; the page must not be the place where that is found out.
func withoutQuery(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		head, _, _ := strings.Cut(address, "?")
		head, _, _ = strings.Cut(head, "#")
		return head
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	return u.String()
}
