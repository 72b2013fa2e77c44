package input

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/brigdev/brig/api"
)

// evalRecord is a HumanEval record (prompt, test, entry_point) or an MBPP one
// (code, test_list), with a model's completion in it or the reference solution.
type evalRecord struct {
	TaskID     json.RawMessage `json:"task_id"`
	Prompt     string          `json:"prompt"`
	Completion *string         `json:"completion"`
	Solution   *string         `json:"canonical_solution"`
	Code       *string         `json:"code"`
	Test       string          `json:"test"`
	EntryPoint string          `json:"entry_point"`
	Tests      []string        `json:"test_list"`
	Imports    []string        `json:"test_imports"`
	Setup      string          `json:"test_setup_code"`
}

// passed is the end of every program: it is reached when no assertion failed.
const passed = "\nimport json as _json\nwith open(\"/work/result.json\", \"w\") as _f:\n    _json.dump({\"passed\": True}, _f)\n"

// parseEval makes a program that runs the solution against its tests: a wrong
// one ends with an AssertionError, and verdict nonzero.
func parseEval(line []byte, o Options) (it api.Item, id, reason string) {
	var r evalRecord
	if reason := decode(line, &r); reason != "" {
		return it, taskID(r.TaskID), reason
	}
	id = taskID(r.TaskID)
	if id == "" {
		return it, "", "task_id is missing, or neither a string nor a number"
	}
	var program string
	if len(r.Tests) > 0 {
		program, reason = mbpp(r)
	} else {
		program, reason = humanEval(r)
	}
	if reason != "" {
		return it, id, reason
	}
	it = api.Item{CustomID: id, Code: program + passed, Language: "python"}
	reason = o.complete(&it)
	return it, id, reason
}

func humanEval(r evalRecord) (program, reason string) {
	body := r.Completion
	if body == nil {
		body = r.Solution
	}
	switch {
	case body == nil:
		return "", "neither completion nor canonical_solution is there"
	case r.Test == "":
		return "", "test is missing"
	case !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(r.EntryPoint):
		return "", "entry_point is missing or not a name"
	}
	return r.Prompt + *body + "\n\n" + r.Test + "\n\ncheck(" + r.EntryPoint + ")\n", ""
}

func mbpp(r evalRecord) (program, reason string) {
	body := r.Completion
	if body == nil {
		body = r.Code
	}
	if body == nil {
		return "", "neither completion nor code is there"
	}
	parts := append([]string{*body, r.Setup}, r.Imports...)
	return strings.Join(append(parts, r.Tests...), "\n") + "\n", ""
}

// taskID reads a string or a whole number.
func taskID(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n int64
	if len(raw) > 0 && json.Unmarshal(raw, &n) == nil {
		return strconv.FormatInt(n, 10)
	}
	return ""
}
