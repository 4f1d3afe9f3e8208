// Package checkpoint snapshots a working tree before and after each turn under
// hidden refs (refs/catamaran/...), made with a temporary index: the user's
// index, branch, stash and hooks are never touched. The engine calls it.
package checkpoint
