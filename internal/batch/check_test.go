package batch

import (
	"bytes"
	"encoding/json"
	"path"
	"strings"
	"testing"
)

func TestCheckResult(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for in, want := range map[string]string{
		`{"a": [1, 2],  "b": null}`: `{"a":[1,2],"b":null}`,
		"\n 17 \n":                  "17",
		`"line\nbreak <&>"`:         `"line\nbreak <&>"`,
		`1e999999`:                  `1e999999`,
		digits(maxNumberBytes):      digits(maxNumberBytes),
		`"` + digits(5000) + `"`:    `"` + digits(5000) + `"`,
		`"[[[[ \" [[["`:             `"[[[[ \" [[["`,
		deep(maxResultDepth):        deep(maxResultDepth),
	} {
		if got, reason := checkResult([]byte(in)); string(got) != want || reason != "" {
			t.Errorf("%.60s: %.60s, %q", in, got, reason)
		}
	}
	for in, want := range map[string]string{
		"":                         "it is empty",
		" \n":                      "it is empty",
		"NaN":                      "it is not JSON",
		"{'a': 1}":                 "it is not JSON",
		"1 2":                      "it is not JSON",
		`{"a":`:                    "it is not JSON",
		"\"\xff\"":                 "it is not UTF-8",
		"\xef\xbb\xbf1":            "it is not JSON",
		deep(maxResultDepth + 1):   "it is nested deeper than 500 levels",
		deep(100_000):              "it is nested deeper",
		`[-` + digits(5000) + `]`:  "it has a number of more than 1000 digits",
		strings.Repeat("[", 1<<20): "it is nested deeper",
	} {
		if got, reason := checkResult([]byte(in)); got != nil || !strings.HasPrefix(reason, want) {
			t.Errorf("%.60s: %.60s, %q, want %q", in, got, reason, want)
		}
	}
}

func digits(n int) string { return strings.Repeat("7", n) }

func FuzzCheckResult(f *testing.F) {
	for _, s := range []string{`{"a": "\u00ff\\"}`, "[[[]]]", "NaN", `"\"[`, "]]]]{", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		line, reason := checkResult(b)
		if (line == nil) == (reason == "") {
			t.Fatalf("%q gives %q and %q", b, line, reason)
		}
		if line != nil && (!json.Valid(line) || bytes.ContainsRune(line, '\n')) {
			t.Errorf("%q became %q", b, line)
		}
	})
}

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		glob           string
		match, refuse  string // names, separated by blanks
		reach, skipDir string // directories
	}{
		{"out/*.png", "out/a.png out/.png", "a.png out/a.csv out/b/a.png xout/a.png", ". out", "in out/b"},
		{"**/*.csv", "a.csv x/a.csv x/y/a.csv", "a.png", ". x x/y/z", ""},
		{"out/**", "out/a out/b/c", "a in/a", ". out out/b/c", "in"},
		{"a/**/b", "a/b a/x/b a/x/y/b", "a b x/a/b", ". a a/x", "b"},
		{"**", "a a/b", "", ". a a/b", ""},
		{"*", "a", "a/b", ".", "a"},
		{"[ab]?.txt", "ax.txt b1.txt", "c1.txt a.txt", ".", "a"},
		{"a/**/b/**/c", "a/b/c a/x/b/y/z/c", "a/c a/b/d", ". a a/b a/q", "c"},
	} {
		g, err := ParseGlob(tc.glob)
		if err != nil {
			t.Errorf("%s: %v", tc.glob, err)
			continue
		}
		for _, name := range strings.Fields(tc.match) {
			if !g.Match(name) {
				t.Errorf("%s does not match %s", tc.glob, name)
			}
			if dir := path.Dir(name); !g.Reaches(dir) {
				t.Errorf("%s does not reach %s, where %s is", tc.glob, dir, name)
			}
		}
		for _, name := range strings.Fields(tc.refuse) {
			if g.Match(name) {
				t.Errorf("%s matches %s", tc.glob, name)
			}
		}
		for _, dir := range strings.Fields(tc.reach) {
			if !g.Reaches(dir) {
				t.Errorf("%s does not reach %s", tc.glob, dir)
			}
		}
		for _, dir := range strings.Fields(tc.skipDir) {
			if g.Reaches(dir) {
				t.Errorf("%s reaches %s", tc.glob, dir)
			}
		}
	}
	for _, bad := range []string{"", "/etc/*", "../x", "a/../b", "a//b", "./a", "[", "**/**/a"} {
		if _, err := ParseGlob(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestGlobIsFast has the pattern and the name that make a matcher that goes back
// take for ever.
func TestGlobIsFast(t *testing.T) {
	g, err := ParseGlob(strings.Repeat("**/a/", 20) + "b")
	if err != nil {
		t.Fatal(err)
	}
	if g.Match(strings.Repeat("a/", 500) + "c") {
		t.Error("it matches")
	}
}

func TestRecord(t *testing.T) {
	for _, want := range []record{
		{ID: "a"},
		{ID: "line\nbreak", Lost: 2, Code: "x\ny"},
		{ID: "b", Done: true, Line: []byte(`{"custom_id":"b"}`)},
	} {
		b, err := want.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecord(b)
		if err != nil || got.ID != want.ID || got.Lost != want.Lost || got.Code != want.Code || got.Done != want.Done || !bytes.Equal(got.Line, want.Line) {
			t.Errorf("%+v became %+v, %v", want, got, err)
		}
	}
	for _, spoilt := range []string{"", "{}", "{\n", "x\ny"} {
		if _, err := decodeRecord([]byte(spoilt)); err == nil {
			t.Errorf("%q is taken for a record", spoilt)
		}
	}
	k := keyOf("some id")
	if got, ok := parseKey(k.String()); !ok || got != k {
		t.Errorf("%s is read as %s", k, got)
	}
}

func TestTail(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{
		{"short", 10, "short"},
		{"first line\nsecond line\n", 15, "second line\n"},
		{strings.Repeat("x", 100), 10, strings.Repeat("x", 10)},
		{"ab\xff", 10, "ab\uFFFD"},
	} {
		if got := tail([]byte(tc.in), tc.n); got != tc.want {
			t.Errorf("tail(%q, %d) = %q, want %q", tc.in, tc.n, got, tc.want)
		}
	}
}

func TestAutoConcurrency(t *testing.T) {
	if got, ok := freeMemory("/proc/meminfo"); !ok || got < 1<<20 {
		t.Errorf("free memory: %d, %v", got, ok)
	}
	if _, ok := freeMemory("/nowhere"); ok {
		t.Error("free memory is read from nowhere")
	}
}
