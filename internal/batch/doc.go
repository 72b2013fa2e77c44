// Package batch runs many items, each in a fresh sandbox, and gives exactly one
// result for each, whatever crashes.
//
// A run reads its input twice: once to check and count it, once to dispatch it.
// Every dispatch is written to the journal before it happens and every result
// when its sandbox is gone; results.jsonl is a projection of the journal. So a
// run that was killed resumes by being started again: what has a result is
// passed over, what was being run is run again (it had no network, so nothing
// outside its sandbox has happened), after everything else and only so often
// that an item which kills its worker is found out.
//
// One item's way: run.go → dispatch.go → worker.go → item.go (journal) →
// attempt.go (create, put, exec, read, destroy) → verdict.go → item.go.
//
// Of the input a run keeps about 16 bytes an item (a hash of the custom_id) and
// the table that those are in.
package batch
