package input_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
	"github.com/brigdev/brig/internal/batch/input"
)

// readAll reads a file's items and its rejected records.
func readAll(t testing.TB, path string, o input.Options) (items []input.Item, bad []*input.Rejected, format input.Format) {
	t.Helper()
	r, err := input.Open(path, o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer r.Close()
	for {
		it, err := r.Next()
		var rej *input.Rejected
		switch {
		case err == io.EOF:
			return items, bad, r.Format()
		case errors.As(err, &rej):
			bad = append(bad, rej)
		case err != nil:
			t.Fatalf("Next: %v", err)
		default:
			items = append(items, it)
		}
	}
}

func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestItems(t *testing.T) {
	items, bad, format := readAll(t, file(t, "\xef\xbb\xbf"+
		`{"custom_id": "a", "code": "print(1)", "more": "is passed over"}`+"\r\n\n  \t\n"+
		`{"custom_id": "b", "code": "x", "language": "JavaScript", "input": {"k": [1]}, "files": {"d/e.txt": "hi"}, "trust": "t", "timeout_seconds": 1.5}`+"\n"+
		`{"custom_id": "c", "code": "x", "input": null}`), // no newline at the end
		input.Options{})
	if len(bad) > 0 || len(items) != 3 || format != input.Items {
		t.Fatalf("%d items, rejected %v, format %s", len(items), bad, format)
	}
	if a := items[0]; a.CustomID != "a" || a.Code != "print(1)" || a.Language != "python" || a.Line != 1 {
		t.Errorf("a: %+v", a)
	}
	b := items[1]
	if b.Language != "node" || string(b.Input) != `{"k": [1]}` || b.Files["d/e.txt"] != "hi" || b.Trust != "t" || b.Timeout != 1.5 || b.Line != 4 {
		t.Errorf("b: %+v", b)
	}
	if items[2].Input != nil {
		t.Errorf("input null is %s", items[2].Input)
	}
}

// TestEnvelope: a line for OpenAI's Batch API is an item when its body is.
func TestEnvelope(t *testing.T) {
	items, bad, format := readAll(t, file(t,
		`{"custom_id": "a", "method": "POST", "url": "/v1/run", "body": {"custom_id": "other", "code": "x", "language": "sh", "input": 1}}`+"\n"+
			`{"custom_id": "b", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": []}}`+"\n"+
			`{"custom_id": "c", "body": "x"}`+"\n"+`{"custom_id": "d", "code": "x", "body": 7}`), input.Options{})
	if format != input.Items || len(items) != 2 || items[0].CustomID != "a" || items[0].Language != "sh" || string(items[0].Input) != "1" || items[1].CustomID != "d" {
		t.Errorf("%s: %+v", format, items)
	}
	if len(bad) != 2 || bad[0].CustomID != "b" || !strings.Contains(bad[0].Reason, "code is missing") || !strings.Contains(bad[1].Reason, "code is missing") {
		t.Errorf("rejected: %v", bad)
	}
}

func TestRejected(t *testing.T) {
	for name, tc := range map[string]struct{ line, want string }{
		"text":           {`hello`, "not a JSON object"},
		"array":          {`[1]`, "not a JSON object"},
		"torn":           {`{"custom_id": "a", "code": "x`, "not JSON: unexpected end"},
		"two objects":    {`{"custom_id": "a", "code": "x"} {}`, "not JSON: invalid character"},
		"no id":          {`{"code": "x"}`, "custom_id is missing"},
		"null id":        {`{"custom_id": null, "code": "x"}`, "custom_id is missing"},
		"empty id":       {`{"custom_id": "", "code": "x"}`, "custom_id is empty"},
		"long id":        {`{"custom_id": "` + strings.Repeat("i", 513) + `", "code": "x"}`, "the cap is 512"},
		"number id":      {`{"custom_id": 7, "code": "x"}`, `"custom_id" is a number`},
		"no code":        {`{"custom_id": "a"}`, "code is missing"},
		"blank code":     {`{"custom_id": "a", "code": " \n"}`, "code is empty"},
		"code no text":   {`{"custom_id": "a", "code": ["x"]}`, `"code" is a array`},
		"no utf-8":       {"{\"custom_id\": \"a\", \"code\": \"\xff\"}", "not UTF-8"},
		"language":       {`{"custom_id": "a", "code": "x", "language": "cobol"}`, `unknown language "cobol"`},
		"no such here":   {`{"custom_id": "a", "code": "x", "language": "ruby"}`, `the template cannot run language "ruby"`},
		"timeout":        {`{"custom_id": "a", "code": "x", "timeout_seconds": -1}`, "timeout_seconds is -1"},
		"long timeout":   {`{"custom_id": "a", "code": "x", "timeout_seconds": 1e9}`, "timeout_seconds is 1e+09"},
		"tiny timeout":   {`{"custom_id": "a", "code": "x", "timeout_seconds": 1e-9}`, "below a millisecond"},
		"escaping file":  {`{"custom_id": "a", "code": "x", "files": {"../x": ""}}`, "not a path below /work"},
		"absolute file":  {`{"custom_id": "a", "code": "x", "files": {"/etc/x": ""}}`, "not a path below /work"},
		"hidden escape":  {`{"custom_id": "a", "code": "x", "files": {"a/../../x": ""}}`, "not a path below /work"},
		"our own file":   {`{"custom_id": "a", "code": "x", "files": {"./run.py": ""}}`, "is Brig's own"},
		"the result":     {`{"custom_id": "a", "code": "x", "files": {"result.json": ""}}`, "is Brig's own"},
		"no base64":      {`{"custom_id": "a", "code": "x", "files": {"a": "base64:!"}}`, "not base64"},
		"too deep":       {`{"custom_id": "a", "code": "x", "input": ` + strings.Repeat("[", 100_000), "not JSON"},
		"too long":       {`{"custom_id": "a", "code": "` + strings.Repeat("x", 2<<20) + `"}`, "the cap is 1MiB"},
		"long and blank": {strings.Repeat("\t", 2<<20), "the cap is 1MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			good := `{"custom_id": "good", "code": "x"}`
			items, bad, _ := readAll(t, file(t, good+"\n"+tc.line+"\n"+good), input.Options{MaxLine: 1 << 20, Languages: []string{"python"}})
			if len(items) != 2 || len(bad) != 1 || bad[0].Line != 2 || !strings.Contains(bad[0].Reason, tc.want) {
				t.Errorf("%d items, rejected %v, want line 2 with %q", len(items), bad, tc.want)
			}
		})
	}
}

