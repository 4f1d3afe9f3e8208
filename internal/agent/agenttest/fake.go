package agenttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"catamaran/internal/agent"
)

// RoleVar makes a driver's test program act as an agent in the role it names: its
// TestMain looks there. So scripted agents are real processes.
const RoleVar = "CATAMARAN_TEST_AGENT"

// Self is a target that is the test program in a role.
func Self(t *testing.T, driver agent.Driver, role string) Target {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Target{
		Driver: driver,
		Config: agent.Config{ID: role, Name: "Agent " + role, Path: exe},
		Env: func(*testing.T, string, string) []string {
			return append(os.Environ(), RoleVar+"="+role, "GORACE=atexit_sleep_ms=0")
		},
	}
}

// Fake is the agent's end of a conversation of one message a line.
type Fake struct {
	In  *bufio.Reader
	Out *bufio.Writer // flushed by Line
}

// NewFake speaks on the process's standard streams.
func NewFake() *Fake {
	return &Fake{In: bufio.NewReaderSize(os.Stdin, 1<<16), Out: bufio.NewWriter(os.Stdout)}
}

// Message is what the driver sent.
type Message struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// Read returns the next message; false at the end of stdin.
func (f *Fake) Read() (Message, bool) {
	line, err := f.In.ReadBytes('\n')
	var m Message
	if err != nil {
		return m, false
	}
	_ = json.Unmarshal(line, &m) // a fake takes what comes
	return m, true
}

// Line writes a line and flushes.
func (f *Fake) Line(format string, args ...any) {
	fmt.Fprintf(f.Out, format+"\n", args...)
	_ = f.Out.Flush()
}

// Roles of a driver's scripted agent that Hostile needs: Huge says HugeBytes in one
// message, Flood says FloodText in many, Leaves calls Fake.Leave and then says something.
const (
	Huge, Flood, Leaves = "huge", "flood", "leaves"

	// HugeBytes makes a line of 60 MiB; the bound is 64.
	HugeBytes = 60 << 20
	// FloodPieces are numbered, each followed by a space: FloodBytes in all.
	FloodPieces, FloodBytes = 50_000, 288_890
)

// leaveVar names a fifo for Fake.Leave.
const leaveVar = "CATAMARAN_TEST_LEAVE"

// Leave starts a child in a session of its own that ignores SIGTERM and SIGHUP and
// holds the fifo that the story reads.
func (f *Fake) Leave() error {
	const script = `exec 3>"$0"; trap '' TERM HUP INT; while :; do sleep 60; done`
	_, err := os.StartProcess("/bin/sh", []string{"sh", "-c", `command -v setsid >/dev/null && exec setsid sh -c "$1" "$0"; exec sh -c "$1" "$0"`, os.Getenv(leaveVar), script}, &os.ProcAttr{Env: os.Environ()})
	return err
}
