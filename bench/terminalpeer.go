package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// peerTerminal is a terminal that somebody else's server shows over a WebSocket.
type peerTerminal struct {
	ws     *websocket.Conn
	buf    []byte
	output func(message []byte) []byte // nil for what is no output
	input  func(keys string) (websocket.MessageType, []byte)
	end    func()
}

// opener opens a terminal in which a shell command runs.
type opener func(ctx context.Context, command string) (*peerTerminal, error)

// openIn opens terminals of OpenCode's server, whose bytes are the messages; what is not
// output is JSON behind a zero byte.
func openIn(srv *server) opener {
	return func(ctx context.Context, command string) (*peerTerminal, error) {
		return openPeer(ctx, srv, command)
	}
}

func openPeer(ctx context.Context, srv *server, command string) (*peerTerminal, error) {
	in, err := json.Marshal(map[string]any{"command": "/bin/sh", "args": []string{"-c", command}})
	if err != nil {
		return nil, err
	}
	res, err := http.Post(srv.url+"/pty", "application/json", bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var info struct{ ID string }
	if b, err := io.ReadAll(res.Body); err != nil || json.Unmarshal(b, &info) != nil || info.ID == "" {
		return nil, fmt.Errorf("OpenCode opened no terminal: %s %s %v", res.Status, b, err)
	}
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(srv.url, "http")+"/pty/"+info.ID+"/connect", nil)
	if err != nil {
		return nil, fmt.Errorf("OpenCode's terminal: %w", err)
	}
	ws.SetReadLimit(-1)
	return &peerTerminal{ws: ws,
		output: func(b []byte) []byte {
			if len(b) > 0 && b[0] == 0 {
				return nil
			}
			return b
		},
		input: func(keys string) (websocket.MessageType, []byte) { return websocket.MessageText, []byte(keys) },
		end:   func() { ws.CloseNow() },
	}, nil
}

// next reads a message; what is not output counts for nothing.
func (p *peerTerminal) next(ctx context.Context) ([]byte, error) {
	_, b, err := p.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	return p.output(b), nil
}

func (p *peerTerminal) types(ctx context.Context, keys string) error {
	kind, b := p.input(keys)
	return p.ws.Write(ctx, kind, b)
}

func (p *peerTerminal) sees(ctx context.Context, text string) error {
	for !bytes.Contains(p.buf, []byte(text)) {
		b, err := p.next(ctx)
		if err != nil {
			return err
		}
		p.buf = append(p.buf, b...)
	}
	return nil
}

// peerEcho measures the same key there.
func peerEcho(ctx context.Context, open opener, n int) (sample, error) {
	p, err := open(ctx, echoing)
	if err != nil {
		return nil, err
	}
	defer p.end()
	if err := p.sees(ctx, "ready"); err != nil {
		return nil, err
	}
	var took sample
	for range n {
		start := time.Now()
		if err := p.types(ctx, "k"); err != nil {
			return nil, err
		}
		for got := 0; got < 1; {
			b, err := p.next(ctx)
			if err != nil {
				return nil, err
			}
			got += len(b)
		}
		took = append(took, ms(time.Since(start)))
	}
	return took, nil
}

// peerCat measures how fast a part of the text comes there, in MB/s.
func peerCat(ctx context.Context, open opener, file string, size int) (float64, error) {
	p, err := open(ctx, fmt.Sprintf("stty raw -echo; read go; head -c %d %s; sleep 1000", size, file))
	if err != nil {
		return 0, err
	}
	defer p.end()
	start := time.Now()
	if err := p.types(ctx, "\n"); err != nil {
		return 0, err
	}
	for got := 0; got < size; {
		b, err := p.next(ctx)
		if err != nil {
			return 0, fmt.Errorf("after %d of %d bytes: %w", got, size, err)
		}
		got += len(b)
	}
	return float64(size) / 1e6 / time.Since(start).Seconds(), nil
}
