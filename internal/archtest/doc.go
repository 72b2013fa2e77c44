// Package archtest is tests about the repository itself: who may import whom,
// that every package is documented, that files and functions stay readable, and
// that the documents are in step with the code.
package archtest
