// Command gen writes items.jsonl of the demo batch from the programs in src/:
//
//	go run ./examples/postprocess/gen
//
// Every src/NAME.py or .sh lies beside a src/NAME.json with its cases: a list of
// {"input": …, "files": {…}}, each of which becomes one item, NAME-1, NAME-2, …
// The programs in src/broken and src/hostile have one cases.json per folder,
// which tells the verdict that each of them must get.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	dir := flag.String("dir", "examples/postprocess", "folder that has src/ and gets items.jsonl")
	flag.Parse()
	if err := write(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	items, err := collect(filepath.Join(dir, "src"))
	if err != nil {
		return err
	}
	data, err := encode(items)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "items.jsonl"), data, 0o644); err != nil {
		return err
	}
	fmt.Printf("%d items in %s\n", len(items), filepath.Join(dir, "items.jsonl"))
	return nil
}
