// Package dockerfile reads Dockerfiles: Parse takes the text apart, Evaluate
// turns a stage into the steps that change files and the configuration that it
// ends with. It does no I/O; internal/template carries the steps out.
//
// Known: FROM with stages, RUN and COPY and ADD with heredocs, ENV, ARG, WORKDIR,
// USER, ENTRYPOINT, CMD, SHELL, LABEL, continuations, comments, and the escape
// directive. EXPOSE, VOLUME, STOPSIGNAL, HEALTHCHECK, MAINTAINER and ONBUILD mean
// nothing to a sandbox: they are ignored with a note. Anything else is an error
// that names its line.
package dockerfile

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
)

// Bounds of a file.
const (
	maxFile         = 1 << 20
	maxInstructions = 2000
	maxHeredocs     = 64 // of one instruction
)

// File is a Dockerfile that was taken apart.
type File struct {
	Name   string // for messages
	Args   []Instruction
	Stages []Stage
	escape byte
}

// Stage is a FROM and what follows it.
type Stage struct {
	Name         string // of FROM … AS, in lower case; "" without
	From         Instruction
	Instructions []Instruction
}

// Instruction is one instruction as it is written.
type Instruction struct {
	Line     int    // of its first line, from 1
	Name     string // in upper case
	Flags    []Flag
	Rest     string   // what follows the flags, continuations joined
	JSON     []string // Rest, when it is in the exec form
	Heredocs []Heredoc
}

// Flag is --Name=Value.
type Flag struct{ Name, Value string }

// Heredoc is a document below an instruction.
type Heredoc struct {
	Name   string // its delimiter
	Quoted bool   // variables in it are left alone
	Chomp  bool   // leading tabs were taken away
	Data   string
}

// Text is the instruction for people, on one line and clipped.
func (i Instruction) Text() string {
	const most = 120
	s := i.Name
	for _, f := range i.Flags {
		s += " --" + f.Name + "=" + f.Value
	}
	s = strings.Join(strings.Fields(s+" "+i.Rest), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// flag gives the last value of a flag.
func (i Instruction) flag(name string) string {
	v := ""
	for _, f := range i.Flags {
		if f.Name == name {
			v = f.Value
		}
	}
	return v
}

// Errorf is an error of the instruction's line.
func (f *File) Errorf(line int, format string, args ...any) *api.Error {
	e := api.Errorf(api.CodeInvalid, format, args...)
	return api.Errorf(api.CodeInvalid, "cannot build from %s: because of line %d: %w", f.Name, line, e)
}

// Parse takes a Dockerfile apart. Errors: CodeInvalid with the line.
func Parse(name string, data []byte) (*File, error) {
	f := &File{Name: name, escape: '\\'}
	if len(data) > maxFile {
		return nil, api.Errorf(api.CodeInvalid, "cannot build from %s: because it is larger than %s", name, api.FormatBytes(maxFile))
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, api.Errorf(api.CodeInvalid, "cannot build from %s: because it is no text in UTF-8", name)
	}
	text := strings.TrimPrefix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\ufeff")
	l := lines{all: strings.Split(text, "\n")}
	if err := f.directives(&l); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		in, ok, err := f.instruction(&l)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if n == maxInstructions {
			return nil, f.Errorf(in.Line, "there are more than %d instructions", maxInstructions)
		}
		if err := f.add(in); err != nil {
			return nil, err
		}
	}
	if len(f.Stages) == 0 {
		return nil, api.Errorf(api.CodeInvalid, "cannot build from %s: because there is no FROM in it", name).
			WithFix("begin it with FROM and a template, such as FROM python")
	}
	return f, nil
}

// lines hands out a file's lines.
type lines struct {
	all []string
	at  int
}

func (l *lines) next() (string, bool) {
	if l.at >= len(l.all) {
		return "", false
	}
	l.at++
	return l.all[l.at-1], true
}

// directives reads the comments at the top that say how to read the rest.
func (f *File) directives(l *lines) error {
	directive := regexp.MustCompile(`^#\s*([a-zA-Z]+)\s*=\s*(.*?)\s*$`)
	for l.at < len(l.all) {
		m := directive.FindStringSubmatch(l.all[l.at])
		if m == nil {
			return nil
		}
		l.at++
		if strings.EqualFold(m[1], "escape") {
			if m[2] != "\\" && m[2] != "`" {
				return f.Errorf(l.at, "the escape character is %q and only \\ and ` can be", m[2])
			}
			f.escape = m[2][0]
		}
	}
	return nil
}

// instruction reads the next one.
func (f *File) instruction(l *lines) (Instruction, bool, error) {
	text, line := "", 0
	for {
		s, ok := l.next()
		if !ok {
			if line == 0 {
				return Instruction{}, false, nil
			}
			break // a continuation at the end of the file
		}
		trimmed := strings.TrimSpace(s)
		if trimmed == "" || trimmed[0] == '#' {
			continue // within a continuation, too
		}
		if line == 0 {
			line, s = l.at, strings.TrimLeft(s, " \t")
		}
		end := strings.TrimRight(s, " \t")
		more := strings.HasSuffix(end, string(f.escape))
		if more {
			s = end[:len(end)-1]
		}
		text += s
		if !more {
			break
		}
	}
	in, err := f.split(line, text)
	if err != nil {
		return in, false, err
	}
	return in, true, f.heredocs(&in, l)
}

// split takes the name, the flags and the exec form from an instruction.
func (f *File) split(line int, text string) (Instruction, error) {
	name, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimSpace(text), "\t", " "), " ")
	in := Instruction{Line: line, Name: strings.ToUpper(name)}
	rest := strings.TrimSpace(text)[len(name):]
	for {
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, "--") || !slices.Contains([]string{"FROM", "RUN", "COPY", "ADD", "HEALTHCHECK"}, in.Name) {
			break
		}
		word := rest
		if i := strings.IndexAny(rest, " \t"); i >= 0 {
			word = rest[:i]
		}
		rest = rest[len(word):]
		k, v, _ := strings.Cut(word[2:], "=")
		in.Flags = append(in.Flags, Flag{k, v})
	}
	in.Rest = strings.TrimSpace(rest)
	if strings.HasPrefix(in.Rest, "[") {
		var list []string
		if json.Unmarshal([]byte(in.Rest), &list) == nil {
			in.JSON = list
			if list == nil {
				in.JSON = []string{}
			}
		}
	}
	return in, nil
}

