package maskproof

import (
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"
)

// Report is the outcome of a proof. It holds no secret.
type Report struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Version  string    `json:"version"`
	Browser  string    `json:"browser"`
	Steps    int       `json:"steps"` // things that were typed, or that the page did, while it was shared
	Length   int       `json:"secretCharacters"`
	Piece    int       `json:"pieceCharacters"`
	Traffic  []Traffic `json:"traffic"`
	Rows     []Row     `json:"secrets"`
	// Control tells where the text was found that is not masked: without it the
	// search would prove nothing.
	Control []Traffic `json:"control"`
}

// Row is one secret and what became of it.
type Row struct {
	Secret
	Found []Found `json:"found"`
}

func newReport(cfg Config, started time.Time, steps int, t *tap) Report {
	r := Report{
		Started: started, Finished: cfg.Now(), Version: cfg.Version, Steps: steps, Length: secretLength, Piece: piece, Traffic: t.traffic(),
	}
	for _, s := range cfg.Page.secrets {
		r.Rows = append(r.Rows, Row{Secret: s, Found: t.search(s)})
	}
	for _, kind := range r.Traffic {
		if n := t.count(kind.Kind, []byte(cfg.Page.control)); n > 0 {
			r.Control = append(r.Control, Traffic{Kind: kind.Kind, Messages: n})
		}
	}
	return r
}

// Leaks returns how many secrets were found somewhere.
func (r Report) Leaks() int {
	n := 0
	for _, row := range r.Rows {
		if len(row.Found) > 0 {
			n++
		}
	}
	return n
}

// Valid reports whether the search found what it has to find: the text that is
// not masked, in what the customer's page sent and in what the viewer saw.
func (r Report) Valid() bool {
	for _, want := range []string{sentFrames, viewerFrames, viewerPicture} {
		if !slices.ContainsFunc(r.Control, func(t Traffic) bool { return t.Kind == want }) {
			return false
		}
	}
	return true
}

// Passed reports whether the proof holds.
func (r Report) Passed() bool { return r.Valid() && r.Leaks() == 0 && len(r.Rows) > 0 }

// WriteHTML writes the report as a page of its own, to be read and printed.
func (r Report) WriteHTML(w io.Writer) error {
	page, err := template.New("report").Parse(reportText)
	if err != nil {
		return fmt.Errorf("read report: %w", err)
	}
	if err := page.Execute(w, r); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
