package pages

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cobridge/cobridge/cobrowse"
)

// historyView is what history.html is given.
type historyView struct {
	Lang  string
	State string // live or ended
	Pill  string
	Live  bool

	Facts     []fact
	Violation *violationView
	Rows      []row
	Ticks     []tick
	People    []personView
	Pages     []pageView
	Grants    []grantView
	Actions   []actionView
	LeftOut   string

	texts historyTexts
	up    string
	names map[string]string
}

// T returns a text.
func (v historyView) T(key string) string { return v.texts.get(key) }

// Asset returns the address of an asset.
func (v historyView) Asset(file string) string { return v.up + v.names[file] }

// moment is a time as text, empty for none. The page's script tells it in the
// reader's time zone.
type moment struct{ ISO, Text string }

func at(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	return moment{ISO: t.Format("2006-01-02T15:04:05.000Z"), Text: t.Format("2006-01-02 15:04:05")}
}

type fact struct {
	Name, Value string
	At          moment
}

type violationView struct {
	At   moment
	Path string
}

type personView struct {
	Name, Role   string
	Sharer       bool
	Joined, Left moment
	Stayed       string // what stands for Left if that is zero
}

type pageView struct {
	Entered              moment
	Duration, Title, URL string
}

type grantView struct {
	Kind, To, Why, Text string
	From, Until         moment
}

type actionView struct {
	At, Last                moment // Last only if it is another second
	Who, What, Path, Result string
	Count                   int
	OK                      bool
}

// row is a line of the timeline.
type row struct {
	Name, About string
	Class       string
	Spoken      string // for who does not see it
	Bars        []bar
}

// bar is a period, or with a fixed width a moment, of a row. X and Width are
// values of SVG attributes, in percent or pixels.
type bar struct {
	X, Width, Class, Title string
	Radius                 int
}

type tick struct {
	X, Text string
	First   bool
}

// scale places times on the timeline, whose ends are from and to.
type scale struct{ from, to time.Time }

func (s scale) share(t time.Time) float64 {
	whole := s.to.Sub(s.from)
	if whole <= 0 {
		return 0
	}
	return min(1, max(0, float64(t.Sub(s.from))/float64(whole)))
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 2, 64) + "%" }

// period is a bar from one time to another; what would be too narrow to be seen
// is as narrow as can be seen.
func (s scale) period(from, to time.Time, class, title string) bar {
	const least = 0.004
	x, width := s.share(from), max(least, s.share(to)-s.share(from))
	return bar{X: percent(min(x, 1-least)), Width: percent(width), Radius: 4, Class: class, Title: title}
}

// point is a bar for a moment.
func (s scale) point(t time.Time, class, title string) bar {
	return bar{X: percent(min(s.share(t), 0.996)), Width: "4", Radius: 2, Class: class, Title: title}
}

// steps are the distances of ticks, of which the first is taken that makes few.
var steps = [...]time.Duration{
	5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 6 * time.Hour, 24 * time.Hour,
}

func (s scale) ticks() []tick {
	const most = 7
	whole := s.to.Sub(s.from)
	step := steps[len(steps)-1]
	for _, candidate := range steps {
		if whole/candidate < most {
			step = candidate
			break
		}
	}
	list := []tick{{X: "0%", Text: "0:00", First: true}}
	// Close to the end there is no room for the text.
	for t := step; float64(t) <= 0.97*float64(whole) && len(list) <= most; t += step {
		list = append(list, tick{X: percent(s.share(s.from.Add(t))), Text: clockface(t)})
	}
	return list
}

