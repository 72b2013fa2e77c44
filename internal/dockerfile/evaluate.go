package dockerfile

import (
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
)

// Config is what an image says about programs that run in it.
type Config struct {
	Env        []string          `json:"env,omitempty"` // NAME=VALUE
	WorkingDir string            `json:"working_dir,omitempty"`
	User       string            `json:"user,omitempty"`
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Cmd        []string          `json:"cmd,omitempty"`
	Shell      []string          `json:"shell,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
}

// Step is one instruction that changes files: exactly one of Run, Copy and
// Workdir is set.
type Step struct {
	Line    int
	Text    string // for people
	Run     *Run
	Copy    *Copy
	Workdir string // to be there
	User    string // whose the Workdir is when it is made; "" is root
}

// Run is a program to run.
type Run struct {
	Argv  []string
	Env   []string // NAME=VALUE, sorted
	Cwd   string
	User  string
	Stdin string
}

// Copy is a COPY or ADD.
type Copy struct {
	From    string // a stage, a template or an image; "" is the build's directory
	Sources []string
	Files   []Document // heredocs, besides Sources
	Dest    string     // absolute; it ends with / when it must be a directory
	Chown   string
	Chmod   string
	Unpack  bool // ADD: a local archive is unpacked
}

// Document is a file that is written in the Dockerfile itself.
type Document struct{ Name, Data string }

// Note is something that a person should know, and that is no error.
type Note struct {
	Line int
	Text string
}

// state is a stage while it is evaluated.
type state struct {
	f      *File
	config Config
	args   map[string]string // declared by ARG
	build  map[string]string // from the command line, and those that are always there
	global map[string]string // of the ARGs before the first FROM
	steps  []Step
	notes  []Note
	cmdSet bool
}

// Base gives what a stage starts from, its variables replaced.
func (f *File) Base(stage int, args map[string]string) (string, error) {
	global, err := f.globals(args)
	if err != nil {
		return "", err
	}
	from := f.Stages[stage].From
	for _, flag := range from.Flags {
		want := "linux/" + runtime.GOARCH
		got, err := expand(flag.Value, f.escape, lookup(global))
		if flag.Name != "platform" || err != nil || got != want {
			return "", f.Errorf(from.Line, "--%s=%s is not supported: images are for %s", clip(flag.Name), clip(flag.Value), want)
		}
	}
	base, err := expand(strings.Fields(from.Rest)[0], f.escape, lookup(global))
	if err != nil {
		return "", f.Errorf(from.Line, "%w", err)
	}
	if base == "" {
		return "", f.Errorf(from.Line, "FROM names nothing: a variable in it is empty")
	}
	return base, nil
}

func lookup(m map[string]string) vars {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

// globals are the ARGs before the first FROM and those that are always there.
func (f *File) globals(args map[string]string) (map[string]string, error) {
	platform := "linux/" + runtime.GOARCH
	global := map[string]string{
		"TARGETPLATFORM": platform, "TARGETOS": "linux", "TARGETARCH": runtime.GOARCH,
		"BUILDPLATFORM": platform, "BUILDOS": "linux", "BUILDARCH": runtime.GOARCH,
	}
	for _, in := range f.Args {
		for _, word := range splitWords(in.Rest, f.escape) {
			name, value, _ := strings.Cut(word, "=")
			value, err := expand(value, f.escape, lookup(global))
			if err != nil {
				return nil, f.Errorf(in.Line, "%w", err)
			}
			if given, ok := args[name]; ok {
				value = given
			}
			global[name] = value
		}
	}
	return global, nil
}

// Evaluate gives the steps of a stage on top of a base with that configuration,
// and the configuration at its end. args are the build's own.
// Errors: CodeInvalid with the line.
func (f *File) Evaluate(stage int, base Config, args map[string]string) ([]Step, Config, []Note, error) {
	global, err := f.globals(args)
	if err != nil {
		return nil, Config{}, nil, err
	}
	base.Env, base.Labels = slices.Clone(base.Env), maps.Clone(base.Labels)
	s := state{f: f, config: base, args: map[string]string{}, build: args, global: global}
	for _, in := range f.Stages[stage].Instructions {
		if err := s.instruction(in); err != nil {
			return nil, Config{}, nil, err
		}
	}
	return s.steps, s.config, s.notes, nil
}

func (s *state) instruction(in Instruction) error {
	switch {
	case ignored(in.Name):
		s.notes = append(s.notes, Note{in.Line, in.Name + " means nothing to a sandbox and is ignored"})
		return nil
	case len(in.Flags) > 0 && in.Name != "COPY" && in.Name != "ADD" && in.Name != "RUN":
		return s.f.Errorf(in.Line, "%s takes no --%s", in.Name, clip(in.Flags[0].Name))
	}
	switch in.Name {
	case "RUN":
		return s.run(in)
	case "COPY", "ADD":
		return s.copy(in)
	case "ENV", "LABEL":
		return s.pairs(in)
	case "ARG":
		return s.arg(in)
	case "WORKDIR":
		dir, err := s.expand(in, in.Rest)
		if err != nil {
			return err
		}
		s.config.WorkingDir = path.Join("/", s.config.WorkingDir, dir)
		if path.IsAbs(dir) {
			s.config.WorkingDir = path.Clean(dir)
		}
		s.steps = append(s.steps, Step{Line: in.Line, Text: in.Text(), Workdir: s.config.WorkingDir, User: s.config.User})
	case "USER":
		user, err := s.expand(in, in.Rest)
		s.config.User = user
		return err
	case "SHELL":
		if len(in.JSON) == 0 {
			return s.f.Errorf(in.Line, `SHELL takes a list: SHELL ["/bin/bash", "-c"]`)
		}
		s.config.Shell = in.JSON
	case "CMD":
		s.config.Cmd, s.cmdSet = s.command(in), true
	case "ENTRYPOINT":
		s.config.Entrypoint = s.command(in)
		if !s.cmdSet {
			s.config.Cmd = nil // the base's was for another entrypoint
		}
	}
	return nil
}

// command is the exec form, or the shell form in the shell.
func (s *state) command(in Instruction) []string {
	if in.JSON != nil {
		return in.JSON
	}
	return append(s.shell(), in.Rest)
}

func (s *state) shell() []string {
	if len(s.config.Shell) > 0 {
		return slices.Clone(s.config.Shell)
	}
	return []string{"/bin/sh", "-c"}
}

// variable is what $NAME means here: ENV before ARG.
func (s *state) variable(name string) (string, bool) {
	for _, kv := range slices.Backward(s.config.Env) {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			return v, true
		}
	}
	v, ok := s.args[name]
	return v, ok
}

func (s *state) expand(in Instruction, word string) (string, error) {
	v, err := expand(word, s.f.escape, s.variable)
	if err != nil {
		return "", s.f.Errorf(in.Line, "%w", err)
	}
	return v, nil
}

// pairs reads NAME=VALUE NAME=VALUE, or the old NAME VALUE. All values see the
// environment as it was before the instruction.
func (s *state) pairs(in Instruction) error {
	words := splitWords(in.Rest, s.f.escape)
	if len(words) > 1 && !strings.Contains(words[0], "=") {
		words = []string{words[0] + "=" + strings.TrimSpace(in.Rest[len(words[0]):])}
	}
	set := map[string]string{}
	var order []string
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		name, err := s.expand(in, k)
		if err != nil {
			return err
		}
		value, err := s.expand(in, v)
		if err != nil {
			return err
		}
		if !ok || name == "" || strings.ContainsRune(value, 0) {
			return s.f.Errorf(in.Line, "%s takes NAME=VALUE, and %q is none", in.Name, clip(w))
		}
		set[name] = value
		order = append(order, name)
	}
	for _, name := range order {
		if in.Name == "ENV" {
			s.config.Env = setEnv(s.config.Env, name, set[name])
			continue
		}
		if s.config.Labels == nil {
			s.config.Labels = map[string]string{}
		}
		s.config.Labels[name] = set[name]
	}
	return nil
}

func setEnv(env []string, name, value string) []string {
	for i, kv := range env {
		if strings.HasPrefix(kv, name+"=") {
			env[i] = name + "=" + value
			return env
		}
	}
	return append(env, name+"="+value)
}

func (s *state) arg(in Instruction) error {
	for _, word := range splitWords(in.Rest, s.f.escape) {
		name, value, given := strings.Cut(word, "=")
		value, err := s.expand(in, value)
		if err != nil {
			return err
		}
		fromBuild, asked := s.build[name]
		fromTop, above := s.global[name]
		switch {
		case asked:
			s.args[name] = fromBuild
		case given:
			s.args[name] = value
		case above:
			s.args[name] = fromTop
		}
	}
	return nil
}

// Unused are the build arguments that no ARG declares.
func (f *File) Unused(args map[string]string) []string {
	declared := map[string]bool{}
	note := func(list []Instruction) {
		for _, in := range list {
			if in.Name == "ARG" {
				for _, w := range splitWords(in.Rest, f.escape) {
					name, _, _ := strings.Cut(w, "=")
					declared[name] = true
				}
			}
		}
	}
	note(f.Args)
	for _, st := range f.Stages {
		note(st.Instructions)
	}
	var unused []string
	for name := range args {
		if !declared[name] {
			unused = append(unused, name)
		}
	}
	slices.Sort(unused)
	return unused
}
