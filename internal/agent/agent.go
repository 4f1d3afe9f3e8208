// Package agent declares what the engine needs of a coding agent: drivers that
// speak one protocol each, the sessions they open, the events those emit, and
// the registry that finds installed agents. It stores nothing and decides
// nothing about threads; package engine calls it.
package agent

import (
	"context"
	"encoding/json"

	"catamaran/internal/api"
)

// Driver speaks one agent protocol.
type Driver interface {
	// Open starts the agent process and opens or resumes a session. It returns once
	// prompts can be sent. Errors are *api.Error (CodeAgentFailed with the stderr
	// tail in Details, CodeAgentSignIn with the command as Hint).
	Open(ctx context.Context, o OpenOptions) (Session, error)
	// Options asks the agent what it offers in a folder, which may start and end a
	// process. AgentID is left to the caller. Errors are those of Open.
	Options(ctx context.Context, o OpenOptions) (api.AgentOptions, error)
}

// OpenOptions say where and how to open a session.
type OpenOptions struct {
	Agent      Config
	Dir        string // absolute working directory
	Env        []string
	Permission api.PermissionMode
	Settings   Settings
	// Resume is the cursor of an earlier Session ("" starts fresh). When the agent no
	// longer knows it a fresh session is opened and Session.Resumed() is false.
	Resume string
	// Sink receives events in order, never two at a time; a slow sink slows the agent.
	// It must not call Prompt or Close.
	Sink func(Event)
}

// Settings are what a person chose for a turn; the zero value is the agent's own choice.
type Settings struct {
	// Model and Effort are ids the agent reported.
	Model, Effort string
	// Plan asks for a plan before anything is changed.
	Plan bool
}

// Input is one prompt.
type Input struct {
	Text   string
	Images []Image
	// Settings are those of this turn; the session takes them (Session.Takes).
	Settings Settings
}

// Image is a picture that goes with a prompt, as a file of this environment.
type Image struct {
	Name, Mime, Path string
}

// Config is how to start one agent.
type Config struct {
	ID, Name string
	// Version is the one found by detection, "" where it is not known.
	Version string
	Path    string
	Args    []string
	Env     []string // added to OpenOptions.Env
	// Prepare, where set, returns more environment for a session in dir, for agents
	// whose permissions depend on the person's own configuration.
	Prepare func(ctx context.Context, c Config, dir string, env []string, mode api.PermissionMode) ([]string, error)
	// SignIn is the command that signs in, for the hint of CodeAgentSignIn.
	SignIn string
}

// Session is a live conversation with one agent process.
type Session interface {
	// Prompt runs one turn. It returns when the agent ended it; the error is an
	// *api.Error when the agent failed or its process ended.
	Prompt(ctx context.Context, in Input) (StopReason, error)
	// Takes reports whether the session can go on with other settings; where it cannot,
	// another one is opened.
	Takes(s Settings) bool
	// Steer hands a message to the running turn. Error: CodeConflict where the
	// agent takes none or no turn runs that could; the message was not taken then.
	Steer(ctx context.Context, in Input) error
	// Interrupt asks the agent to end the running turn; the engine enforces the rest of the ladder.
	Interrupt(ctx context.Context) error
	// Answer answers an approval. optionID "" means cancelled, also for a question.
	Answer(approvalID, optionID string) error
	// Reply answers a question; nil declines to answer it and the turn goes on.
	Reply(questionID string, answers []api.QuestionAnswerPart) error
	// Info tells the resume cursor and whether a given one was taken.
	Info() SessionInfo
	// Close ends the agent process and its tree by the ladder; it waits until they are gone or ctx ends.
	Close(ctx context.Context) error
	// Done is closed when the agent process has ended; Err tells why.
	Done() <-chan struct{}
	Err() error
}

// SessionInfo is what an opened session reports.
type SessionInfo struct {
	Resume  string // cursor to store
	Resumed bool
	PID     int
	Version string
	// Steer reports whether a message can reach a running turn.
	Steer bool
}

// StopReason is how a turn ended.
type StopReason string

const (
	StopEndTurn   StopReason = "end_turn"
	StopCancelled StopReason = "cancelled"
	StopRefusal   StopReason = "refusal"
	StopMaxTokens StopReason = "max_tokens"
)

// Event is an upsert by ID of something the agent did. IDs are the agent's own,
// unique within the session; the engine maps them to item ids.
type Event struct {
	// Kind: message, reasoning, tool, plan, approval, question, approval_resolved, usage, mode, notice, unknown.
	Kind string
	ID   string
	// Append is text to append (message, reasoning, notice; with kind tool: to the output;
	// with kind plan: to a plan that is written as text).
	Append string
	// Tool holds the fields of a tool call that are known now; nil fields leave what was there.
	Tool *ToolUpdate
	// Plan replaces the plan.
	Plan []api.PlanStep
	// Approval of kind approval; ID is the approval's id, ToolID the tool call it is about.
	Approval *api.Approval
	// Question of kind question; ID is the question's id.
	Question *api.Question
	ToolID   string
	// Planning of kind mode: whether the agent plans or carries out, from now on.
	Planning bool
	Usage    *api.Usage
	Level    string
	Raw      json.RawMessage
}

// Event kinds.
const (
	KindMessage          = "message"
	KindReasoning        = "reasoning"
	KindTool             = "tool"
	KindPlan             = "plan"
	KindApproval         = "approval"
	KindQuestion         = "question"
	KindApprovalResolved = "approval_resolved" // the agent withdrew it, an approval or a question
	KindMode             = "mode"
	KindUsage            = "usage"
	KindNotice           = "notice"
	KindUnknown          = "unknown"
)

// ToolUpdate is a partial tool call; zero fields leave what was there.
type ToolUpdate struct {
	Kind      string
	Title     string
	Status    api.ToolStatus
	Command   string
	Input     json.RawMessage
	Output    *string // replaces the output
	ExitCode  *int
	Locations []api.Location
	Edits     []api.FileEdit
}

// Preset is an agent the app knows how to find and start.
type Preset struct {
	ID, Name, Driver string
	// Program is looked up in the login PATH; Args start its protocol mode.
	Program string
	Args    []string
	// VersionArgs print the version.
	VersionArgs []string
	// StatusArgs tell by the exit code whether somebody is signed in: 0 yes, 1 no.
	StatusArgs []string
	Install    string
	SignIn     string
	// OldArgs are used instead of Args for versions before ArgsSince.
	OldArgs   []string
	ArgsSince string
	// Prepare is handed on as Config.Prepare.
	Prepare func(ctx context.Context, c Config, dir string, env []string, mode api.PermissionMode) ([]string, error)
}
