package dockerfile

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/brigdev/brig/api"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func parse(t testing.TB, text string) *File {
	t.Helper()
	f, err := Parse("Dockerfile", []byte(text))
	must(t, err)
	return f
}

func TestParse(t *testing.T) {
	f := parse(t, "\ufeff# syntax=docker/dockerfile:1\n# escape=\\\n\nARG V=1\n from base AS One\n\nrun echo a \\\n  # a comment within\n\n  && echo b\nCOPY --from=x --chown=1:2 [\"a b\", \"c\"]\nRUN <<EOF\nfirst\n\nsecond\nEOF\nCOPY <<'A' <<-B /d/\n$x\nA\n\ttabs\nB\nRUN echo \"<<no\" 1 << 2\nCMD last \\")
	type flat struct {
		Line       int
		Name, Rest string
		Flags      []Flag
		JSON       []string
		Heredocs   []Heredoc
	}
	var got []flat
	for _, in := range append(slices.Clone(f.Args), append([]Instruction{f.Stages[0].From}, f.Stages[0].Instructions...)...) {
		got = append(got, flat{in.Line, in.Name, in.Rest, in.Flags, in.JSON, in.Heredocs})
	}
	want := []flat{
		{4, "ARG", "V=1", nil, nil, nil},
		{5, "FROM", "base AS One", nil, nil, nil},
		{7, "RUN", "echo a   && echo b", nil, nil, nil},
		{11, "COPY", `["a b", "c"]`, []Flag{{"from", "x"}, {"chown", "1:2"}}, []string{"a b", "c"}, nil},
		{12, "RUN", "<<EOF", nil, nil, []Heredoc{{Name: "EOF", Data: "first\n\nsecond\n"}}},
		{17, "COPY", "<<'A' <<-B /d/", nil, nil, []Heredoc{{Name: "A", Quoted: true, Data: "$x\n"}, {Name: "B", Chomp: true, Data: "tabs\n"}}},
		{22, "RUN", `echo "<<no" 1 << 2`, nil, nil, nil},
		{23, "CMD", "last", nil, nil, nil},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if f.Stages[0].Name != "one" {
		t.Errorf("stage %q", f.Stages[0].Name)
	}
}

func TestEscapeDirective(t *testing.T) {
	f := parse(t, "# escape=`\nFROM base\nRUN a `\n b\\\nRUN c")
	if n := len(f.Stages[0].Instructions); n != 2 || f.Stages[0].Instructions[0].Rest != `a  b\` {
		t.Errorf("%d instructions: %+v", n, f.Stages[0].Instructions)
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "there is no FROM",
		"# only\n":                        "there is no FROM",
		"RUN x\nFROM base":                "line 1: RUN stands before the first FROM",
		"FROM base\n\nINSTALL x":          "line 3: there is no instruction \"INSTALL\"",
		"FROM base\nRUN":                  "line 2: RUN says nothing",
		"FROM":                            "line 1: FROM says nothing",
		"FROM a b c d":                    "line 1: FROM takes an image",
		"FROM a AS 1x":                    "line 1: \"1x\" is no name of a stage",
		"FROM a AS x\nFROM b AS X":        "line 2: another stage is called x",
		"FROM base\nRUN <<EOF\nx":         "line 2: the document EOF does not end",
		"# escape=x\nFROM base":           "line 1: the escape character",
		"FROM base\nENV a":                "line 2: ENV takes NAME=VALUE",
		"FROM base\nENV =x":               "line 2: ENV takes NAME=VALUE",
		"FROM base\nENV a='x":             "line 2: a ' is not closed",
		"FROM base\nENV a=\"x":            "line 2: a \" is not closed",
		"FROM base\nENV a=${b":            "line 2: a ${ is not closed",
		"FROM base\nENV a=${b#x}":         "line 2: ${b#x} is none of",
		"FROM base\nENV a=${b:?no}":       "line 2: the variable b has no value: no",
		"FROM base\nSHELL sh":             "line 2: SHELL takes a list",
		"FROM base\nRUN --mount=x y":      "line 2: RUN --mount=x is not supported",
		"FROM base\nRUN []":               "line 2: RUN names no program",
		"FROM base\nCOPY a":               "line 2: COPY takes at least one source",
		"FROM base\nCOPY --what=x a b":    "line 2: COPY takes no --what",
		"FROM base\nCOPY --chmod=rwx a b": "line 2: --chmod=rwx is no mode",
		"FROM base\nCOPY a/../../b c":     "line 2: the source \"a/../../b\" leaves",
		"FROM base\nADD https://x/y z":    "line 2: ADD fetches nothing",
		"FROM base\nADD --from=x y z":     "line 2: ADD takes no --from",
		"FROM $X":                         "line 1: FROM names nothing",
		"FROM --platform=plan9/z80 base":  "line 1: --platform=plan9/z80 is not supported",
		"FROM base\nRUN a\x00b":           "no text in UTF-8",
		"FROM base\n" + strings.Repeat("RUN x\n", maxInstructions): "more than 2000 instructions",
		strings.Repeat("#", maxFile+1):                             "larger than",
	} {
		f, err := Parse("Dockerfile", []byte(text))
		if err == nil {
			if _, err = f.Base(0, nil); err == nil {
				_, _, _, err = f.Evaluate(0, Config{}, nil)
			}
		}
		if api.CodeOf(err) != api.CodeInvalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %q", text, err, want)
		}
	}
}

func TestExpand(t *testing.T) {
	get := lookup(map[string]string{"a": "A", "empty": "", "sp": "x y"})
	for word, want := range map[string]string{
		"$a": "A", "${a}b": "Ab", "$ab": "", "${no:-d}": "d", "${empty:-d}": "d", "${empty-d}": "", "${no-d}": "d", "${a:+s}": "s", "${no:+s}": "", "${empty+s}": "s",
		"${no:-${a}}": "A", "${no:-${no:-x}}": "x", `'$a'`: "$a", `"$a b"`: "A b", `\$a`: "$a", `"\$a"`: "$a", `"a\b"`: `a\b`, `a\ b`: "a b", "$": "$", "a$": "a$", "$1": "$1",
		"$sp": "x y", `"it's"`: "it's", "${a:?x}": "A",
	} {
		if got, err := expand(word, '\\', get); err != nil || got != want {
			t.Errorf("%s: got %q (%v), want %q", word, got, err, want)
		}
	}
}

func TestEvaluate(t *testing.T) {
	f := parse(t, `ARG TOP=t
FROM base
ARG TOP
ARG WHO=you
ENV A=1 B="two words" C=$WHO
ENV OLD form of it
ENV B=$B-$B
WORKDIR app
WORKDIR sub
RUN make $X
SHELL ["/bin/bash", "-c"]
USER me
RUN ["a", "b"]
RUN <<EOF
#!/usr/bin/env python3
print(1)
EOF
RUN cat <<EOF > x
y
EOF
COPY --chmod=644 a b* dir/
COPY . .
ADD x.tar /opt
EXPOSE 80
ENTRYPOINT exec it
LABEL "x y"=z
`)
	steps, config, notes, err := f.Evaluate(0, Config{Env: []string{"PATH=/p", "A=0"}, Cmd: []string{"old"}}, map[string]string{"WHO": "me", "TOP": "over"})
	must(t, err)
	env := []string{"A=1", "B=two words-two words", "C=me", "OLD=form of it", "PATH=/p", "TOP=over", "WHO=me"}
	type step struct {
		Line    int
		Run     *Run
		Copy    *Copy
		Workdir string
	}
	var got []step
	for _, s := range steps {
		got = append(got, step{s.Line, s.Run, s.Copy, s.Workdir})
	}
	run := func(user, stdin string, argv ...string) *Run {
		return &Run{Argv: argv, Env: env, Cwd: "/app/sub", User: user, Stdin: stdin}
	}
	want := []step{
		{8, nil, nil, "/app"}, {9, nil, nil, "/app/sub"},
		{10, run("", "", "/bin/sh", "-c", "make $X"), nil, ""},
		{13, run("me", "", "a", "b"), nil, ""},
		{14, run("me", "#!/usr/bin/env python3\nprint(1)\n", "/usr/bin/env", "python3", "/dev/stdin"), nil, ""},
		{18, run("me", "", "/bin/bash", "-c", "cat <<EOF > x\ny\nEOF"), nil, ""},
		{21, nil, &Copy{Sources: []string{"a", "b*"}, Dest: "/app/sub/dir/", Chmod: "644"}, ""},
		{22, nil, &Copy{Sources: []string{""}, Dest: "/app/sub/"}, ""},
		{23, nil, &Copy{Sources: []string{"x.tar"}, Dest: "/opt", Unpack: true}, ""},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	wantConfig := Config{
		Env: []string{"PATH=/p", "A=1", "B=two words-two words", "C=me", "OLD=form of it"}, WorkingDir: "/app/sub", User: "me",
		Entrypoint: []string{"/bin/bash", "-c", "exec it"}, Shell: []string{"/bin/bash", "-c"}, Labels: map[string]string{"x y": "z"},
	}
	if d := cmp.Diff(wantConfig, config); d != "" {
		t.Error(d)
	}
	if len(notes) != 1 || notes[0].Line != 24 {
		t.Errorf("notes %v", notes)
	}
	if got := f.Unused(map[string]string{"WHO": "", "TOP": "", "NOBODY": ""}); !slices.Equal(got, []string{"NOBODY"}) {
		t.Errorf("unused %v", got)
	}
}

// TestWorkdirIsTheUsers: a WORKDIR that is made after USER is that user's.
func TestWorkdirIsTheUsers(t *testing.T) {
	steps, _, _, err := parse(t, "FROM base\nWORKDIR /a\nUSER me\nWORKDIR /b\n").Evaluate(0, Config{}, nil)
	must(t, err)
	if len(steps) != 2 || steps[0].User != "" || steps[1].User != "me" {
		t.Errorf("steps %+v", steps)
	}
}

func TestStages(t *testing.T) {
	f := parse(t, "ARG B=base\nFROM ${B}:1 AS a\nFROM other\nFROM a AS c\nCOPY --from=1 x y\nFROM c\nCOPY --from=a x y\nCOPY --from=image z z\n")
	if got := f.Needs(3, nil); !slices.Equal(got, []int{0, 1, 2, 3}) {
		t.Errorf("needs %v", got)
	}
	if got := f.Needs(0, nil); !slices.Equal(got, []int{0}) {
		t.Errorf("needs %v", got)
	}
	byArg := parse(t, "ARG S=a\nFROM x AS a\nFROM x AS b\nFROM $S")
	if got := byArg.Needs(2, map[string]string{"S": "b"}); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("needs %v", got)
	}
	for args, want := range map[string]string{"": "base:1", "x": "x:1"} {
		given := map[string]string{}
		if args != "" {
			given["B"] = args
		}
		if got, err := f.Base(0, given); err != nil || got != want {
			t.Errorf("base %q: %v", got, err)
		}
	}
	g := parse(t, "FROM --platform=$TARGETPLATFORM base\nRUN x")
	if got, err := g.Base(0, nil); err != nil || got != "base" {
		t.Errorf("base %q: %v on %s", got, err, runtime.GOARCH)
	}
	for name, want := range map[string]int{"a": 0, "A": 0, "1": 1, "3": -1, "c": -1, "none": -1} {
		if got := f.Before(name, 2); got != want {
			t.Errorf("Before(%s) = %d", name, got)
		}
	}
}

func TestIgnore(t *testing.T) {
	ig := ParseIgnore([]byte("# comment\n*.env\n/build\n**/cache\ndocs/*\n!docs/keep.md\na?c\n[xy]z\nd/**/e\n"))
	for name, want := range map[string]bool{
		"x.env": true, "sub/x.env": false, "build": true, "build/x": true, "sub/build": false, "cache": true, "a/b/cache": true, "a/cache/x": true,
		"docs/x": true, "docs/keep.md": false, "docs": false, "abc": true, "abbc": false, "xz": true, "zz": false, "d/e": true, "d/1/2/e": true, "main.py": false,
	} {
		if got := ig.Match(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if !ig.Excepts() || ParseIgnore(nil).Match("x") {
		t.Error("exceptions, or an empty file")
	}
}

// FuzzDockerfile: whatever a Dockerfile says, reading it ends, an error is the
// file's, and no step leaves the root or the build's directory.
func FuzzDockerfile(f *testing.F) {
	f.Add("FROM base AS a\nARG X=1\nENV Y=${X:-2} Z='q'\nRUN <<EOF\nx\nEOF\nCOPY --from=a [\"x\",\"y\"]\nADD a b c/\nWORKDIR ../..\n")
	f.Add("# escape=`\nFROM a\nRUN b `\n# c\n d")
	f.Add("FROM a\nLABEL \"a b\"=c d=\"e\\\"f\"\nSHELL [\"x\"]\nENTRYPOINT y")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse("Dockerfile", []byte(text))
		if err != nil {
			if api.CodeOf(err) != api.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		for n := range d.Stages {
			_ = fmt.Sprint(d.Needs(n, nil))
			if _, err := d.Base(n, nil); err != nil && api.CodeOf(err) != api.CodeInvalid {
				t.Fatal(err)
			}
			steps, _, _, err := d.Evaluate(n, Config{}, nil)
			if err != nil && api.CodeOf(err) != api.CodeInvalid {
				t.Fatal(err)
			}
			for _, s := range steps {
				if s.Copy == nil {
					continue
				}
				for _, p := range append(s.Copy.Sources, s.Copy.Dest) {
					if slices.Contains(strings.Split(p, "/"), "..") {
						t.Errorf("%q leaves", p)
					}
				}
				if !strings.HasPrefix(s.Copy.Dest, "/") {
					t.Errorf("the destination %q is relative", s.Copy.Dest)
				}
			}
		}
	})
}
