package api

// Requests of the backend's methods. Every method is reachable as
// POST /api/call/<method> with its request as the body, and as a "call" frame
// on the WebSocket. Methods that change something take a command id
// (Catamaran-Command header, frame field commandId): the same id gets the same
// answer and is carried out once.

// Method names. The route table in package server ties each to its types.
const (
	MethodDescriptor     = "descriptor.get"  // Empty -> Descriptor
	MethodIdentityRenew  = "identity.renew"  // Empty -> Empty
	MethodPing           = "ping"            // Empty -> Empty; the empty call of the benchmarks
	MethodPathTranslate  = "path.translate"  // PathTranslate -> PathTranslated
	MethodProjectAdd     = "project.add"     // ProjectAdd -> Project
	MethodProjectRename  = "project.rename"  // ProjectRename -> Project
	MethodProjectRemove  = "project.remove"  // ProjectRef -> Empty
	MethodFolderList     = "folder.list"     // FolderList -> Folder
	MethodAgentList      = "agent.list"      // AgentList -> Agents
	MethodAgentOptions   = "agent.options"   // AgentOptionsGet -> AgentOptions
	MethodThreadCreate   = "thread.create"   // ThreadCreate -> Thread
	MethodThreadRename   = "thread.rename"   // ThreadRename -> Thread
	MethodThreadArchive  = "thread.archive"  // ThreadArchive -> Thread
	MethodThreadDelete   = "thread.delete"   // ThreadRef -> Empty
	MethodThreadUpdate   = "thread.update"   // ThreadUpdate -> Thread
	MethodThreadPin      = "thread.pin"      // ThreadPin -> Thread
	MethodThreadSeen     = "thread.seen"     // ThreadRef -> Thread
	MethodThreadHistory  = "thread.history"  // ThreadHistory -> ThreadPart
	MethodItemOutput     = "item.output"     // ItemOutput -> ItemOutputPart
	MethodTurnStart      = "turn.start"      // TurnStart -> Turn
	MethodTurnUnqueue    = "turn.unqueue"    // TurnRef -> Empty
	MethodTurnEdit       = "turn.edit"       // TurnEdit -> Item
	MethodTurnStop       = "turn.stop"       // ThreadRef -> Thread
	MethodApprovalAnswer = "approval.answer" // ApprovalAnswer -> Item
	MethodSearch         = "search.query"    // Search -> SearchHits
	MethodQuestionAnswer = "question.answer" // QuestionAnswer -> Item
	MethodAttachmentURL  = "attachment.url"  // AttachmentRef -> AttachmentURL
	MethodDiffTurn       = "diff.turn"       // DiffTurn -> Diff
	MethodSessionList    = "session.list"    // SessionList -> AgentSessions
	MethodSessionOpen    = "session.open"    // SessionOpen -> Thread
	MethodDoctorRun      = "doctor.run"      // DoctorRun -> DoctorReport
)

// Empty is a request or an answer without fields.
type Empty struct{}

// PathTranslate asks for the path of the environment's own system. Path may be
// absolute, "~"-relative or, inside WSL, a Windows path: of a drive, as the
// distro's mount table has it, or of the distro's own share.
type PathTranslate struct {
	Path string `json:"path"`
}

type PathTranslated struct {
	Path string `json:"path"`
}

type ProjectAdd struct {
	// Path is a path of the environment's own system, absolute, or "~"-relative; inside
	// WSL also what path.translate takes.
	Path string `json:"path"`
	Name string `json:"name,omitempty"`
}

type ProjectRename struct {
	ProjectID string `json:"projectId"`
	Name      string `json:"name"`
}

type ProjectRef struct {
	ProjectID string `json:"projectId"`
}

// FolderList asks for the sub-folders of Path; "" is the home directory.
type FolderList struct {
	Path string `json:"path"`
	// Hidden includes folders whose name begins with a dot.
	Hidden bool `json:"hidden,omitempty"`
}

