package api

import "encoding/json"

// Frames of the one WebSocket (GET /ws on a door, /e/<environment>/ws through
// it): JSON text messages both ways, and binary ones (package term's Frame) with the
// bytes of terminals. The first client frame is "hello" with
// the token, unless the upgrade request carried an Authorization header.

// ClientFrame is what a client sends.
type ClientFrame struct {
	// Type: hello, call, subscribe, unsubscribe, ping, resize.
	Type string `json:"type"`
	// ID is chosen by the client: of the call, or of the subscription.
	ID    string `json:"id,omitempty"`
	Token string `json:"token,omitempty"`
	// Method, Params, CommandID belong to call.
	Method    string          `json:"method,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	CommandID string          `json:"commandId,omitempty"`
	// Topic of a subscribe: "shell" (projects and threads), "thread:<id>", "terminals", "terminal:<id>", on a gateway
	// "environments".
	Topic string `json:"topic,omitempty"`
	// After is the last sequence number the client has; absent asks for a snapshot.
	After *int64 `json:"after,omitempty"`
	// Tail bounds a terminal's snapshot to about its last bytes; absent asks for all that is kept.
	Tail *int64 `json:"tail,omitempty"`
	// Cols, Rows and Focused belong to resize; ID is the terminal's subscription.
	Cols    int  `json:"cols,omitempty"`
	Rows    int  `json:"rows,omitempty"`
	Focused bool `json:"focused,omitempty"`
}

// ServerFrame is what a server sends.
type ServerFrame struct {
	// Type: welcome, result, error, snapshot, event, delta, synchronized, resync, pong, open.
	Type string `json:"type"`
	// ID of the call or of the subscription it belongs to.
	ID string `json:"id,omitempty"`
	// Seq is the stream's sequence number after this frame (snapshot, event, synchronized).
	Seq        int64           `json:"seq,omitempty"`
	Descriptor *Descriptor     `json:"descriptor,omitempty"` // welcome of a backend
	Result     json.RawMessage `json:"result,omitempty"`
	Error      *Error          `json:"error,omitempty"`
	// Exactly one of these with a snapshot.
	Shell        *ShellSnapshot  `json:"shell,omitempty"`
	Thread       *ThreadSnapshot `json:"thread,omitempty"`
	Environments *Environments   `json:"environments,omitempty"` // snapshot and event of topic environments
	Terminals    *Terminals      `json:"terminals,omitempty"`    // snapshot and event of topic terminals
	Terminal     *TerminalView   `json:"terminal,omitempty"`     // snapshot and event of topic terminal:<id>
	Git          *GitStatus      `json:"git,omitempty"`          // snapshot and event of a topic git:
	Job          *Job            `json:"job,omitempty"`          // snapshot and event of a topic job:
	Opened       *OpenedPath     `json:"opened,omitempty"`       // open: the page should show this project or thread
	Settings     *Settings       `json:"settings,omitempty"`     // event of topic environments: another page changed them
	Event        *Event          `json:"event,omitempty"`
	Delta        *Delta          `json:"delta,omitempty"`
}

// Frame types.
const (
	FrameHello        = "hello"
	FrameCall         = "call"
	FrameSubscribe    = "subscribe"
	FrameUnsubscribe  = "unsubscribe"
	FramePing         = "ping"
	FrameWelcome      = "welcome"
	FrameResult       = "result"
	FrameError        = "error"
	FrameSnapshot     = "snapshot"
	FrameEvent        = "event"
	FrameDelta        = "delta"
	FrameSynchronized = "synchronized"
	FrameResync       = "resync"
	FramePong         = "pong"
	FrameOpen         = "open" // gateway, topic environments: a path was opened from a terminal, or a notification was clicked
)

// TopicShell is the stream of projects and thread heads; TopicEnvironments the
// gateway's; TopicThread prefixes a thread's id.
const (
	TopicShell        = "shell"
	TopicEnvironments = "environments"
	TopicThread       = "thread:"
)

// ShellSnapshot is the whole of topic shell.
type ShellSnapshot struct {
	Projects []Project `json:"projects"`
	Threads  []Thread  `json:"threads"`
}

// ThreadSnapshot is a thread's topic as it is now: its head and its newest
// items without a gap, live ones with the text so far, and the turns they belong
// to. Earlier says that there are older items, to be had with thread.history.
type ThreadSnapshot struct {
	Thread  Thread `json:"thread"`
	Turns   []Turn `json:"turns"`
	Items   []Item `json:"items"`
	Earlier bool   `json:"earlier,omitempty"`
	// Open are older items that still matter: what is live or asked, and the prompts of turns that have not ended.
	Open []Item `json:"open,omitempty"`
}

// EventType names a durable event.
type EventType string

const (
	EventProjectUpserted EventType = "project.upserted" // Event.Project
	EventProjectRemoved  EventType = "project.removed"  // Event.RemovedID
	EventThreadUpserted  EventType = "thread.upserted"  // Event.Thread; in shell and in the thread's own stream
	EventThreadRemoved   EventType = "thread.removed"   // Event.RemovedID
	EventTurnUpserted    EventType = "turn.upserted"    // Event.Turn
	EventTurnRemoved     EventType = "turn.removed"     // Event.RemovedID; a queued turn taken back
	EventItemUpserted    EventType = "item.upserted"    // Event.Item
	EventItemRemoved     EventType = "item.removed"     // Event.RemovedID
)

// Event is one durable change: the whole new state of one thing. Applying the
// events of a stream in order to an empty snapshot gives the current one.
type Event struct {
	Type EventType `json:"type"`
	Seq  int64     `json:"seq"`
	At   int64     `json:"at"`
	// TraceID ties events, log lines and the command that caused them together.
	TraceID   string   `json:"traceId,omitempty"`
	Project   *Project `json:"project,omitempty"`
	Thread    *Thread  `json:"thread,omitempty"`
	Turn      *Turn    `json:"turn,omitempty"`
	Item      *Item    `json:"item,omitempty"`
	RemovedID string   `json:"removedId,omitempty"`
}

// Delta is an ephemeral change of a live item; it is never stored and has no
// sequence number. With Item set it upserts a whole live item; else Text is
// appended at byte Offset (UTF-8) of the item's Text (Field "text") or of its
// tool output (Field "output"). A client whose text is shorter than Offset has
// missed one and subscribes again.
type Delta struct {
	Item   *Item  `json:"item,omitempty"`
	ItemID string `json:"itemId,omitempty"`
	Field  string `json:"field,omitempty"`
	Offset int    `json:"offset,omitempty"`
	Text   string `json:"text,omitempty"`
}
