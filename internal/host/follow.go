package host

import (
	"context"
	"path"

	"github.com/brigdev/brig/api"
)

// maxLinks is how many symbolic links are followed for one path, as on Linux.
const maxLinks = 40

// Follow describes what a path inside leads to, final symbolic links followed; the
// FileInfo's Path is there. A link that leads nowhere is CodeNotFound, one that
// leads round in circles CodeInvalid. What it found may have changed when it is
// used: operations on the path follow no link of their own.
func Follow(ctx context.Context, box Session, p string) (api.FileInfo, error) {
	for range maxLinks {
		info, err := box.Stat(ctx, p)
		if err != nil {
			return info, err
		}
		info.Path = p
		if info.Kind != api.FileSymlink {
			return info, nil
		}
		if path.IsAbs(info.Target) {
			p = path.Clean(info.Target)
		} else {
			p = path.Join(path.Dir(p), info.Target)
		}
	}
	return api.FileInfo{}, api.Errorf(api.CodeInvalid, "cannot follow %.100q: because it has too many symbolic links", p).
		WithFix("check the path inside the sandbox")
}
