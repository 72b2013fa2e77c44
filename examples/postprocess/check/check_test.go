package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const png = "\x89PNG\r\n\x1a\nrest"

const expectedLines = `{"custom_id":"a","verdict":"ok","result":{"n":1,"f":2.50}}
{"custom_id":"b","verdict":"timeout"}
{"custom_id":"c","verdict":"ok","artifacts":["out/x.png"]}
`

// lay writes files below a new directory.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCheck(t *testing.T) {
	const (
		a = `{"custom_id":"a","verdict":"ok","ok":true,"result":{"f":2.5,"n":1.0}}` + "\n"
		b = `{"custom_id":"b","verdict":"timeout"}` + "\n"
		c = `{"custom_id":"c","verdict":"ok","ok":true,"result":null}` + "\n"
	)
	for _, test := range []struct {
		name, results, picture string
		want                   []string // in the mismatches, in order
	}{
		{"as expected, in another order", c + b + a, png, nil},
		{"missing and last line without newline", a + strings.TrimSpace(c), png, []string{"b has no result"}},
		{"twice", a + b + c + b, png, []string{"b has more than one result"}},
		{"unknown", a + b + c + `{"custom_id":"d","verdict":"ok"}`, png, []string{"d has a result and is no item"}},
		{"wrong verdict", a + c + `{"custom_id":"b","verdict":"oom","evidence":{"reason":"too much"},"stderr":"x\nboom\n"}`, png,
			[]string{`b is oom, expected timeout: too much; "boom"`}},
		{"infra", a + c + `{"custom_id":"b","verdict":"infra","error":{"code":"internal","error":"no sandbox"}}`, png,
			[]string{"b is infra, expected timeout: no sandbox"}},
		{"wrong result", b + c + `{"custom_id":"a","verdict":"ok","ok":true,"result":{"f":2.5,"n":2}}`, png, []string{"a has the result"}},
		{"ok contradicts", a + c + `{"custom_id":"b","verdict":"timeout","ok":true}`, png, []string{"b has ok=true and is timeout"}},
		{"not a picture", a + b + c, "GIF89a, and no PNG", []string{"c lacks the picture out/x.png: it does not start"}},
		{"short picture", a + b + c, "\x89P", []string{"c lacks the picture out/x.png"}},
		{"no picture", a + b + c, "", []string{"c lacks the picture out/x.png"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := map[string]string{"expected.jsonl": expectedLines, "results.jsonl": test.results}
			if test.picture != "" {
				files["artifacts/c/out/x.png"] = test.picture
			}
			dir := lay(t, files)
			rep, err := check(filepath.Join(dir, "expected.jsonl"), dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(rep.mismatches) != len(test.want) {
				t.Fatalf("mismatches %q, want %q", rep.mismatches, test.want)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(rep.mismatches[i], want) {
					t.Errorf("mismatch %q, want %q…", rep.mismatches[i], want)
				}
			}
		})
	}
}

func TestCheckNamesTheBadLine(t *testing.T) {
	dir := lay(t, map[string]string{"expected.jsonl": expectedLines, "results.jsonl": "{}\n{oops\n"})
	_, err := check(filepath.Join(dir, "expected.jsonl"), dir)
	if err == nil || !strings.Contains(err.Error(), "results.jsonl:2:") {
		t.Errorf("error %v does not name line 2", err)
	}
}

func TestSameJSON(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{`{"a":[1,null,true,"x"],"b":{}}`, ` { "b" : {}, "a" : [1,null,true,"x"] } `, true},
		{`1.0`, `1`, true},
		{`1e3`, `1000`, true},
		{`-0.0`, `0`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`0.1`, `0.10000000000000002`, false},
		{`"\u00e9"`, `"é"`, true},
		{`[1,2]`, `[2,1]`, false},
		{`{"a":null}`, `{}`, false},
		{`"1"`, `1`, false},
		{`null`, `false`, false},
		{`null`, ``, false},
	} {
		if got := sameJSON([]byte(test.a), []byte(test.b)); got != test.want {
			t.Errorf("sameJSON(%s, %s) = %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

func TestPrint(t *testing.T) {
	r := newReport()
	r.count("ok", true)
	r.count("ok", false)
	r.mismatch("x", "is odd")
	var out strings.Builder
	r.print(&out)
	for _, want := range []string{"ok", "2", "MISMATCH x is odd\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q lacks %q", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "All ") {
		t.Errorf("%q says that all is well", out.String())
	}
}
