package dockerfile

import (
	"errors"
	"strings"
)

// maxValue bounds what a word with variables grows to.
const maxValue = 128 << 10

// splitWords takes a line apart at blanks that are not quoted or escaped. The
// words keep their quotes.
func splitWords(s string, escape byte) []string {
	var words []string
	var word strings.Builder
	quote, in := byte(0), false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == escape && quote != '\'' && i+1 < len(s):
			word.WriteByte(c)
			i++
			c = s[i]
			in = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, in = c, true
		case quote == 0 && (c == ' ' || c == '\t'):
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
			continue
		default:
			in = true
		}
		word.WriteByte(c)
	}
	if in {
		words = append(words, word.String())
	}
	return words
}

// vars gives a variable's value.
type vars func(name string) (string, bool)

// expander replaces variables and takes quotes away, as a shell does, but runs
// nothing and splits nothing.
type expander struct {
	s      string
	at     int
	escape byte
	get    vars
	bare   bool // quotes are ordinary characters: in a document
	depth  int
	out    strings.Builder
}

// expand gives a word's value.
func expand(word string, escape byte, get vars) (string, error) {
	e := expander{s: word, escape: escape, get: get}
	return e.run()
}

func (e *expander) run() (string, error) {
	quote := byte(0)
	for e.at < len(e.s) {
		if e.out.Len() > maxValue {
			return "", errors.New("a value is too long")
		}
		c := e.s[e.at]
		e.at++
		switch {
		case c == '\'' && quote == 0 && !e.bare:
			end := strings.IndexByte(e.s[e.at:], '\'')
			if end < 0 {
				return "", errors.New("a ' is not closed")
			}
			e.out.WriteString(e.s[e.at : e.at+end])
			e.at += end + 1
		case c == '"' && !e.bare:
			quote ^= '"'
		case c == e.escape && e.at < len(e.s):
			next := e.s[e.at]
			e.at++
			if (quote != 0 || e.bare) && next != '"' && next != '$' && next != e.escape {
				e.out.WriteByte(c)
			}
			e.out.WriteByte(next)
		case c == '$':
			if err := e.variable(); err != nil {
				return "", err
			}
		default:
			e.out.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", errors.New(`a " is not closed`)
	}
	return e.out.String(), nil
}

// variable replaces $NAME, ${NAME} and ${NAME:-word} and the like.
func (e *expander) variable() error {
	braced := e.at < len(e.s) && e.s[e.at] == '{'
	if braced {
		e.at++
	}
	name := e.name()
	if !braced {
		if name == "" {
			e.out.WriteByte('$')
		}
		value, _ := e.get(name)
		e.out.WriteString(value)
		return nil
	}
	rest := e.s[e.at:]
	end := closing(rest)
	if name == "" || end < 0 {
		return errors.New("a ${ is not closed, or names no variable")
	}
	e.at += end + 1
	return e.modified(name, rest[:end])
}

// modified writes a variable's value, or what stands for it.
func (e *expander) modified(name, modifier string) error {
	value, set := e.get(name)
	if modifier == "" {
		e.out.WriteString(value)
		return nil
	}
	op, empty := modifier[0], false
	word := modifier[1:]
	if op == ':' && word != "" {
		op, word, empty = word[0], word[1:], true
	}
	there := set && (!empty || value != "")
	switch {
	case op == '-' && there, op == '?' && there:
		e.out.WriteString(value)
		return nil
	case op == '+' && !there:
		return nil
	case op == '-', op == '+':
		if e.depth > 8 {
			return errors.New("variables are nested too deeply")
		}
		inner := expander{s: word, escape: e.escape, get: e.get, bare: e.bare, depth: e.depth + 1}
		value, err := inner.run()
		e.out.WriteString(value)
		return err
	case op == '?':
		return errors.New("the variable " + clip(name) + " has no value: " + clip(word))
	}
	return errors.New("${" + clip(name+modifier) + "} is none of ${NAME}, ${NAME:-…}, ${NAME:+…} and ${NAME:?…}")
}

// name reads a variable's name.
func (e *expander) name() string {
	start := e.at
	for e.at < len(e.s) {
		c := e.s[e.at]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (e.at == start || c < '0' || c > '9') {
			break
		}
		e.at++
	}
	return e.s[start:e.at]
}

// closing finds the } that belongs to a { before s.
func closing(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}
