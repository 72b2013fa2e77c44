package batch

import (
	"path"
	"slices"
	"strings"

	"github.com/brigdev/brig/api"
)

// Glob is a pattern for paths below /work: the patterns of path.Match in each
// component, and ** for any number of components, none included.
type Glob []string

// ParseGlob reads a pattern such as out/*.png or **/*.csv.
func ParseGlob(s string) (Glob, error) {
	bad := func(why string) (Glob, error) {
		return nil, api.Errorf(api.CodeInvalid, "cannot use the artifact pattern %q: because %s", s, why).
			WithFix("write it relative to /work, e.g. --artifacts 'out/*.png' or '**/*.csv'")
	}
	if path.IsAbs(s) {
		return bad("it is absolute")
	}
	parts := strings.Split(s, "/")
	for i, p := range parts {
		if p == "" || p == "." || p == ".." {
			return bad("it has an empty component, . or .. in it")
		}
		if _, err := path.Match(p, ""); err != nil {
			return bad("its brackets are not closed")
		}
		if p == "**" && i > 0 && parts[i-1] == "**" {
			return bad("it has ** twice in a row") // which would take time, and say nothing
		}
	}
	return parts, nil
}

// Match tells whether a path, relative and clean, is meant.
func (g Glob) Match(name string) bool { return match(g, strings.Split(name, "/"), false) }

// Reaches tells whether something below a directory could be meant.
func (g Glob) Reaches(dir string) bool {
	if dir == "." {
		return true
	}
	return match(g, strings.Split(dir, "/"), true)
}

// match compares the components; with prefix, the name may end before the
// pattern does.
func match(pattern, name []string, prefix bool) bool {
	// row[i] tells whether pattern[:i] matches what was read of the name.
	row := make([]bool, len(pattern)+1)
	row[0] = true
	skipStars(pattern, row)
	for _, part := range name {
		next := make([]bool, len(pattern)+1)
		for i, p := range pattern {
			if p == "**" {
				next[i+1] = next[i+1] || row[i] || row[i+1]
				next[i] = next[i] || row[i]
				continue
			}
			if ok, err := path.Match(p, part); row[i] && ok && err == nil {
				next[i+1] = true
			}
		}
		row = next
		skipStars(pattern, row)
	}
	if !prefix {
		return row[len(pattern)]
	}
	return slices.Contains(row[:len(pattern)], true) || len(pattern) > 0 && pattern[len(pattern)-1] == "**" && row[len(pattern)]
}

// skipStars lets ** stand for nothing.
func skipStars(pattern []string, row []bool) {
	for i, p := range pattern {
		if p == "**" && row[i] {
			row[i+1] = true
		}
	}
}
