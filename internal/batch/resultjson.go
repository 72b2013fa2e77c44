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

// maxNumberBytes is how many digits in a row a number in a result may have. Python's json refuses a
// line with an integer of more than 4300 digits.
const maxNumberBytes = 1000

// checkResult makes one line of what a program left in result.json, or says why
// it is no result. It takes no more memory than the file, however it is nested.
func checkResult(b []byte) (json.RawMessage, string) {
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		return nil, "it is empty"
	case !utf8.Valid(b):
		return nil, "it is not UTF-8"
	}
	if reason := tooMuch(b); reason != "" {
		return nil, reason
	}
	var line bytes.Buffer
	if err := json.Compact(&line, b); err != nil {
		return nil, "it is not JSON: " + err.Error()
	}
	return line.Bytes(), ""
}

// tooMuch counts brackets and the bytes of numbers outside of strings, without a
// stack, and says what readers of the result would choke on.
func tooMuch(b []byte) (reason string) {
	depth, number, inString := 0, 0, false
	for i := 0; i < len(b); i++ {
		c := b[i]
		if inString || c < '0' || c > '9' {
			number = 0
		} else if number++; number > maxNumberBytes {
			return fmt.Sprintf("it has a number of more than %d digits", maxNumberBytes)
		}
		switch {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth++; depth > maxResultDepth {
				return fmt.Sprintf("it is nested deeper than %d levels", maxResultDepth)
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return ""
}
