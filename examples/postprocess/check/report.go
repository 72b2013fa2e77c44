package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/brigdev/brig/api"
)

// report is what a comparison found.
type report struct {
	items      map[api.Verdict]int // by the verdict that they got
	right      map[api.Verdict]int // those of them that are as expected
	pictures   int
	mismatches []string
}

func newReport() *report {
	return &report{items: map[api.Verdict]int{}, right: map[api.Verdict]int{}}
}

func (r *report) count(v api.Verdict, right bool) {
	r.items[v]++
	if right {
		r.right[v]++
	}
}

func (r *report) mismatch(id, what string) {
	r.mismatches = append(r.mismatches, id+" "+what)
}

func (r *report) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "verdict\titems\tas expected\t")
	items, right := 0, 0
	for _, v := range api.Verdicts() {
		if r.items[v] > 0 {
			fmt.Fprintf(w, "%s\t%d\t%d\t\n", v, r.items[v], r.right[v])
		}
		items, right = items+r.items[v], right+r.right[v]
	}
	fmt.Fprintf(w, "all\t%d\t%d\t\n", items, right)
	w.Flush()
	fmt.Fprintln(out)
	for _, m := range r.mismatches {
		fmt.Fprintln(out, "MISMATCH", m)
	}
	if len(r.mismatches) == 0 {
		fmt.Fprintf(out, "All %d items have exactly one result, and it is the expected one; all %d pictures are there.\n", items, r.pictures)
	}
}