// Folder is a directory and its sub-folders, for the in-app folder browser.
type Folder struct {
	Path    string        `json:"path"`
	Parent  string        `json:"parent,omitempty"` // "" at a root
	Home    string        `json:"home"`
	Git     bool          `json:"git"`
	Entries []FolderEntry `json:"entries"`
	// Truncated says that there are more than are listed.
	Truncated bool `json:"truncated,omitempty"`
}

type FolderEntry struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Git  bool   `json:"git"`
}

type AgentList struct {
	// Rescan runs detection again instead of answering from the last one.
	Rescan bool `json:"rescan,omitempty"`
}

type Agents struct {
	Agents []Agent `json:"agents"`
}

type ThreadCreate struct {
	ProjectID  string         `json:"projectId"`
	AgentID    string         `json:"agentId"`
	Title      string         `json:"title,omitempty"`
	Permission PermissionMode `json:"permission,omitempty"` // default supervised
	Model      string         `json:"model,omitempty"`
	Effort     string         `json:"effort,omitempty"`
	Plan       bool           `json:"plan,omitempty"`
	// Worktree gives the thread a working tree of its own; absent is the project's folder.
	Worktree *WorktreeChoice `json:"worktree,omitempty"`
}

type ThreadRef struct {
	ThreadID string `json:"threadId"`
}

type ThreadRename struct {
	ThreadID string `json:"threadId"`
	Title    string `json:"title"`
}

type ThreadArchive struct {
	ThreadID string `json:"threadId"`
	Archived bool   `json:"archived"`
}

// ThreadUpdate changes what agents are told from the next turn on; absent fields stay.
type ThreadUpdate struct {
	ThreadID   string         `json:"threadId"`
	AgentID    string         `json:"agentId,omitempty"`
	Permission PermissionMode `json:"permission,omitempty"`
	Model      *string        `json:"model,omitempty"`
	Effort     *string        `json:"effort,omitempty"`
	Plan       *bool          `json:"plan,omitempty"`
}

type TurnStart struct {
	ThreadID string `json:"threadId"`
	Text     string `json:"text"`
	// AttachmentIDs are of files uploaded before (POST /api/upload).
	AttachmentIDs []string `json:"attachmentIds,omitempty"`
	// Steer hands the text to the running turn, where the agent can take it, instead of queueing it.
	Steer bool `json:"steer,omitempty"`
}

// TurnEdit changes the text of a queued turn.
type TurnEdit struct {
	TurnID string `json:"turnId"`
	Text   string `json:"text"`
}

// AgentOptionsGet asks what an agent offers in a project; Refresh asks the agent again.
type AgentOptionsGet struct {
	AgentID   string `json:"agentId"`
	ProjectID string `json:"projectId"`
	Refresh   bool   `json:"refresh,omitempty"`
}

// QuestionAnswer answers a question; Cancel declines to answer it.
type QuestionAnswer struct {
	ThreadID string               `json:"threadId"`
	ItemID   string               `json:"itemId"`
	Answers  []QuestionAnswerPart `json:"answers,omitempty"`
	Cancel   bool                 `json:"cancel,omitempty"`
}

// AttachmentRef names an uploaded file: of a thread's message, or, without ThreadID, one not sent yet.
type AttachmentRef struct {
	ID       string `json:"id"`
	ThreadID string `json:"threadId,omitempty"`
}

// AttachmentURL is an address below the environment's own (/e/<environment>), which anybody who
// knows it can read until it expires.
type AttachmentURL struct {
	URL       string `json:"url"`
	ExpiresAt int64  `json:"expiresAt"`
}

// ThreadHistory asks for a part of a thread's timeline: the items before the
// ordinal Before, after the ordinal After, or around the item Around; exactly one is given.
// Parts are also bounded in bytes: an answer may hold fewer items than Limit, never none where there are any.
type ThreadHistory struct {
	ThreadID string `json:"threadId"`
	Before   int64  `json:"before,omitempty"`
	After    int64  `json:"after,omitempty"`
	Around   string `json:"around,omitempty"`
	Limit    int    `json:"limit,omitempty"` // items, default 200, most 1000
}