func TestBigCode(t *testing.T) {
	code := strings.Repeat("print('hello')\n", 10<<20/15)
	items, bad, _ := readAll(t, file(t, fmt.Sprintf(`{"custom_id": "a", "code": %q}`, code)+"\n"+`{"custom_id": "b", "code": "x"}`), input.Options{})
	if len(bad) > 0 || len(items) != 2 || items[0].Code != code {
		t.Errorf("%d items, rejected %v", len(items), bad)
	}
}

func TestProviders(t *testing.T) {
	openai := func(body string) string {
		return `{"id": "r", "custom_id": "a", "response": {"status_code": 200, "body": ` + body + `}, "error": null}`
	}
	chat := func(content, finish string) string {
		return openai(fmt.Sprintf(`{"choices": [{"index": 0, "message": {"role": "assistant", "content": %q}, "finish_reason": %q}]}`, content, finish))
	}
	claude := func(content, stop string) string {
		return fmt.Sprintf(`{"custom_id": "a", "result": {"type": "succeeded", "message": {"content": [{"type": "text", "text": %q}], "stop_reason": %q}}}`, content, stop)
	}
	python := "Here:\n```python\nprint(1)\n```\nDone."
	for name, tc := range map[string]struct {
		line       string
		format     input.Format
		code, lang string
		reason     string
	}{
		"chat":            {chat(python, "stop"), input.OpenAI, "print(1)\n", "python", ""},
		"responses":       {openai(`{"object": "response", "status": "completed", "output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "` + "```js\\nf()\\n```" + `"}]}]}`), input.OpenAI, "f()\n", "node", ""},
		"content parts":   {openai(`{"choices": [{"message": {"content": [{"type": "text", "text": "` + "```\\nx\\n```" + `"}]}}]}`), input.OpenAI, "x\n", "python", ""},
		"claude":          {claude(python, "end_turn"), input.Anthropic, "print(1)\n", "python", ""},
		"error":           {`{"custom_id": "a", "response": null, "error": {"code": "batch_expired", "message": "late"}}`, input.OpenAI, "", "", "the request failed: \"batch_expired late\""},
		"status":          {`{"custom_id": "a", "response": {"status_code": 429, "body": {}}}`, input.OpenAI, "", "", "status 429"},
		"length":          {chat(python, "length"), input.OpenAI, "", "", "cut at the token limit"},
		"refusal":         {openai(`{"choices": [{"message": {"content": null, "refusal": "I can't"}}]}`), input.OpenAI, "", "", "refused"},
		"incomplete":      {openai(`{"status": "incomplete", "output": []}`), input.OpenAI, "", "", "was cut"},
		"claude errored":  {`{"custom_id": "a", "result": {"type": "errored", "error": {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}}}`, input.Anthropic, "", "", "overloaded_error busy"},
		"claude expired":  {`{"custom_id": "a", "result": {"type": "expired"}}`, input.Anthropic, "", "", `"expired"`},
		"claude length":   {claude(python, "max_tokens"), input.Anthropic, "", "", "cut at the token limit"},
		"no block":        {chat("just words", "stop"), input.OpenAI, "", "", "no code block"},
		"two blocks":      {chat(python+"\n"+python, "stop"), input.OpenAI, "", "", "2 code blocks that could be meant"},
		"python is meant": {chat("```bash\npip install x\n```\n"+python+"\n```text\nout\n```", "stop"), input.OpenAI, "print(1)\n", "python", ""},
		"open block":      {chat("```python\nprint(", "stop"), input.OpenAI, "", "", "has no end"},
		"other language":  {chat("```cobol\nx\n```", "stop"), input.OpenAI, "", "", `language "cobol"`},
		"completions":     {openai(`{"object": "text_completion", "choices": [{"text": "` + "```sh\\nx\\n```" + `", "finish_reason": "stop"}]}`), input.OpenAI, "x\n", "sh", ""},
		"no reason":       {`{"custom_id": "a", "result": {"type": "errored", "error": {}}}`, input.Anthropic, "", "", "says nothing"},
		"no text":         {openai(`{"choices": [{"message": {"content": {"odd": 1}}}]}`), input.OpenAI, "", "", "no text"},
	} {
		t.Run(name, func(t *testing.T) {
			items, bad, format := readAll(t, file(t, tc.line), input.Options{})
			if format != tc.format {
				t.Errorf("format %s, want %s", format, tc.format)
			}
			if tc.reason != "" {
				if len(bad) != 1 || !strings.Contains(bad[0].Reason, tc.reason) || bad[0].CustomID != "a" {
					t.Errorf("%d items, rejected %v, want %q", len(items), bad, tc.reason)
				}
				return
			}
			if len(items) != 1 || items[0].Code != tc.code || items[0].Language != tc.lang || items[0].CustomID != "a" {
				t.Errorf("items %+v, rejected %v", items, bad)
			}
		})
	}
}

