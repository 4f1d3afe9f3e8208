package api

import "encoding/json"

// Project is a directory of an environment.
type Project struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Path string `json:"path"`
	Git  bool   `json:"git"`
	// Branch is checked out, or without one the commit DetachedAt, as was seen last: with the
	// topic head:, with every Git status, and at the end of every turn.
	Branch     string `json:"branch,omitempty"`
	DetachedAt string `json:"detachedAt,omitempty"`
	AgentID    string `json:"agentId,omitempty"` // the agent used last
	// SetupScript is the command that is run in every new worktree.
	SetupScript string `json:"setupScript,omitempty"`
	CreatedAt   int64  `json:"createdAt"`
}

// PermissionMode is how much an agent may do without asking.
type PermissionMode string

const (
	PermissionSupervised  PermissionMode = "supervised"
	PermissionAcceptEdits PermissionMode = "accept-edits"
	PermissionFull        PermissionMode = "full"
)

// Thread is a durable conversation in a project.
type Thread struct {
	ID         string         `json:"id"`
	ProjectID  string         `json:"projectId"`
	Title      string         `json:"title"`
	AgentID    string         `json:"agentId"`
	Permission PermissionMode `json:"permission"`
	// State is the state of the newest turn that is not queued; empty before the first one.
	State TurnState `json:"state,omitempty"`
	// Asking is what a waiting turn wants first: approval, question or plan; "" when nothing.
	Asking string `json:"asking,omitempty"`
	// Stopping is true between a stop request and the turn's end.
	Stopping bool `json:"stopping,omitempty"`
	// Model and Effort are ids the agent reported (AgentOptions); "" is the agent's own choice.
	Model  string `json:"model,omitempty"`
	Effort string `json:"effort,omitempty"`
	// Plan asks the agent to plan before it changes anything, where it can.
	Plan   bool `json:"plan,omitempty"`
	Pinned bool `json:"pinned,omitempty"`
	// Unread is true from the end of a turn, or a question, until thread.seen.
	Unread bool `json:"unread,omitempty"`
	// Dir is the thread's own working tree; "" is the project's folder.
	Dir string `json:"dir,omitempty"`
	// Branch and DetachedAt are as a project's, in Dir; SetupJobID is the job of its set-up script.
	Branch     string `json:"branch,omitempty"`
	DetachedAt string `json:"detachedAt,omitempty"`
	SetupJobID string `json:"setupJobId,omitempty"`
	CreatedAt  int64  `json:"createdAt"`
	UpdatedAt  int64  `json:"updatedAt"`
	ArchivedAt int64  `json:"archivedAt,omitempty"`
}

// TurnState is where a turn stands.
type TurnState string

const (
	TurnQueued      TurnState = "queued"
	TurnRunning     TurnState = "running"
	TurnWaiting     TurnState = "waiting"
	TurnCompleted   TurnState = "completed"
	TurnInterrupted TurnState = "interrupted"
	TurnFailed      TurnState = "failed"
)

// Final reports whether the state never changes again.
func (s TurnState) Final() bool {
	return s == TurnCompleted || s == TurnInterrupted || s == TurnFailed
}

// Turn is one prompt to its end.
type Turn struct {
	ID       string    `json:"id"`
	ThreadID string    `json:"threadId"`
	Ordinal  int64     `json:"ordinal"`
	State    TurnState `json:"state"`
	// Reason is shown with interrupted and failed turns.
	Reason    *Error         `json:"reason,omitempty"`
	QueuedAt  int64          `json:"queuedAt"`
	StartedAt int64          `json:"startedAt,omitempty"`
	EndedAt   int64          `json:"endedAt,omitempty"`
	Usage     *Usage         `json:"usage,omitempty"`
	Changes   *ChangeSummary `json:"changes,omitempty"`
}

// Usage counts tokens as the agent reports them.
type Usage struct {
	InputTokens  int64 `json:"inputTokens,omitempty"`
	OutputTokens int64 `json:"outputTokens,omitempty"`
	// ContextUsed and ContextSize describe the agent's context window.
	ContextUsed int64 `json:"contextUsed,omitempty"`
	ContextSize int64 `json:"contextSize,omitempty"`
}

// ChangeSummary is what a turn changed, from the checkpoints around it.
type ChangeSummary struct {
	Files     []ChangedFile `json:"files"`
	Additions int           `json:"additions"`
	Deletions int           `json:"deletions"`
	// Truncated says that more files changed than are listed.
	Truncated bool `json:"truncated,omitempty"`
}

// ChangedFile is one path of a diff.
type ChangedFile struct {
	Path string `json:"path"`
	// OldPath is set for renames.
	OldPath   string     `json:"oldPath,omitempty"`
	Status    FileStatus `json:"status"`
	Additions int        `json:"additions"`
	Deletions int        `json:"deletions"`
	Binary    bool       `json:"binary,omitempty"`
}

