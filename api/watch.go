package api

// FileOp is what happened to a name in a directory that is watched.
type FileOp string

// What can happen to a name. A rename is told of the old name; the new one, where
// it is watched too, is a create.
const (
	FileCreate FileOp = "create"
	FileWrite  FileOp = "write"
	FileRemove FileOp = "remove"
	FileRename FileOp = "rename"
	FileChmod  FileOp = "chmod"
)

// FileChange is one change below a directory that is watched.
type FileChange struct {
	Op FileOp `json:"op"`
	// Name is relative to the watched directory; "." is the directory itself.
	Name string `json:"name"`
}
