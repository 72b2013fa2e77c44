package template

// interpreter is a language that Brig knows how to run, where its interpreter is
// there. The first name that exists is taken.
type interpreter struct {
	language string
	ext      string
	names    []string
}

func interpreters() []interpreter {
	return []interpreter{
		{"bash", "sh", []string{"bash"}},
		{"lua", "lua", []string{"lua", "lua5.4", "lua5.3"}},
		{"node", "js", []string{"node", "nodejs"}},
		{"perl", "pl", []string{"perl"}},
		{"php", "php", []string{"php"}},
		{"python", "py", []string{"python3"}},
		{"ruby", "rb", []string{"ruby"}},
		{"sh", "sh", []string{"sh"}},
	}
}

// binDirs are the places of PATH, in its order.
func binDirs() []string { return []string{"/usr/local/bin", "/usr/bin", "/bin"} }

// findLanguages tells which languages a root filesystem can run. exists answers
// for an absolute path inside.
func findLanguages(exists func(path string) bool) map[string]Language {
	found := map[string]Language{}
	for _, in := range interpreters() {
		if path := findProgram(in.names, exists); path != "" {
			found[in.language] = Language{Ext: in.ext, Argv: []string{path}}
		}
	}
	return found
}

func findProgram(names []string, exists func(path string) bool) string {
	for _, name := range names {
		for _, dir := range binDirs() {
			if path := dir + "/" + name; exists(path) {
				return path
			}
		}
	}
	return ""
}