// FileStatus is what happened to a file.
type FileStatus string

const (
	FileAdded    FileStatus = "added"
	FileModified FileStatus = "modified"
	FileDeleted  FileStatus = "deleted"
	FileRenamed  FileStatus = "renamed"
	FileMode     FileStatus = "mode"
)

// ItemKind is the kind of a timeline item.
type ItemKind string

const (
	ItemUserMessage  ItemKind = "user_message"
	ItemAgentMessage ItemKind = "agent_message"
	ItemReasoning    ItemKind = "reasoning"
	ItemToolCall     ItemKind = "tool_call"
	ItemPlan         ItemKind = "plan"
	ItemApproval     ItemKind = "approval"
	ItemQuestion     ItemKind = "question"
	ItemNotice       ItemKind = "notice"
	ItemRevert       ItemKind = "revert"
	ItemUnknown      ItemKind = "unknown"
)

// Item is one entry of a thread's timeline, upserted by ID. Exactly the fields of its kind are set.
type Item struct {
	ID       string   `json:"id"`
	ThreadID string   `json:"threadId"`
	TurnID   string   `json:"turnId"`
	Ordinal  int64    `json:"ordinal"` // orders items within the thread
	Kind     ItemKind `json:"kind"`
	// Live says that text may still be appended by deltas.
	Live      bool  `json:"live,omitempty"`
	CreatedAt int64 `json:"createdAt"`
	UpdatedAt int64 `json:"updatedAt"`
	// Text of messages (Markdown), reasoning, notices, reverts in one sentence, and plans written as text (Markdown).
	Text string    `json:"text,omitempty"`
	Tool *ToolCall `json:"tool,omitempty"`
	// Plan is a plan of steps.
	Plan     []PlanStep `json:"plan,omitempty"`
	Approval *Approval  `json:"approval,omitempty"`
	Question *Question  `json:"question,omitempty"`
	// Revert is a person's revert of a turn; the item stands in the turn that was the newest then.
	Revert *Revert `json:"revert,omitempty"`
	// Attachments of a user message.
	Attachments []Attachment `json:"attachments,omitempty"`
	// Raw is the agent's own JSON for kinds we do not know.
	Raw json.RawMessage `json:"raw,omitempty"`
	// Level of a notice: info, warning, error.
	Level string `json:"level,omitempty"`
}

// ToolStatus is where a tool call stands.
type ToolStatus string

const (
	ToolPending   ToolStatus = "pending"
	ToolRunning   ToolStatus = "running"
	ToolCompleted ToolStatus = "completed"
	ToolFailed    ToolStatus = "failed"
	ToolCancelled ToolStatus = "cancelled"
)

// ToolCall is something the agent does.
type ToolCall struct {
	// Kind: read, edit, delete, move, search, execute, think, fetch, other.
	Kind   string     `json:"kind"`
	Title  string     `json:"title"`
	Status ToolStatus `json:"status"`
	// Command is the shell command of an execute call, where it is known.
	Command string `json:"command,omitempty"`
	// Input is the agent's raw input.
	Input json.RawMessage `json:"input,omitempty"`
	// Output is text, capped (head and tail) with OutputBytes telling the whole size.
	Output      string     `json:"output,omitempty"`
	OutputBytes int64      `json:"outputBytes,omitempty"`
	ExitCode    *int       `json:"exitCode,omitempty"`
	Locations   []Location `json:"locations,omitempty"`
	Edits       []FileEdit `json:"edits,omitempty"`
}

// Location is a place in a file.
type Location struct {
	Path string `json:"path"`
	Line int    `json:"line,omitempty"`
}

// FileEdit is an edit as the agent announced it.
type FileEdit struct {
	Path    string `json:"path"`
	OldText string `json:"oldText"`
	NewText string `json:"newText"`
}

// PlanStep is one line of a plan.
type PlanStep struct {
	Text string `json:"text"`
	// Status: pending, in_progress, completed.
	Status string `json:"status"`
}

// ApprovalState is where an approval stands.
type ApprovalState string

const (
	ApprovalPending   ApprovalState = "pending"
	ApprovalApproved  ApprovalState = "approved"
	ApprovalDeclined  ApprovalState = "declined"
	ApprovalCancelled ApprovalState = "cancelled"
	ApprovalExpired   ApprovalState = "expired"
)

// Approval is an agent's question whether it may do something.
type Approval struct {
	State ApprovalState `json:"state"`
	Title string        `json:"title"`
	// ToolItemID is the timeline item of the tool call it is about, where there is one.
	ToolItemID string `json:"toolItemId,omitempty"`
	// Kind is the tool call's kind, "plan" for a plan to carry out, "" when unknown (a generic card is shown).
	Kind     string           `json:"kind,omitempty"`
	Command  string           `json:"command,omitempty"`
	Edits    []FileEdit       `json:"edits,omitempty"`
	Options  []ApprovalOption `json:"options"`
	ChosenID string           `json:"chosenId,omitempty"`
}

