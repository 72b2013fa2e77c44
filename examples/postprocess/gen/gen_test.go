package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brigdev/brig/api"
)

const demo = ".." // examples/postprocess

func lines(t *testing.T, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(demo, name))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
}

func TestItemsAreUpToDate(t *testing.T) {
	items, err := collect(filepath.Join(demo, "src"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := encode(items)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(demo, "items.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("items.jsonl is not what src/ gives: run go run ./examples/postprocess/gen")
	}
}

// TestItems wants a batch that is worth showing.
func TestItems(t *testing.T) {
	ids := map[string]bool{}
	counts := map[string]int{}
	for i, line := range lines(t, "items.jsonl") {
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		var it api.Item
		if err := d.Decode(&it); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if it.CustomID == "" || ids[it.CustomID] {
			t.Errorf("line %d: the id %q is empty or not the first of its kind", i+1, it.CustomID)
		}
		ids[it.CustomID] = true
		if strings.TrimSpace(it.Code) == "" {
			t.Errorf("%s has no code", it.CustomID)
		}
		if it.Language == "sh" {
			counts["sh"]++
		}
		kind, _, _ := strings.Cut(it.CustomID, "-")
		counts[kind]++
	}
	for kind, least := range map[string]int{hostile: 30, broken: 10, "sh": 25} {
		if counts[kind] < least {
			t.Errorf("%d %s items, want at least %d", counts[kind], kind, least)
		}
	}
	if len(ids) < 220 {
		t.Errorf("%d items, want at least 220", len(ids))
	}
}

// TestExpectations wants one for every item as it is now: expected.jsonl carries
// the hash of the line that it was computed from.
func TestExpectations(t *testing.T) {
	items := lines(t, "items.jsonl")
	expected := lines(t, "expected.jsonl")
	if len(items) != len(expected) {
		t.Fatalf("%d items and %d expectations: run python3 examples/postprocess/gen/expect.py", len(items), len(expected))
	}
	for i := range items {
		var want struct {
			CustomID string          `json:"custom_id"`
			Verdict  api.Verdict     `json:"verdict"`
			Result   json.RawMessage `json:"result"`
			Hash     string          `json:"item_sha256"`
		}
		if err := json.Unmarshal(expected[i], &want); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		if sum := sha256.Sum256(items[i]); want.Hash != hex.EncodeToString(sum[:]) {
			t.Fatalf("%s: the expectation is of another item: run python3 examples/postprocess/gen/expect.py", want.CustomID)
		}
		if !slices.Contains(api.Verdicts(), want.Verdict) {
			t.Errorf("%s: there is no verdict %q", want.CustomID, want.Verdict)
		}
		if (want.Verdict == api.OK) != (want.Result != nil) {
			t.Errorf("%s: is expected %s with the result %s", want.CustomID, want.Verdict, want.Result)
		}
	}
}

func TestBadTables(t *testing.T) {
	for name, test := range map[string]struct {
		table string
		want  string
	}{
		"a line without a program": {`[{"file":"a.py","verdict":"ok"},{"file":"b.py","verdict":"ok"}]`, `names "b.py"`},
		"a line twice":             {`[{"file":"a.py","verdict":"ok"},{"file":"a.py","verdict":"ok"}]`, `names "a.py"`},
		"a program without a line": {`[]`, "does not name a.py"},
		"an unknown field":         {`[{"file":"a.py","verdcit":"ok"}]`, "verdcit"},
		"no table":                 {"", "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), broken)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			files := map[string]string{"a.py": "pass\n", "cases.json": test.table}
			for f, text := range files {
				if text == "" {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, f), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			_, err := badItems(filepath.Dir(dir), broken)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}
