package api

// Methods of differences and of reverting a turn.
const (
	MethodDiffThread    = "diff.thread"    // DiffThread -> Diff
	MethodDiffWorking   = "diff.working"   // DiffWorking -> Diff
	MethodDiffBetween   = "diff.between"   // DiffBetween -> Diff
	MethodRevertPreview = "revert.preview" // RevertPreview -> RevertPlan
	MethodRevertApply   = "revert.apply"   // RevertApply -> Reverted
	MethodRevertUndo    = "revert.undo"    // RevertUndo -> Reverted
)

// DiffOptions say how to compare and which part to answer.
type DiffOptions struct {
	// IgnoreWhitespace leaves out changes in white space only; a file without any other has no hunks.
	IgnoreWhitespace bool `json:"ignoreWhitespace,omitempty"`
	// Context is how many unchanged lines stand around a change; absent is 3, most 100,000 (the whole file).
	Context *int `json:"context,omitempty"`
	// Paths narrows it down to these files.
	Paths []string `json:"paths,omitempty"`
	// Offset and Limit page through the files; Limit 0 is 500, most 5,000. NoHunks answers the list alone.
	Offset  int  `json:"offset,omitempty"`
	Limit   int  `json:"limit,omitempty"`
	NoHunks bool `json:"noHunks,omitempty"`
	// Skip is how many lines of the file's hunks to leave out; only with one path. See DiffFile.Next.
	Skip int `json:"skip,omitempty"`
}

// DiffTurn asks what a turn changed, from the checkpoints around it.
type DiffTurn struct {
	TurnID string `json:"turnId"`
	DiffOptions
}

// DiffThread asks what a thread's turns changed, from before its first to after its
// last one, of the files that its turns changed.
type DiffThread struct {
	ThreadID string `json:"threadId"`
	DiffOptions
}

// DiffWorking asks how the working tree differs.
type DiffWorking struct {
	GitPlace
	DiffOptions
	// Scope: "all" (the default) against the last commit, untracked files too; "staged":
	// the index against the last commit; "unstaged": the working tree against the index.
	Scope string `json:"scope,omitempty"`
}

// DiffBetween compares two checkpoints of a project's threads.
type DiffBetween struct {
	From DiffPoint `json:"from"`
	To   DiffPoint `json:"to"`
	DiffOptions
}

// DiffPoint is the checkpoint before or after a turn.
type DiffPoint struct {
	TurnID string `json:"turnId"`
	After  bool   `json:"after,omitempty"`
}

// Diff is a part of a comparison. What does not fit the answer's bound comes with
// further calls: files with Offset, the rest of a long file with Skip.
type Diff struct {
	Files []DiffFile `json:"files"`
	// Total, Additions and Deletions are of the whole comparison.
	Total     int `json:"total"`
	Additions int `json:"additions"`
	Deletions int `json:"deletions"`
	// NextOffset is the Offset of the next page of files, 0 when this was the last.
	NextOffset int `json:"nextOffset,omitempty"`
	// Truncated says that the comparison is too large to be listed whole.
	Truncated bool `json:"truncated,omitempty"`
}

// DiffFile is a changed file with its hunks as data.
type DiffFile struct {
	ChangedFile
	// OldMode and NewMode are Git's ("100644", "100755", "120000" a link, "160000" a submodule); "" where there is no file.
	OldMode string `json:"oldMode,omitempty"`
	NewMode string `json:"newMode,omitempty"`
	// OldBytes and NewBytes are the sizes of a binary file.
	OldBytes int64 `json:"oldBytes,omitempty"`
	NewBytes int64 `json:"newBytes,omitempty"`
	// OldCommit and NewCommit are what a submodule points at.
	OldCommit string `json:"oldCommit,omitempty"`
	NewCommit string `json:"newCommit,omitempty"`
	// Hunks are absent for binary files, and where Pending says that the answer was full: ask for the file by its path.
	Hunks   []DiffHunk `json:"hunks,omitempty"`
	Pending bool       `json:"pending,omitempty"`
	// Next is the Skip that continues a long file, 0 when this is its end.
	Next int `json:"next,omitempty"`
}

