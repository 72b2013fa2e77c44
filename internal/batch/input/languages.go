package input

import (
	"slices"
	"strings"
)

// language is a language that items may be in: the extension of its script
// files and the names it goes by, in items, behind code fences and as a file's
// extension.
type language struct {
	name  string
	ext   string
	names []string
}

func languages() []language {
	return []language{
		{"python", "py", []string{"python", "python3", "py", "py3"}},
		{"bash", "sh", []string{"bash"}},
		{"sh", "sh", []string{"sh", "shell"}},
		{"node", "js", []string{"node", "nodejs", "javascript", "js", "mjs", "cjs"}},
		{"ruby", "rb", []string{"ruby", "rb"}},
		{"perl", "pl", []string{"perl", "pl"}},
		{"php", "php", []string{"php"}},
		{"lua", "lua", []string{"lua"}},
	}
}

// Languages are the names that templates know languages by.
func Languages() []string {
	var names []string
	for _, l := range languages() {
		names = append(names, l.name)
	}
	return names
}

// Language gives the name that templates know a language by.
func Language(name string) (string, bool) {
	name = strings.ToLower(name)
	for _, l := range languages() {
		if slices.Contains(l.names, name) {
			return l.name, true
		}
	}
	return "", false
}

// Ext is the extension of a language's script files, without the dot.
func Ext(name string) string {
	for _, l := range languages() {
		if l.name == name {
			return l.ext
		}
	}
	return "txt"
}

// resolveLanguage names an item's language, or says why it has none.
func (o Options) resolveLanguage(name string) (lang, reason string) {
	if name == "" {
		name = o.Language
	}
	lang, ok := Language(name)
	if !ok {
		return "", "unknown language " + quote(name)
	}
	if o.Languages != nil && !slices.Contains(o.Languages, lang) {
		return "", "the template cannot run language " + quote(lang)
	}
	return lang, ""
}
