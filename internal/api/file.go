package api

// Requests about the files of a project. Paths are relative to the place's
// folder, with slashes on every system; the backend resolves and confines them.

const (
	MethodFileFind   = "file.find"   // FileFind -> FoundFiles
	MethodFileList   = "file.list"   // FileList -> FileFolder
	MethodFileRead   = "file.read"   // FileRead -> FileView
	MethodFileSearch = "file.search" // FileSearch -> FileMatches

	// PathFileBytes takes FileRef by POST and answers the file's own bytes.
	PathFileBytes = "/api/file"
)

// FilePlace names the folder that files are meant in: the working tree of a
// thread, or the folder of a project. A thread's id is enough; with both the thread's counts.
type FilePlace struct {
	ProjectID string `json:"projectId,omitempty"`
	ThreadID  string `json:"threadId,omitempty"`
}

// FileRef is one file. POST /api/file answers its bytes, at most 25 MiB, for
// pictures the page shows: with the type of a picture it knows, else as
// application/octet-stream, never to be sniffed.
type FileRef struct {
	FilePlace
	Path string `json:"path"`
}

// FileFind looks for files and folders whose path has the letters of Query in
// their order. An empty query answers what was used or changed last.
type FileFind struct {
	FilePlace
	Query string `json:"query"`
	Limit int    `json:"limit,omitempty"` // default 20, most 200
	// Files leaves folders out.
	Files bool `json:"files,omitempty"`
}

// FoundFiles are the best matches, the best first.
type FoundFiles struct {
	Files []FoundFile `json:"files"`
	// Matches counts all matches.
	Matches int `json:"matches"`
	// Known counts the paths that were looked through; Partial says that the
	// folder holds more than are kept.
	Known   int  `json:"known"`
	Partial bool `json:"partial,omitempty"`
}

// FoundFile is a path; Marks are the letters that matched, in UTF-16 code units of it.
type FoundFile struct {
	Path   string     `json:"path"`
	Folder bool       `json:"folder,omitempty"`
	Marks  []TextMark `json:"marks,omitempty"`
	// Changed: it differs from the last commit, or is new.
	Changed bool `json:"changed,omitempty"`
}

// FileList asks for what is in a folder; Path "" is the place itself.
type FileList struct {
	FilePlace
	Path string `json:"path,omitempty"`
}

// FileFolder is a folder's content: folders first, then by name without case.
type FileFolder struct {
	Path    string      `json:"path"`
	Entries []FileEntry `json:"entries"`
	// Truncated says that there are more than are listed.
	Truncated bool `json:"truncated,omitempty"`
}

// FileKind is what a directory entry is; a link is what it leads to, where that is in the project.
type FileKind string

const (
	FileKindFile   FileKind = "file"
	FileKindFolder FileKind = "folder"
	// FileKindOutside is a link that leads out of the project, or nowhere.
	FileKindOutside FileKind = "outside"
	// FileKindSpecial is a device, a pipe or a socket.
	FileKindSpecial FileKind = "special"
)

type FileEntry struct {
	Name string   `json:"name"`
	Kind FileKind `json:"kind"`
	// Link: it is a link to that.
	Link  bool  `json:"link,omitempty"`
	Bytes int64 `json:"bytes,omitempty"`
	// Ignored by the rules of .gitignore.
	Ignored bool `json:"ignored,omitempty"`
	// Broken: the name is no text (not UTF-8), so it can be shown but not asked for.
	Broken bool `json:"broken,omitempty"`
}

// FileRead asks for a file's text from the byte Offset on.
type FileRead struct {
	FilePlace
	Path   string `json:"path"`
	Offset int64  `json:"offset,omitempty"`
	Limit  int64  `json:"limit,omitempty"` // bytes, default 512 KiB, most 2 MiB
}

// FileContent is what a file holds, told by its first bytes.
type FileContent string

const (
	ContentText   FileContent = "text"
	ContentImage  FileContent = "image" // one the page can show; its bytes are at POST /api/file
	ContentBinary FileContent = "binary"
)

// FileView is a file to be looked at. Text is set for text only.
type FileView struct {
	Path       string      `json:"path"`
	Content    FileContent `json:"content"`
	Bytes      int64       `json:"bytes"`
	ModifiedAt int64       `json:"modifiedAt"`
	// Mime of an image.
	Mime string `json:"mime,omitempty"`
	// Encoding of a text: utf-8, utf-8-bom, utf-16le, utf-16be, windows-1252.
	Encoding string `json:"encoding,omitempty"`
	// Text is from Offset to Next, whole lines where they fit; Next is 0 at the file's end.
	Text   string `json:"text,omitempty"`
	Offset int64  `json:"offset,omitempty"`
	Next   int64  `json:"next,omitempty"`
	// AbsolutePath is for "copy path" and for opening it in an editor.
	AbsolutePath string `json:"absolutePath"`
}

// FileSearch looks for text in files that are not ignored.
type FileSearch struct {
	FilePlace
	Text string `json:"text"`
	// Regex takes Text as a regular expression; Case minds upper and lower case; Word matches whole words only.
	Regex bool `json:"regex,omitempty"`
	Case  bool `json:"case,omitempty"`
	Word  bool `json:"word,omitempty"`
	// Include are globs like "*.go" or "web/**"; one with "!" in front leaves files out.
	Include []string `json:"include,omitempty"`
	Limit   int      `json:"limit,omitempty"` // matching lines, default 500, most 5000
}

// FileMatches are the matching lines by file.
type FileMatches struct {
	Files []FileMatch `json:"files"`
	// Lines counts the matching lines given.
	Lines int `json:"lines"`
	// More says that the search ended at its limit or its time.
	More bool `json:"more,omitempty"`
	// Engine: ripgrep, git, or own.
	Engine string `json:"engine"`
}

type FileMatch struct {
	Path  string      `json:"path"`
	Lines []MatchLine `json:"lines"`
}

// MatchLine is a line with matches; of a long one the part around the first.
type MatchLine struct {
	Line int    `json:"line"` // from 1
	Text string `json:"text"`
	// Marks are the matches in Text, in UTF-16 code units.
	Marks []TextMark `json:"marks"`
	// Cut: Text is a part of the line.
	Cut bool `json:"cut,omitempty"`
}