func TestBlocks(t *testing.T) {
	for name, tc := range map[string]struct {
		text   string
		want   []input.Block
		closed bool
	}{
		"none":             {"`inline` and ``more``", nil, true},
		"info string":      {"```{.python title=x}\na\n```", []input.Block{{"python", "a\n"}}, true},
		"tildes":           {"~~~py\n```\n~~~", []input.Block{{"py", "```\n"}}, true},
		"longer fence":     {"````\n```\nx\n```\n````", []input.Block{{"", "```\nx\n```\n"}}, true},
		"indented in list": {"1. so:\n   ```py\n   if x:\n     y\n   ```", []input.Block{{"py", "if x:\n  y\n"}}, true},
		"crlf":             {"```py\r\na\r\n```\r\n", []input.Block{{"py", "a\r\n"}}, true},
		"open":             {"```py\na\n", nil, false},
		"backtick in info": {"``` a`b\nx", nil, true},
	} {
		got, closed := input.Blocks(tc.text)
		if fmt.Sprint(got) != fmt.Sprint(tc.want) || closed != tc.closed {
			t.Errorf("%s: %q %v, want %q %v", name, got, closed, tc.want, tc.closed)
		}
	}
}

func TestEval(t *testing.T) {
	items, bad, format := readAll(t, file(t, strings.Join([]string{
		`{"task_id": "HumanEval/0", "prompt": "def f(x):\n", "canonical_solution": "    return x\n", "test": "def check(c):\n    assert c(1) == 1\n", "entry_point": "f"}`,
		`{"task_id": "HumanEval/1", "prompt": "def f(x):\n", "canonical_solution": "    return x\n", "completion": "    return 2\n", "test": "def check(c):\n    pass\n", "entry_point": "f"}`,
		`{"task_id": 11, "text": "Write g.", "code": "def g():\n    return 1", "test_list": ["assert g() == 1"], "test_setup_code": "import math"}`,
		`{"task_id": 12, "test_list": ["assert True"]}`,
		`{"task_id": "h", "completion": "x", "test": "t", "entry_point": "f); import os; (f"}`,
		`{"task_id": [], "completion": "x", "test": "t", "entry_point": "f"}`,
	}, "\n")), input.Options{})
	if format != input.Eval || len(items) != 3 || len(bad) != 3 {
		t.Fatalf("format %s, %d items, rejected %v", format, len(items), bad)
	}
	for i, want := range []string{
		"def f(x):\n    return x\n\n\ndef check(c):\n    assert c(1) == 1\n\n\ncheck(f)\n",
		"def f(x):\n    return 2\n\n\n",
		"def g():\n    return 1\nimport math\nassert g() == 1\n",
	} {
		if !strings.HasPrefix(items[i].Code, want) || !strings.Contains(items[i].Code, `"passed": True`) {
			t.Errorf("%s:\n%s", items[i].CustomID, items[i].Code)
		}
	}
	if items[2].CustomID != "11" {
		t.Errorf("custom_id %q, want 11", items[2].CustomID)
	}
}

