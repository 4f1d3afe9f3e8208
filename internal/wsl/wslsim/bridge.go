package wslsim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"
)

// The Windows build of the simulator is only the body of wsl.exe: a process with
// a command line, three standard streams and an exit code. What it does is
// decided by the Linux build, which the bridge on the Linux side starts for it, so
// that both are one simulator [B1]. Four TCP connections on loopback carry one
// call, as the real thing has a socket per stream [A3.1]: no stream can hold
// another up, half-close is half-close, and the death of wsl.exe shows as closed
// connections, whatever killed it.

// BridgeFile lies beside the Windows wsl.exe and says where its bridge is. Not a
// variable: products clean the environment of their children.
const BridgeFile = "wslsim-bridge.json"

// BridgeAddress is the content of BridgeFile.
type BridgeAddress struct {
	Address string `json:"address"` // host:port on loopback
	Token   string `json:"token"`
}

// bridgeHello is the first line of every connection. Without Call it begins one;
// with it, the connection is a stream of that call, which starts when all three are there.
type bridgeHello struct {
	Token string `json:"token"`
	// Raw is the command line as Windows has it, Dir the current directory, Path PATH.
	Raw  string `json:"raw,omitempty"`
	Dir  string `json:"dir,omitempty"`
	Path string `json:"path,omitempty"`
	// Env has WSL_UTF8, WSLENV and what that names, with exactly these names.
	Env map[string]string `json:"env,omitempty"`

	Call   string `json:"call,omitempty"`
	Stream int    `json:"stream,omitempty"` // 0, 1 or 2
}

// bridgeAnswer is what comes back on the first connection: first Call, at the end Exit.
type bridgeAnswer struct {
	Call  string  `json:"call,omitempty"`
	Exit  *uint32 `json:"exit,omitempty"`
	Error string  `json:"error,omitempty"`
}

// Variables by which the bridge tells the Linux build what it would see on Windows.
const (
	envWindowsDir  = "WSLSIM_WINDOWS_DIR"
	envWindowsPath = "WSLSIM_WINDOWS_PATH"
)

// bridgeWait bounds every step of setting a call up.
const bridgeWait = 30 * time.Second

func writeLine(c net.Conn, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_ = c.SetWriteDeadline(time.Now().Add(bridgeWait))
	defer c.SetWriteDeadline(time.Time{})
	_, err = c.Write(append(b, '\n'))
	return err
}

// readLine reads one line and not a byte more: raw bytes follow.
func readLine(c net.Conn, v any, within time.Duration) error {
	if within > 0 {
		_ = c.SetReadDeadline(time.Now().Add(within))
		defer c.SetReadDeadline(time.Time{})
	}
	r := bufio.NewReaderSize(oneByte{c}, 16)
	var line []byte
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if b == '\n' {
			return json.Unmarshal(line, v)
		}
		if line = append(line, b); len(line) > 1<<20 {
			return fmt.Errorf("wslsim: a line of the bridge is too long")
		}
	}
}

// oneByte never reads ahead.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }
