package dockerfile

import (
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// run makes the step of a RUN.
func (s *state) run(in Instruction) error {
	for _, f := range in.Flags {
		if f.Name != "network" || f.Value != "none" && f.Value != "default" {
			return s.f.Errorf(in.Line, "RUN --%s=%s is not supported", clip(f.Name), clip(f.Value))
		}
	}
	r := &Run{Cwd: s.config.WorkingDir, User: s.config.User, Env: s.environment()}
	if r.Cwd == "" {
		r.Cwd = "/"
	}
	switch {
	case in.JSON != nil:
		r.Argv = in.JSON
	case len(in.Heredocs) == 1 && regexp.MustCompile(`^<<-?["']?[A-Za-z_][\w.-]*["']?$`).MatchString(in.Rest):
		r.Argv, r.Stdin = s.script(in.Heredocs[0].Data)
	default:
		text := in.Rest
		for _, h := range in.Heredocs { // the shell's business
			text += "\n" + h.Data + h.Name
		}
		r.Argv = append(s.shell(), text)
	}
	if len(r.Argv) == 0 || r.Argv[0] == "" {
		return s.f.Errorf(in.Line, "RUN names no program")
	}
	s.steps = append(s.steps, Step{Line: in.Line, Text: in.Text(), Run: r})
	return nil
}

// script runs a document in the shell, or in what its first line names.
func (s *state) script(data string) (argv []string, stdin string) {
	first, _, _ := strings.Cut(data, "\n")
	if words := strings.Fields(strings.TrimPrefix(first, "#!")); strings.HasPrefix(first, "#!") && len(words) > 0 {
		return append(words, "/dev/stdin"), data
	}
	return append(s.shell(), data), ""
}

// environment is what a RUN sees: ARGs, and ENV over them.
func (s *state) environment() []string {
	var env []string
	for name, value := range s.args {
		env = setEnv(env, name, value)
	}
	for _, kv := range s.config.Env {
		name, value, _ := strings.Cut(kv, "=")
		env = setEnv(env, name, value)
	}
	slices.Sort(env)
	return env
}

// copy makes the step of a COPY or ADD.
func (s *state) copy(in Instruction) error {
	c := &Copy{Unpack: in.Name == "ADD"}
	for _, f := range in.Flags {
		value, err := s.expand(in, f.Value)
		if err != nil {
			return err
		}
		switch {
		case f.Name == "from" && in.Name == "COPY":
			c.From = f.Value // which stages are needed is known before variables are
		case f.Name == "chown":
			c.Chown = value
		case f.Name == "chmod":
			if n, err := strconv.ParseUint(value, 8, 32); err != nil || n > 0o7777 {
				return s.f.Errorf(in.Line, "--chmod=%s is no mode such as 755", clip(value))
			}
			c.Chmod = value
		case f.Name == "link": // how layers are made is not visible here
		default:
			return s.f.Errorf(in.Line, "%s takes no --%s", in.Name, clip(f.Name))
		}
	}
	words := in.JSON
	if words == nil {
		words = splitWords(in.Rest, s.f.escape)
	}
	if len(words) < 2 {
		return s.f.Errorf(in.Line, "%s takes at least one source and a destination", in.Name)
	}
	if err := s.sources(in, c, words[:len(words)-1]); err != nil {
		return err
	}
	dest, err := s.expand(in, words[len(words)-1])
	if err != nil {
		return err
	}
	c.Dest = s.destination(dest, len(c.Sources)+len(c.Files) > 1)
	s.steps = append(s.steps, Step{Line: in.Line, Text: in.Text(), Copy: c})
	return nil
}

func (s *state) sources(in Instruction, c *Copy, words []string) error {
	docs := in.Heredocs
	for _, w := range words {
		if strings.HasPrefix(w, "<<") && len(docs) > 0 {
			h := docs[0]
			docs = docs[1:]
			if !h.Quoted {
				e := expander{s: h.Data, escape: s.f.escape, get: s.variable, bare: true}
				data, err := e.run()
				if err != nil {
					return s.f.Errorf(in.Line, "%w", err)
				}
				h.Data = data
			}
			c.Files = append(c.Files, Document{h.Name, h.Data})
			continue
		}
		src, err := s.expand(in, w)
		if err != nil {
			return err
		}
		if strings.Contains(src, "://") || strings.HasPrefix(src, "git@") {
			return s.f.Errorf(in.Line, "%s fetches nothing from the network: %q", in.Name, clip(src))
		}
		if slices.Contains(strings.Split(src, "/"), "..") {
			return s.f.Errorf(in.Line, "the source %q leaves the build's directory", clip(src))
		}
		c.Sources = append(c.Sources, path.Join("/", src)[1:])
	}
	return nil
}

// destination makes a destination absolute and keeps the slash at its end, which
// says that it is a directory.
func (s *state) destination(dest string, many bool) string {
	dir := many || dest == "." || strings.HasSuffix(dest, "/") || strings.HasSuffix(dest, "/.")
	if !path.IsAbs(dest) {
		dest = path.Join("/", s.config.WorkingDir, dest)
	}
	dest = path.Clean(dest)
	if dir && dest != "/" {
		dest += "/"
	}
	return dest
}

// Needs lists the stages that target needs with the build's arguments, itself
// last, in an order in which they can be built.
func (f *File) Needs(target int, args map[string]string) []int {
	var order []int
	var visit func(n int)
	visit = func(n int) {
		if slices.Contains(order, n) {
			return
		}
		s := f.Stages[n]
		base, err := f.Base(n, args)
		if err != nil {
			base = "" // building the stage will say so
		}
		for _, name := range append([]string{base}, froms(s)...) {
			if on := f.Before(name, n); on >= 0 {
				visit(on)
			}
		}
		order = append(order, n)
	}
	visit(target)
	return order
}

func froms(s Stage) (names []string) {
	for _, in := range s.Instructions {
		if name := in.flag("from"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Before finds the stage that a FROM or --from of stage n means; -1 when it
// means something else.
func (f *File) Before(name string, n int) int {
	if i := f.Stage(name); i >= 0 && i < n {
		return i
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < n {
		return i
	}
	return -1
}