func TestDir(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.py": "print(1)", "sub/deep/b.sh": "echo", "sub/c.txt": "no program", ".hidden.py": "x", "bin.py": "\xff", "empty.py": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link.py")); err != nil {
		t.Fatal(err)
	}
	items, bad, format := readAll(t, dir, input.Options{})
	var got []string
	for _, it := range items {
		got = append(got, it.CustomID+":"+it.Language)
	}
	if strings.Join(got, " ") != "a.py:python sub/deep/b.sh:sh" || format != input.Dir {
		t.Errorf("items %v, format %s", got, format)
	}
	var reasons []string
	for _, r := range bad {
		reasons = append(reasons, r.CustomID+": "+r.Reason)
	}
	if want := `bin.py: not UTF-8; empty.py: code is empty; link.py: not a regular file; sub/c.txt: no language has the extension ".txt"`; strings.Join(reasons, "; ") != want {
		t.Errorf("rejected %s\nwant %s", strings.Join(reasons, "; "), want)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct {
		path string
		o    input.Options
		code api.Code
	}{
		"gone":        {filepath.Join(dir, "no"), input.Options{}, api.CodeNotFound},
		"a directory": {dir, input.Options{Format: input.Items}, api.CodeInvalid},
		"no file":     {"/dev/null", input.Options{}, api.CodeInvalid},
		"no dir":      {file(t, "x"), input.Options{Format: input.Dir}, api.CodeInvalid},
	} {
		if _, err := input.Open(tc.path, tc.o); api.CodeOf(err) != tc.code || api.FixOf(err) == "" {
			t.Errorf("%s: %v (%s)", name, err, api.CodeOf(err))
		}
	}
	if _, err := input.ParseFormat("csv"); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("format csv: %v", err)
	}
}

func FuzzItems(f *testing.F) {
	f.Add([]byte(`{"custom_id": "a", "code": "x", "files": {"a": "base64:AA=="}}`))
	f.Add([]byte("\xef\xbb\xbf{}\r\n\n{\"custom_id\":\"a\""))
	f.Fuzz(func(t *testing.T, b []byte) { checkInput(t, b, input.Options{Format: input.Items}) })
}

func FuzzProviderFiles(f *testing.F) {
	f.Add([]byte(`{"custom_id": "a", "response": {"body": {"choices": [{"message": {"content": "` + "```py\\nx\\n```" + `"}}]}}}`))
	f.Add([]byte(`{"custom_id": "a", "result": {"type": "succeeded", "message": {"content": [{"type": "text", "text": "` + "~~~\\n" + `"}]}}}`))
	f.Add([]byte(`{"task_id": 1, "code": "x", "test_list": ["y"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range []input.Format{input.Auto, input.OpenAI, input.Anthropic, input.Eval} {
			checkInput(t, b, input.Options{Format: format})
		}
	})
}

// checkInput wants that whatever is read keeps the promises of an item, and
// that every line is accounted for once.
func checkInput(t *testing.T, b []byte, o input.Options) {
	o.MaxLine = 4096
	items, bad, _ := readAll(t, file(t, string(b)), o)
	for _, it := range items {
		if it.CustomID == "" || len(it.CustomID) > input.MaxIDBytes || strings.TrimSpace(it.Code) == "" {
			t.Errorf("item %+v", it)
		}
		if _, ok := input.Language(it.Language); !ok {
			t.Errorf("language %q", it.Language)
		}
		for name := range it.Files {
			if !filepath.IsLocal(name) {
				t.Errorf("file %q", name)
			}
		}
	}
	for _, r := range bad {
		if r.Reason == "" || r.Line < 1 || len(r.CustomID) > input.MaxIDBytes {
			t.Errorf("rejected %+v", r)
		}
	}
	if most := strings.Count(string(b), "\n") + 1; len(items)+len(bad) > most {
		t.Errorf("%d records of %d lines", len(items)+len(bad), most)
	}
}
