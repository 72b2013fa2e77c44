package e2b

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
)

func TestResultLine(t *testing.T) {
	line := resultLine(api.CodeResult{Main: true, Data: map[string]string{
		"text/plain": "'a'", "text/html": "<b>", "image/png": "iVBO", "application/json": `{"a":[1]}`, "text/x-odd": "odd", "e2b/data": "no json",
	}})
	got, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"data":"no json","extra":{"text/x-odd":"odd"},"html":"\u003cb\u003e","is_main_result":true,"json":{"a":[1]},"png":"iVBO","text":"a","type":"result"}`
	if string(got) != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestUnquoted(t *testing.T) {
	for in, want := range map[string]string{"'a'": "a", `"a"`: "a", "''": "", "'": "'", `'a"`: `'a"`, "a'b'": "a'b'", "''a''": "'a'", "": ""} {
		if got := unquoted(in); got != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

// FuzzASCII: what is sent is ASCII in one line, and means the same.
func FuzzASCII(f *testing.F) {
	for _, s := range []string{"", "a", "grün€😀\n", "\u2028\u2029", "\U0010ffff", "\xff", `\u00e9"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := json.Marshal(map[string]string{"text": s})
		if err != nil {
			t.Fatal(err)
		}
		out := ascii(b)
		for _, c := range out {
			if c >= 0x80 || c == '\n' {
				t.Fatalf("%q has %q", out, c)
			}
		}
		var v map[string]string
		if err := json.Unmarshal(out, &v); err != nil || utf8.ValidString(s) && v["text"] != s {
			t.Errorf("%q comes back as %q, %v", s, v["text"], err)
		}
	})
}
