// Package templates holds the recipes of the root filesystems that Brig ships:
// data, so that what is in a template can be read and changed without reading
// code. internal/template builds them.
package templates

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.json
var files embed.FS

// Recipe says how a template is made.
type Recipe struct {
	Summary string `json:"summary"`
	// Packages are Debian's, on top of those that Debian calls essential.
	Packages []string `json:"packages"`
	// Drop are paths that the image leaves out, with what is below them. A * stands
	// for any one name.
	Drop []string `json:"drop"`
	// Warm are the Python modules that the baked interpreter has imported.
	Warm []string `json:"warm"`
	// Kernel are the languages whose code interpreter waits in the code snapshot.
	Kernel []string `json:"kernel"`
}

// Names lists the recipes.
func Names() []string {
	matches, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil // the pattern is a constant
	}
	for i, m := range matches {
		matches[i] = strings.TrimSuffix(m, ".json")
	}
	slices.Sort(matches)
	return matches
}

// Load reads one recipe; the error is fs.ErrNotExist for a name that has none.
func Load(name string) (Recipe, error) {
	data, err := files.ReadFile(name + ".json")
	if err != nil {
		return Recipe{}, fmt.Errorf("cannot read the recipe %q: %w", name, err)
	}
	var r Recipe
	if err := json.Unmarshal(data, &r); err != nil {
		return Recipe{}, fmt.Errorf("cannot read the recipe %q: %w", name, err)
	}
	return r, nil
}