// DiffHunk is a run of changed lines with what stands around them. A hunk that is
// continued on the next page begins there with the numbers of its first line there.
type DiffHunk struct {
	OldStart int `json:"oldStart"`
	OldLines int `json:"oldLines"`
	NewStart int `json:"newStart"`
	NewLines int `json:"newLines"`
	// Section is the function or heading it is in, as Git guesses.
	Section string `json:"section,omitempty"`
	// Lines begin with their sign: a space, "+" or "-". A carriage return at a line's end stays.
	Lines []string `json:"lines"`
	// OldNoNewline and NewNoNewline: the last line of that side has no newline at its end.
	OldNoNewline bool `json:"oldNoNewline,omitempty"`
	NewNoNewline bool `json:"newNoNewline,omitempty"`
}

// RevertPreview asks what reverting a turn would do. Later includes the thread's later turns.
type RevertPreview struct {
	TurnID string `json:"turnId"`
	Later  bool   `json:"later,omitempty"`
}

// RevertPlan is what reverting would do, file by file, as the files are now.
type RevertPlan struct {
	TurnID  string   `json:"turnId"`
	TurnIDs []string `json:"turnIds"`
	// Seen stands for the files as the plan found them; revert.apply takes it.
	Seen  string       `json:"seen"`
	Files []RevertFile `json:"files"`
	// Truncated says that there are more files than are listed; those are left alone.
	Truncated bool `json:"truncated,omitempty"`
}

// RevertFile is one file of a plan.
type RevertFile struct {
	Path string `json:"path"`
	// Action: "restore" its earlier content, "remove" what the turn added, "create" what it deleted; "" for nothing to do.
	Action string `json:"action,omitempty"`
	// State: "clean": the agent changed it and nobody since; "done": it is as it was before;
	// "unclaimed": it changed while the turn ran, but the agent did not report it as its edit;
	// "changed": somebody changed it since, or between; "foreign": another thread worked on it;
	// "blocked": it cannot be written (see Reason). Only clean files are reverted unasked.
	State string `json:"state"`
	// Allowed says that it may be chosen all the same.
	Allowed   bool   `json:"allowed,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Additions int    `json:"additions"`
	Deletions int    `json:"deletions"`
	Binary    bool   `json:"binary,omitempty"`
}

// RevertApply reverts. Paths are the files to revert; absent means the clean ones. A
// file that changed since the plan was seen is refused with CodeConflict, and nothing is done.
type RevertApply struct {
	TurnID string   `json:"turnId"`
	Later  bool     `json:"later,omitempty"`
	Seen   string   `json:"seen"`
	Paths  []string `json:"paths,omitempty"`
}

// RevertUndo brings back what a revert took away, file by file as far as nobody changed them since.
type RevertUndo struct {
	ThreadID string `json:"threadId"`
	RevertID string `json:"revertId"`
}

// RevertState is whether a revert stands.
type RevertState string

const (
	RevertDone   RevertState = "done"
	RevertUndone RevertState = "undone"
)

// Revert is a revert as the timeline tells it. Undoing it, and undoing that again, changes the same item.
type Revert struct {
	// TurnID is the turn reverted, Turn its ordinal; Later says that the thread's later turns were reverted with it.
	TurnID string      `json:"turnId"`
	Turn   int64       `json:"turn"`
	Later  bool        `json:"later,omitempty"`
	State  RevertState `json:"state"`
	// RevertID is what revert.undo takes: for the revert while it is done, for its undo once it is undone. "" when neither can be.
	RevertID string `json:"revertId,omitempty"`
	// Unfinished says that one of these has begun to write files and its end was not told: it goes on, or
	// the backend was killed in it. revert.undo with RevertID then leaves nothing half done.
	Unfinished bool `json:"unfinished,omitempty"`
	// Files are the paths that are now as the last of these wanted; at most 200, Total counts them all.
	Files []string `json:"files"`
	Total int      `json:"total"`
	// Left are files that it did not touch though it was to, with the reason; at most 200.
	Left []RevertFile `json:"left,omitempty"`
}

// Reverted is a revert that was carried out, or undone.
type Reverted struct {
	// RevertID is what revert.undo takes; "" when nothing was done.
	RevertID string `json:"revertId,omitempty"`
	// Files are the paths that are as they were to be; Left are those that are not, with the reason.
	Files []string     `json:"files"`
	Left  []RevertFile `json:"left,omitempty"`
}
