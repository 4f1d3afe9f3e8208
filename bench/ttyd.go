package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// ttyd is ttyd as tools/ttyd has unpacked it: with its own loader and libraries.
func ttyd(ctx context.Context, args ...string) (*exec.Cmd, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	root := filepath.Join(cache, "catamaran-ttyd", "forky")
	loaders, err := filepath.Glob(filepath.Join(root, "usr", "lib", "*", "ld-linux-*.so.*"))
	if err != nil {
		return nil, err
	}
	if len(loaders) == 0 {
		return nil, errors.New("ttyd is not installed; run: go run ./tools/ttyd")
	}
	cmd := exec.CommandContext(ctx, loaders[0], append([]string{"--library-path", filepath.Dir(loaders[0]), filepath.Join(root, "usr", "bin", "ttyd")}, args...)...)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(root, "plugins"))
	return cmd, nil
}

// openTtyd starts a ttyd of its own and opens its terminal. Its messages begin with what
// they are: 0 is output, and input.
func openTtyd(ctx context.Context, command string) (*peerTerminal, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	cmd, err := ttyd(ctx, "--interface", "lo", "--port", port, "--writable", "/bin/sh", "-c", command)
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	var ws *websocket.Conn
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		ws, _, err = websocket.Dial(ctx, "ws://127.0.0.1:"+port+"/ws", &websocket.DialOptions{Subprotocols: []string{"tty"}})
		if err == nil {
			break
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			end()
			return nil, fmt.Errorf("ttyd did not answer: %w", err)
		}
	}
	ws.SetReadLimit(-1)
	if err := ws.Write(ctx, websocket.MessageText, []byte(`{"AuthToken":"","columns":80,"rows":24}`)); err != nil {
		end()
		return nil, err
	}
	return &peerTerminal{ws: ws,
		output: func(b []byte) []byte {
			if len(b) == 0 || b[0] != '0' {
				return nil
			}
			return b[1:]
		},
		input: func(keys string) (websocket.MessageType, []byte) {
			return websocket.MessageBinary, append([]byte{'0'}, keys...)
		},
		end: func() { ws.CloseNow(); end() },
	}, nil
}
