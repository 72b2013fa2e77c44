package cgroup

import (
	"io/fs"
	"path/filepath"
	"strings"
)

// maxDepth of a search: below it nobody starts a Brig.
const maxDepth = 12

// Elsewhere finds trees of the same name under other parents. A tree is made
// below its maker's own group, and whoever cleans up after a dead Brig may have
// been started in another one: another login, another service.
func (t *Tree) Elsewhere(name string) []*Tree {
	var found []*Tree
	if t.v2 || len(t.parent) == 0 {
		for _, dir := range directories(v2Root, name) {
			if dir != t.parent[""] {
				found = append(found, &Tree{v2: t.v2, parent: map[string]string{"": dir}})
			}
		}
		return found
	}
	for _, c := range v1Controllers {
		for _, dir := range directories(filepath.Join(v1Root, c), name) {
			if dir != t.parent[c] {
				found = append(found, &Tree{parent: map[string]string{c: dir}})
			}
		}
	}
	return found
}

func directories(root, name string) []string {
	var found []string
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir():
			return nil // what vanishes meanwhile is not what we look for
		case d.Name() == name:
			found = append(found, path)
			return fs.SkipDir
		case strings.Count(path, "/")-strings.Count(root, "/") >= maxDepth:
			return fs.SkipDir
		}
		return nil
	})
	return found
}
