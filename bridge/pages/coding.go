package pages

import (
	"strconv"
	"strings"
)

// chooseCoding picks the content coding for an Accept-Encoding header (RFC 9110,
// section 12.5.3): br before gzip when a client likes both alike, "" when it takes
// neither. A quality that is no number counts as none.
func chooseCoding(header string) string {
	quality := map[string]float64{}
	for entry := range strings.SplitSeq(header, ",") {
		coding, parameters, _ := strings.Cut(entry, ";")
		q := 1.0
		if text, ok := strings.CutPrefix(strings.TrimSpace(parameters), "q="); ok {
			parsed, err := strconv.ParseFloat(text, 64)
			if err != nil || !(parsed >= 0 && parsed <= 1) {
				continue
			}
			q = parsed
		}
		quality[strings.ToLower(strings.TrimSpace(coding))] = q
	}
	of := func(coding string) float64 {
		if q, named := quality[coding]; named {
			return q
		}
		return quality["*"]
	}
	best, most := "", 0.0
	for _, coding := range []string{"br", "gzip"} {
		if q := of(coding); q > most {
			best, most = coding, q
		}
	}
	if most < quality["identity"] {
		return ""
	}
	return best
}
