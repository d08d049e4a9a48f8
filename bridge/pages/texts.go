package pages

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// defaultLanguage is spoken to whoever asks for none that we have.
const defaultLanguage = "en"

// texts are all texts of all languages: language, key, text.
type texts map[string]map[string]string

// loadTexts reads <language>.json of a directory. Every language must have every text.
func loadTexts(files fs.FS, dir string) (texts, error) {
	names, err := fs.Glob(files, dir+"/*.json")
	if err != nil {
		return nil, fmt.Errorf("list texts: %w", err)
	}
	all := texts{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read texts: %w", err)
		}
		of := map[string]string{}
		if err := json.Unmarshal(data, &of); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		all[strings.TrimSuffix(path.Base(name), ".json")] = of
	}
	want := slices.Sorted(maps.Keys(all[defaultLanguage]))
	for language, of := range all {
		if got := slices.Sorted(maps.Keys(of)); !slices.Equal(got, want) {
			return nil, fmt.Errorf("texts of %s and %s do not have the same keys", language, defaultLanguage)
		}
	}
	return all, nil
}

// choose picks the language for an Accept-Language header (RFC 9110, section
// 12.5.4). Only the first part of a tag counts: de-AT is de.
func (t texts) choose(header string) string {
	best, bestQuality := defaultLanguage, 0.0
	for entry := range strings.SplitSeq(header, ",") {
		tag, parameters, _ := strings.Cut(entry, ";")
		language, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		quality := 1.0
		if q, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			parsed, err := strconv.ParseFloat(q, 64)
			if err != nil {
				continue
			}
			quality = parsed
		}
		if _, known := t[language]; known && quality > bestQuality && quality <= 1 {
			best, bestQuality = language, quality
		}
	}
	return best
}

// languages returns the languages that there are, in order.
func (t texts) languages() []string { return slices.Sorted(maps.Keys(t)) }

// with returns the texts with others added, or in the place of their own.
func (t texts) with(others texts) texts {
	all := texts{}
	for language, own := range t {
		all[language] = maps.Clone(own)
		maps.Copy(all[language], others[language])
	}
	return all
}
