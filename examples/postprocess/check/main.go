// Command check compares a run of the demo batch with what was expected:
//
//	go run ./examples/postprocess/check DIR
//
// DIR is the output directory of brig batch run. It prints a table of verdicts
// and every item that differs, and exits with 1 if there is one.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	expected := flag.String("expected", "examples/postprocess/expected.jsonl", "file with what each item must give")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: check [-expected FILE] DIR")
		os.Exit(2)
	}
	report, err := check(*expected, flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
	report.print(os.Stdout)
	if len(report.mismatches) > 0 {
		os.Exit(1)
	}
}
