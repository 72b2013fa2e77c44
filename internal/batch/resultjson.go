package batch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// maxResultDepth is how deep a result may be nested. Readers of results.jsonl
// recurse, Python's json to 1000 levels.
const maxResultDepth = 500

// checkResult makes one line of what a program left in result.json, or says why
// it is no result. It takes no more memory than the file, however it is nested.
func checkResult(b []byte) (json.RawMessage, string) {
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return nil, "it is empty"
	case !utf8.Valid(b):
		return nil, "it is not UTF-8"
	}
	if tooDeep(b) {
		return nil, fmt.Sprintf("it is nested deeper than %d levels", maxResultDepth)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, b); err != nil {
		return nil, "it is not JSON: " + err.Error()
	}
	return line.Bytes(), ""
}

// tooDeep counts brackets outside of strings, without a stack.
func tooDeep(b []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth++; depth > maxResultDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}
