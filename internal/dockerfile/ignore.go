package dockerfile

import (
	"path"
	"regexp"
	"strings"
)

// Ignore is a .dockerignore: which files of the build's directory do not exist
// for it.
type Ignore struct{ rules []rule }

type rule struct {
	re   *regexp.Regexp
	keep bool // !pattern
}

// maxRules bounds a .dockerignore.
const maxRules = 1000

// ParseIgnore reads a .dockerignore. Lines that are no pattern are left out.
func ParseIgnore(data []byte) Ignore {
	var ig Ignore
	for line := range strings.Lines(strings.TrimPrefix(string(data), "\ufeff")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || len(ig.rules) == maxRules {
			continue
		}
		keep := line[0] == '!'
		if keep {
			line = strings.TrimSpace(line[1:])
		}
		p := path.Clean("/" + line)[1:]
		if re, err := regexp.Compile(pattern(p)); err == nil && p != "" {
			ig.rules = append(ig.rules, rule{re, keep})
		}
	}
	return ig
}

// Match tells whether a path, relative and with slashes, is ignored. The last
// rule that matches it, or a directory above it, decides.
func (ig Ignore) Match(name string) bool {
	ignored := false
	for _, r := range ig.rules {
		if r.keep == ignored && r.re.MatchString(name) {
			ignored = !r.keep
		}
	}
	return ignored
}

// Excepts tells whether any rule takes something back: then a directory that is
// ignored has to be looked into.
func (ig Ignore) Excepts() bool {
	for _, r := range ig.rules {
		if r.keep {
			return true
		}
	}
	return false
}

// pattern turns a shell pattern into a regular expression: * and ? stay within a
// name, ** does not. It matches what is below, too.
func pattern(p string) string {
	var b strings.Builder
	b.WriteString("^")
	for i := 0; i < len(p); i++ {
		switch c := p[i]; {
		case strings.HasPrefix(p[i:], "**/"):
			b.WriteString("(.*/)?")
			i += 2
		case strings.HasPrefix(p[i:], "**"):
			b.WriteString(".*")
			i++
		case c == '*':
			b.WriteString("[^/]*")
		case c == '?':
			b.WriteString("[^/]")
		case c == '[' && strings.IndexByte(p[i:], ']') > 0:
			end := i + strings.IndexByte(p[i:], ']')
			b.WriteString(p[i : end+1])
			i = end
		case c == '\\' && i+1 < len(p):
			i++
			b.WriteString(regexp.QuoteMeta(string(p[i])))
		default:
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
		}
	}
	b.WriteString("(/.*)?$")
	return b.String()
}