// ApprovalOption is one answer the agent offers.
type ApprovalOption struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Kind: allow_once, allow_always, reject_once, reject_always; other values are shown as they are.
	Kind string `json:"kind"`
}

// Question is something the agent asks that is no permission: it holds one or
// more parts, each with options to choose from, free text, or both. Its states
// are those of an approval; approved means answered.
type Question struct {
	State ApprovalState `json:"state"`
	Title string        `json:"title"`
	// ToolItemID is the timeline item of the tool call that asks, where there is one.
	ToolItemID string         `json:"toolItemId,omitempty"`
	Parts      []QuestionPart `json:"parts"`
	// Answers are the parts' answers once it is answered, by part id.
	Answers []QuestionAnswerPart `json:"answers,omitempty"`
}

// QuestionPart is one thing a question asks.
type QuestionPart struct {
	ID      string           `json:"id"`
	Header  string           `json:"header,omitempty"`
	Text    string           `json:"text"`
	Options []QuestionOption `json:"options,omitempty"`
	// Multiple allows more than one option, FreeText an answer in words, Secret hides what is
	// typed, Optional lets it be left out.
	Multiple bool `json:"multiple,omitempty"`
	FreeText bool `json:"freeText,omitempty"`
	Secret   bool `json:"secret,omitempty"`
	Optional bool `json:"optional,omitempty"`
	// Format of the words: number, integer, or "" for any text.
	Format string `json:"format,omitempty"`
	// URL is a page the agent asks to be opened first.
	URL string `json:"url,omitempty"`
}

// QuestionOption is one answer a part offers.
type QuestionOption struct {
	ID          string `json:"id"`
	Label       string `json:"label"`
	Description string `json:"description,omitempty"`
}

// QuestionAnswerPart is what a person answered to one part: options, words, or both.
type QuestionAnswerPart struct {
	PartID    string   `json:"partId"`
	OptionIDs []string `json:"optionIds,omitempty"`
	Text      string   `json:"text,omitempty"`
}

// Attachment is a file that goes with a prompt; today an image.
type Attachment struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Mime  string `json:"mime"`
	Bytes int64  `json:"bytes"`
}

// AgentOptions are what an agent can do and be told, as it reports itself.
// What an agent lacks is absent.
type AgentOptions struct {
	AgentID string       `json:"agentId"`
	Version string       `json:"version,omitempty"`
	Models  []AgentModel `json:"models,omitempty"`
	// Efforts are those of agents that have them for every model alike; a model's own come first.
	Efforts       []string `json:"efforts,omitempty"`
	DefaultEffort string   `json:"defaultEffort,omitempty"`
	// DefaultModel is the one it takes unasked.
	DefaultModel string         `json:"defaultModel,omitempty"`
	Commands     []AgentCommand `json:"commands,omitempty"`
	// Plan: it has a plan mode. Images: prompts may carry images. Steer: a message can
	// reach a running turn. Sessions: sessions it keeps on disk can be continued.
	Plan     bool `json:"plan,omitempty"`
	Images   bool `json:"images,omitempty"`
	Steer    bool `json:"steer,omitempty"`
	Sessions bool `json:"sessions,omitempty"`
}

// AgentModel is a model an agent offers.
type AgentModel struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Efforts are the reasoning efforts it takes, from least to most.
	Efforts       []string `json:"efforts,omitempty"`
	DefaultEffort string   `json:"defaultEffort,omitempty"`
}

// AgentCommand is a slash command of an agent.
type AgentCommand struct {
	Name        string `json:"name"` // without the slash
	Description string `json:"description,omitempty"`
	// Hint describes the input after the name, where it takes one.
	Hint string `json:"hint,omitempty"`
}

// Agent is one agent as detected in an environment.
type Agent struct {
	ID     string `json:"id"` // demo, opencode, gemini ...
	Name   string `json:"name"`
	Driver string `json:"driver"` // acp, codex, claude
	// Base is the known agent it is one of (AgentInstance), "" for the demo agent and others.
	Base string `json:"base,omitempty"`
	// State: found, missing, checking, failed.
	State   string `json:"state"`
	Path    string `json:"path,omitempty"`
	Version string `json:"version,omitempty"`
	// Searched is the PATH that was searched when it is missing.
	Searched []string `json:"searched,omitempty"`
	// Foreign is a Windows program of the same name in a distro's PATH: it is not used, since it would work on
	// Windows' files with Windows' account.
	Foreign string `json:"foreign,omitempty"`
	// SignedIn is yes or no as the agent's own program tells it, "" where it does not.
	SignedIn string `json:"signedIn,omitempty"`
	// Install is the exact command that installs it; SignIn the one that signs in.
	Install string `json:"install,omitempty"`
	SignIn  string `json:"signIn,omitempty"`
	Error   *Error `json:"error,omitempty"`
}