// ThreadPart is a part of a thread's timeline by ordinal, with the turns its items belong to.
type ThreadPart struct {
	Turns   []Turn `json:"turns"`
	Items   []Item `json:"items"`
	Earlier bool   `json:"earlier,omitempty"`
	Later   bool   `json:"later,omitempty"`
}

// ItemOutput asks for a part of a tool call's whole output, also of what its item leaves out.
type ItemOutput struct {
	ItemID string `json:"itemId"`
	Offset int64  `json:"offset,omitempty"` // bytes
	Limit  int64  `json:"limit,omitempty"`  // bytes, default 256 KiB, most 1 MiB
}

// ItemOutputPart is a part of an output. It begins and ends between characters, so Offset may be a little
// after what was asked for.
type ItemOutputPart struct {
	Text   string `json:"text"`
	Offset int64  `json:"offset"`
	// Next is the offset to go on from; it is Total at the end.
	Next int64 `json:"next"`
	// Total is how many bytes can be had; a tool that wrote more than 64 MiB lost what came after them.
	Total int64 `json:"total"`
}

type ThreadPin struct {
	ThreadID string `json:"threadId"`
	Pinned   bool   `json:"pinned"`
}

// Search looks for words in titles and messages: all of the words, each as the beginning of one, whatever
// their case and accents; what is in double quotes as it is. Titles come first, then messages, newest first.
type Search struct {
	Text string `json:"text"`
	// ProjectID or ThreadID narrow it down.
	ProjectID string `json:"projectId,omitempty"`
	ThreadID  string `json:"threadId,omitempty"`
	// Archived includes archived threads.
	Archived bool `json:"archived,omitempty"`
	Limit    int  `json:"limit,omitempty"` // hits, default 50, most 200
}

type SearchHits struct {
	Hits []SearchHit `json:"hits"`
	// More says that there are more than are listed.
	More bool `json:"more,omitempty"`
	// Indexing says that messages from before the search existed are still being read: there may be more soon.
	Indexing bool `json:"indexing,omitempty"`
}

// SearchHit is a thread whose title matches, or an item of it whose text does.
type SearchHit struct {
	Thread Thread   `json:"thread"`
	ItemID string   `json:"itemId,omitempty"` // "": the title
	Kind   ItemKind `json:"kind,omitempty"`
	At     int64    `json:"at"`
	// Snippet is text around the match; Marks are the matches in it, in UTF-16 code units.
	Snippet string     `json:"snippet"`
	Marks   []TextMark `json:"marks"`
}

type TextMark struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// SessionList asks for the sessions that an agent keeps on disk for a project's folder.
type SessionList struct {
	ProjectID string `json:"projectId"`
	AgentID   string `json:"agentId"`
}

type AgentSessions struct {
	Sessions []AgentSession `json:"sessions"`
}

// AgentSession is a conversation an agent's own program keeps.
type AgentSession struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	UpdatedAt int64  `json:"updatedAt"`
	Messages  int    `json:"messages,omitempty"`
	// ThreadID is the thread that goes on with it already.
	ThreadID string `json:"threadId,omitempty"`
}

// SessionOpen makes a thread of an agent's session, with its messages as far as they can be read.
type SessionOpen struct {
	ProjectID string `json:"projectId"`
	AgentID   string `json:"agentId"`
	SessionID string `json:"sessionId"`
}

type TurnRef struct {
	TurnID string `json:"turnId"`
}

type ApprovalAnswer struct {
	ThreadID string `json:"threadId"`
	ItemID   string `json:"itemId"`
	// OptionID is one of the approval's options; "" with Cancel set cancels the turn instead.
	OptionID string `json:"optionId,omitempty"`
	Cancel   bool   `json:"cancel,omitempty"`
}
