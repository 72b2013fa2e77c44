package repair

import (
	"strings"

	"github.com/brigdev/brig/api"
)

// Split makes an argument vector of a command line. Words are separated by
// blanks; 'single quotes' keep everything, "double quotes" everything but a
// backslash before " or \, and a backslash outside of quotes keeps the next
// character. There is no shell: no variables, globs, pipes or ;.
func Split(line string) ([]string, error) {
	var argv []string
	var word strings.Builder
	inWord := false
	var quote rune
	escaped := false
	for _, c := range line {
		switch {
		case escaped:
			if quote == '"' && c != '"' && c != '\\' {
				word.WriteRune('\\')
			}
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, inWord = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if inWord {
				argv = append(argv, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, api.Errorf(api.CodeInvalid, "cannot read the command %q: because a quote or a backslash is left open", line).
			WithFix("close it, or put the command into a script and give its path")
	}
	if inWord {
		argv = append(argv, word.String())
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, api.Errorf(api.CodeInvalid, "cannot run an empty command").WithFix("give a program and its arguments, e.g. --repair-cmd './fix.py --model small'")
	}
	return argv, nil
}
