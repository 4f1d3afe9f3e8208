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
	MethodThreadCreate   = "thread.create"   // ThreadCreate -> Thread
	MethodThreadRename   = "thread.rename"   // ThreadRename -> Thread
	MethodThreadArchive  = "thread.archive"  // ThreadArchive -> Thread
	MethodThreadDelete   = "thread.delete"   // ThreadRef -> Empty
	MethodThreadUpdate   = "thread.update"   // ThreadUpdate -> Thread
	MethodTurnStart      = "turn.start"      // TurnStart -> Turn
	MethodTurnUnqueue    = "turn.unqueue"    // TurnRef -> Empty
	MethodTurnStop       = "turn.stop"       // ThreadRef -> Thread
	MethodApprovalAnswer = "approval.answer" // ApprovalAnswer -> Item
	MethodDiffTurn       = "diff.turn"       // TurnRef -> TurnDiff
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

// ThreadUpdate changes the agent or the permission mode from the next turn on; empty fields stay.
type ThreadUpdate struct {
	ThreadID   string         `json:"threadId"`
	AgentID    string         `json:"agentId,omitempty"`
	Permission PermissionMode `json:"permission,omitempty"`
}

type TurnStart struct {
	ThreadID string `json:"threadId"`
	Text     string `json:"text"`
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
