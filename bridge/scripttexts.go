package bridge

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/cobridge/cobridge/cobrowse/webui"
)

// scriptTexts reads the words of the customer script, by language and name.
func scriptTexts() (map[string]map[string]string, error) {
	files := webui.Files()
	names, err := fs.Glob(files, "texts/sdk/*.json")
	if err != nil {
		return nil, fmt.Errorf("list texts of the customer script: %w", err)
	}
	all := make(map[string]map[string]string, len(names))
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read texts of the customer script: %w", err)
		}
		var texts map[string]string
		if err := json.Unmarshal(data, &texts); err != nil {
			return nil, fmt.Errorf("read texts of the customer script: %s: %w", name, err)
		}
		all[strings.TrimSuffix(path.Base(name), ".json")] = texts
	}
	return all, nil
}