// heredocs reads the documents that an instruction announces.
func (f *File) heredocs(in *Instruction, l *lines) error {
	if !slices.Contains([]string{"RUN", "COPY", "ADD"}, in.Name) || in.JSON != nil {
		return nil
	}
	announce := regexp.MustCompile(`(?:^|\s)[0-9]*<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_.-]*)(["']?)`)
	for n, m := range announce.FindAllStringSubmatch(in.Rest, -1) {
		if n == maxHeredocs {
			return f.Errorf(in.Line, "it announces more than %d documents", maxHeredocs)
		}
		if m[2] != m[4] {
			continue // not the whole of a quoted word
		}
		h := Heredoc{Name: m[3], Quoted: m[2] != "", Chomp: m[1] != ""}
		var body strings.Builder
		for {
			s, ok := l.next()
			if !ok {
				return f.Errorf(in.Line, "the document %s does not end: no line is just %s", h.Name, h.Name)
			}
			if h.Chomp {
				s = strings.TrimLeft(s, "\t")
			}
			if s == h.Name {
				break
			}
			body.WriteString(s + "\n")
		}
		h.Data = body.String()
		in.Heredocs = append(in.Heredocs, h)
	}
	return nil
}

// add puts an instruction into its stage.
func (f *File) add(in Instruction) error {
	if !known(in.Name) {
		return f.Errorf(in.Line, "there is no instruction %q", clip(in.Name))
	}
	if in.Rest == "" && len(in.Heredocs) == 0 {
		return f.Errorf(in.Line, "%s says nothing", in.Name)
	}
	switch {
	case in.Name == "FROM":
		s := Stage{From: in}
		words := strings.Fields(in.Rest)
		switch {
		case len(words) == 3 && strings.EqualFold(words[1], "as"):
			s.Name = strings.ToLower(words[2])
			if !regexp.MustCompile(`^[a-z][a-z0-9_.-]*$`).MatchString(s.Name) {
				return f.Errorf(in.Line, "%q is no name of a stage", clip(words[2]))
			}
			if f.Stage(s.Name) >= 0 {
				return f.Errorf(in.Line, "another stage is called %s", s.Name)
			}
		case len(words) != 1:
			return f.Errorf(in.Line, "FROM takes an image, or an image AS a name")
		}
		f.Stages = append(f.Stages, s)
	case len(f.Stages) > 0:
		s := &f.Stages[len(f.Stages)-1]
		s.Instructions = append(s.Instructions, in)
	case in.Name == "ARG":
		f.Args = append(f.Args, in)
	default:
		return f.Errorf(in.Line, "%s stands before the first FROM", in.Name)
	}
	return nil
}

// Stage finds a stage by its name; -1 when there is none.
func (f *File) Stage(name string) int {
	return slices.IndexFunc(f.Stages, func(s Stage) bool { return s.Name != "" && s.Name == strings.ToLower(name) })
}

func known(name string) bool {
	return slices.Contains([]string{"FROM", "RUN", "COPY", "ADD", "ENV", "ARG", "WORKDIR", "USER", "ENTRYPOINT", "CMD", "SHELL", "LABEL"}, name) || ignored(name)
}

// ignored are the instructions that say nothing to a sandbox.
func ignored(name string) bool {
	return slices.Contains([]string{"EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "MAINTAINER", "ONBUILD"}, name)
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
