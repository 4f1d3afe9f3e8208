package api

// Methods of terminals. Those that change something take a command id, as all do.
const (
	MethodTerminalOpen    = "terminal.open"    // TerminalOpen -> Terminal
	MethodTerminalList    = "terminal.list"    // Empty -> Terminals; looks anew at what runs in them
	MethodTerminalRename  = "terminal.rename"  // TerminalRename -> Terminal
	MethodTerminalRestart = "terminal.restart" // TerminalRef -> Terminal; a new shell below the history of one that ended
	MethodTerminalClose   = "terminal.close"   // TerminalRef -> Empty; ends everything in it and drops its history
)

// TopicTerminals is the list of all terminals; TopicTerminal prefixes the id of one.
const (
	TopicTerminals = "terminals"
	TopicTerminal  = "terminal:"
)

// FrameResize is what a client sends for a subscription of a terminal: its size, and whether the person is in it.
const FrameResize = "resize"

// Bounds of a terminal, in bytes and cells.
const (
	// TerminalHistory is how much output is kept for each terminal.
	TerminalHistory = 8388608
	// TerminalWindow is how much output a client has that it has not acknowledged.
	TerminalWindow = 524288
	// TerminalInput is how much input a client has sent that was not taken.
	TerminalInput = 262144
	// MaxTerminalSide bounds columns and rows.
	MaxTerminalSide = 2000
)

// TerminalState is whether something runs in a terminal.
type TerminalState string

const (
	TerminalRunning TerminalState = "running"
	// TerminalExited: the shell ended.
	TerminalExited TerminalState = "exited"
	// TerminalLost: the backend ended while the shell ran; the history is there.
	TerminalLost TerminalState = "lost"
)

// Terminal is a shell at a pseudo-terminal in a project's or a thread's folder.
type Terminal struct {
	ID        string `json:"id"`
	ProjectID string `json:"projectId"`
	// ThreadID is "" for a terminal of the project.
	ThreadID string `json:"threadId,omitempty"`
	// Name is what the person called it, Title what the program in it did (OSC 0 and 2).
	Name  string        `json:"name,omitempty"`
	Title string        `json:"title,omitempty"`
	Shell string        `json:"shell"` // file name
	Cwd   string        `json:"cwd"`   // where the shell was started
	State TerminalState `json:"state"`
	// ExitCode and Signal are how the shell ended.
	ExitCode *int   `json:"exitCode,omitempty"`
	Signal   string `json:"signal,omitempty"`
	// Busy says that something else than the shell is in the foreground; Foreground names it where that is known.
	Busy       bool   `json:"busy,omitempty"`
	Foreground string `json:"foreground,omitempty"`
	Cols       int    `json:"cols"`
	Rows       int    `json:"rows"`
	CreatedAt  int64  `json:"createdAt"`
	EndedAt    int64  `json:"endedAt,omitempty"`
}

// Terminals are all terminals of the environment, in the order in which they were opened.
type Terminals struct {
	Terminals []Terminal `json:"terminals"`
}

// TerminalView is the head of a terminal's topic: with a snapshot, and with the
// event that tells of a change.
type TerminalView struct {
	Terminal Terminal `json:"terminal"`
	// Owner says that this subscription decides the size.
	Owner bool `json:"owner,omitempty"`
	// Preamble, in a snapshot, brings an emulator into the modes that hold where the
	// history begins; it has no sequence numbers.
	Preamble string `json:"preamble,omitempty"`
	// Truncated, in a snapshot, says that earlier output was dropped or not asked for.
	Truncated bool `json:"truncated,omitempty"`
}

// TerminalOpen opens a terminal in a project's folder, or in a thread's.
type TerminalOpen struct {
	ProjectID string `json:"projectId"`
	ThreadID  string `json:"threadId,omitempty"`
	Name      string `json:"name,omitempty"`
	// Cols and Rows are the first size; 0 means 80 by 24.
	Cols int `json:"cols,omitempty"`
	Rows int `json:"rows,omitempty"`
}

type TerminalRef struct {
	TerminalID string `json:"terminalId"`
}

// TerminalRename changes the name; "" leaves it to the title.
type TerminalRename struct {
	TerminalID string `json:"terminalId"`
	Name       string `json:"name"`
}

// Kinds of binary messages (package term's Frame). Each belongs to a subscription of topic terminal:<id>.
const (
	// TerminalOutput (server): bytes of the terminal; the number is that of the first.
	TerminalOutput = 1
	// TerminalTyped (client): bytes for the program; the number counts this subscription's input before them.
	TerminalTyped = 2
	// TerminalAck (client): every byte of output before the number has been taken in.
	TerminalAck = 3
	// TerminalTaken (server): this subscription's input before the number has reached the program's side.
	TerminalTaken = 4
)