// clockface writes a duration as on a stop watch: m:ss or h:mm:ss.
func clockface(d time.Duration) string {
	seconds := int(d / time.Second)
	if seconds < 3600 {
		return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}

// span writes a duration for people, in units that are the same in all our languages.
func span(d time.Duration) string {
	d = max(0, d).Round(time.Second)
	hours, minutes, seconds := int(d/time.Hour), int(d/time.Minute)%60, int(d/time.Second)%60
	switch {
	case hours > 0:
		return fmt.Sprintf("%d h %d min", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%d min %d s", minutes, seconds)
	default:
		return fmt.Sprintf("%d s", seconds)
	}
}

// newHistoryView describes a session as of now.
func newHistoryView(s cobrowse.Session, now time.Time, texts historyTexts) historyView {
	v := historyView{State: "ended", Pill: texts.get("ended"), Live: s.Live(), texts: texts}
	end := s.EndedAt
	if s.Live() {
		v.State, v.Pill, end = "live", texts.get("live"), now
	}
	v.facts(s, end)
	line := scale{from: s.CreatedAt, to: end}
	v.Ticks = line.ticks()
	v.people(s, line)
	v.pages(s, line)
	v.grants(s, line)
	v.actions(s, line)
	if !s.Violation.At.IsZero() {
		v.Violation = &violationView{At: at(s.Violation.At), Path: s.Violation.Path}
	}
	return v
}

func (v *historyView) facts(s cobrowse.Session, end time.Time) {
	add := func(key, value string, t time.Time) {
		v.Facts = append(v.Facts, fact{Name: v.T("fact." + key), Value: value, At: at(t)})
	}
	add("created", "", s.CreatedAt)
	add("activated", v.T("fact.never"), s.ActivatedAt)
	if !s.Live() {
		add("ended", "", s.EndedAt)
	}
	add("duration", span(end.Sub(s.CreatedAt)), time.Time{})
	if !s.Live() {
		reason := v.texts.join["ended."+string(s.EndReason)]
		if reason == "" {
			reason = string(s.EndReason)
		}
		add("reason", reason, time.Time{})
	}
	if sharer := s.Sharer(); sharer != "" {
		add("sharer", v.texts.who(s, sharer), time.Time{})
	}
	if s.ConversationID != "" {
		add("conversation", string(s.ConversationID), time.Time{})
	}
	add("session", string(s.ID), time.Time{})
}

func (v *historyView) people(s cobrowse.Session, line scale) {
	for _, p := range s.Participants {
		role := v.texts.join["role."+string(p.Role)]
		person := personView{Name: v.texts.who(s, p.ID), Role: role, Sharer: p.ID == s.Sharer(), Joined: at(p.JoinedAt), Left: at(p.LeftAt)}
		r := row{Name: person.Name, About: role, Class: "people-track", Spoken: v.T("people.never")}
		if !p.JoinedAt.IsZero() {
			left := p.LeftAt
			if left.IsZero() {
				left = line.to
				person.Stayed = v.T("people.stayed")
				if s.Live() {
					person.Stayed = v.T("people.here")
				}
			}
			stays := p.Stays
			if len(stays) == 0 { // of a record that was written before there were any
				stays = []cobrowse.Stay{{From: p.JoinedAt, To: left}}
			}
			var there time.Duration
			for _, stay := range stays {
				if stay.To.IsZero() {
					stay.To = left
				}
				there += stay.To.Sub(stay.From)
				r.Bars = append(r.Bars, line.period(stay.From, stay.To, "", person.Name+": "+span(stay.To.Sub(stay.From))))
			}
			r.Spoken = span(there)
		} else {
			person.Left = moment{}
		}
		v.People = append(v.People, person)
		v.Rows = append(v.Rows, r)
	}
}

func (v *historyView) pages(s cobrowse.Session, line scale) {
	r := row{Name: v.T("timeline.pages"), Class: "pages-track", Spoken: strconv.Itoa(len(s.Pages))}
	for i, visit := range s.Pages {
		left := visit.LeftAt
		if left.IsZero() {
			left = line.to
		}
		page := pageView{Entered: at(visit.EnteredAt), Duration: span(left.Sub(visit.EnteredAt)), Title: visit.Title, URL: withoutQuery(visit.URL)}
		v.Pages = append(v.Pages, page)
		class := ""
		if i%2 == 1 {
			class = "other"
		}
		title := page.Title
		if title == "" {
			title = page.URL
		}
		r.Bars = append(r.Bars, line.period(visit.EnteredAt, left, class, title+": "+page.Duration))
	}
	if len(s.Pages) > 0 {
		v.Rows = append(v.Rows, r)
	}
}

func (v *historyView) grants(s cobrowse.Session, line scale) {
	type key struct {
		kind cobrowse.GrantKind
		to   cobrowse.ParticipantID
	}
	rows := map[key]int{}
	for _, g := range s.Grants {
		kind, to := v.texts.among("grant", string(g.Kind)), v.T("grants.everybody")
		if g.To != "" {
			to = v.texts.who(s, g.To)
		}
		until, why := v.until(s, g, line.to)
		gv := grantView{Kind: kind, To: to, From: at(g.GivenAt), Why: why, Text: g.TextVersion}
		if gv.Text == "" {
			gv.Text = v.T("grants.untold")
		}
		if why != v.T("grants.now") {
			gv.Until = at(until)
		}
		v.Grants = append(v.Grants, gv)

		k := key{g.Kind, g.To}
		if _, ok := rows[k]; !ok {
			class := "grant"
			if g.Kind == cobrowse.GrantControl {
				class = "grant control"
			}
			rows[k] = len(v.Rows)
			v.Rows = append(v.Rows, row{Name: kind, About: to, Class: class})
		}
		r := &v.Rows[rows[k]]
		length := span(until.Sub(g.GivenAt))
		r.Bars = append(r.Bars, line.period(g.GivenAt, until, "", kind+", "+to+": "+length))
		r.Spoken = strings.TrimPrefix(r.Spoken+", "+length, ", ")
	}
}

// until returns when a grant ended, or the end of the line, and why.
func (v *historyView) until(s cobrowse.Session, g cobrowse.Grant, end time.Time) (until time.Time, why string) {
	switch {
	case !g.RevokedAt.IsZero() && g.RevokedBy != "":
		return g.RevokedAt, strings.ReplaceAll(v.T("grants.revoked"), "{name}", v.texts.who(s, g.RevokedBy))
	case !g.RevokedAt.IsZero() && !s.Live() && !g.RevokedAt.Before(s.EndedAt):
		return g.RevokedAt, v.T("grants.session")
	case !g.RevokedAt.IsZero():
		return g.RevokedAt, v.T("grants.settings")
	case !g.ExpiresAt.IsZero() && !g.ExpiresAt.After(end):
		return g.ExpiresAt, v.T("grants.expired")
	case s.Live():
		return end, v.T("grants.now")
	default:
		return end, v.T("grants.session")
	}
}

func (v *historyView) actions(s cobrowse.Session, line scale) {
	r := row{Name: v.T("timeline.actions"), Class: "actions-track"}
	for _, a := range s.Actions {
		action := actionView{
			At: at(a.At), Who: v.texts.who(s, a.ParticipantID), What: v.texts.among("action", a.Kind), Path: a.Path,
			Result: v.texts.among("result", a.Result), Count: a.Count, OK: a.Result == "ok",
		}
		if last := at(a.LastAt); last.Text != action.At.Text {
			action.Last = last
		}
		v.Actions = append(v.Actions, action)
		class := ""
		if !action.OK {
			class = "refused"
		}
		r.Bars = append(r.Bars, line.point(a.At, class, action.Who+": "+action.What+", "+action.Result))
	}
	r.Spoken = strconv.Itoa(len(s.Actions))
	if len(s.Actions) > 0 {
		v.Rows = append(v.Rows, r)
	}
	if s.ActionsLeftOut > 0 {
		v.LeftOut = strings.ReplaceAll(v.T("actions.more"), "{count}", strconv.Itoa(s.ActionsLeftOut))
	}
}
