package progress

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/brigdev/brig/api"
)

// What clusters may take: beyond maxClusters kinds of failure, the rest is
// counted together.
const (
	maxClusters     = 1000
	maxClusterLine  = 160
	otherFailures   = "(other failures)"
	maxStderrToScan = 64 << 10
)

// Cluster is failures whose last line on stderr is the same but for numbers.
type Cluster struct {
	Verdict api.Verdict `json:"verdict"`
	Line    string      `json:"line"`
	Count   int64       `json:"count"`
	Example string      `json:"example"` // the first custom_id
}

type clusters struct {
	byLine  map[clusterKey]*Cluster
	numbers *regexp.Regexp
}

type clusterKey struct {
	verdict api.Verdict
	line    string
}

func newClusters() *clusters {
	return &clusters{
		byLine:  map[clusterKey]*Cluster{},
		numbers: regexp.MustCompile(`0[xX][0-9a-fA-F]+|\d+(\.\d+)?`),
	}
}

func (c *clusters) add(r api.ItemResult) {
	key := clusterKey{r.Verdict, c.lineOf(r)}
	if _, known := c.byLine[key]; !known && len(c.byLine) >= maxClusters {
		key.line = otherFailures
	}
	if c.byLine[key] == nil {
		c.byLine[key] = &Cluster{Verdict: key.verdict, Line: key.line, Example: r.CustomID}
	}
	c.byLine[key].Count++
}

// lineOf is what a failure is told by: the last line on stderr, else our own
// word on it. Numbers are one and the same, and nothing in it steers a terminal.
func (c *clusters) lineOf(r api.ItemResult) string {
	line := lastLine(r.Stderr)
	if r.Error != nil && (line == "" || r.Verdict == api.BadResult || r.Verdict == api.Infra) {
		line = r.Error.Message
	}
	if line == "" {
		line = r.Evidence.Reason
	}
	return c.numbers.ReplaceAllString(Printable(line, maxClusterLine), "N")
}

func lastLine(s string) string {
	if len(s) > maxStderrToScan {
		s = s[len(s)-maxStderrToScan:]
	}
	s = strings.TrimRight(s, " \t\r\n")
	return strings.TrimSpace(s[strings.LastIndexAny(s, "\r\n")+1:])
}

// Printable makes a stranger's text fit for a terminal: one line of at most n
// bytes, with what is not printable as a question mark.
func Printable(s string, n int) string {
	if len(s) > n {
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

func (c *clusters) top(n int) []Cluster {
	list := make([]Cluster, 0, len(c.byLine))
	for _, x := range c.byLine {
		list = append(list, *x)
	}
	slices.SortFunc(list, func(a, b Cluster) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Line, b.Line))
	})
	return list[:min(n, len(list))]
}
