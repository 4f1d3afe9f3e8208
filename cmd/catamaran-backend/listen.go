package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/auth"
	"catamaran/internal/build"
	"catamaran/internal/server"
	"catamaran/web"
)

// pairingLife is how long a printed address signs in; a person has to carry it over.
const pairingLife = 10 * time.Minute

// serveListen serves a browser without a desktop.
func serveListen(address string, asJSON bool) int {
	address, err := loopback(address)
	if err != nil {
		fmt.Fprintln(os.Stderr, "catamaran-backend: "+err.Error())
		return exitUsage
	}
	st, err := loadState()
	if err != nil {
		return fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fatal(&api.Error{Code: api.CodeUnavailable, Message: "The address " + address + " cannot be used: " + err.Error() + ".", Hint: "Choose another port; 0 takes a free one."})
	}
	bound := l.Addr().(*net.TCPAddr)
	b, err := newBackend(st, options{
		name: "local", codeLife: pairingLife,
		handler: func(s *server.Server) http.Handler { return auth.Door(s.Standalone(web.Handler()), bound.Port) },
	})
	if err != nil {
		l.Close()
		return fatal(err)
	}
	b.serve(l)
	b.log.Info("start", "version", build.Version, "pid", os.Getpid(), "address", bound.String())
	b.announce(bound, asJSON)
	if !asJSON {
		go b.announceOnEnter(bound)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := b.run(ctx, maxDrain); err != nil {
		return fatal(err)
	}
	return exitOK
}

// loopback refuses every address another machine could reach: there is no
// encryption on this door.
func loopback(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("--listen takes an address and a port, like 127.0.0.1:0")
	}
	if strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	if host != "127.0.0.1" && host != "::1" {
		return "", fmt.Errorf("--listen takes a loopback address only (127.0.0.1 or [::1]), not %q", host)
	}
	return net.JoinHostPort(host, port), nil
}

// announce prints an address that signs one page in.
func (b *backend) announce(at *net.TCPAddr, asJSON bool) {
	url := "http://" + at.String() + "/#code=" + b.codes.Issue()
	if !asJSON {
		fmt.Printf("Catamaran is at %s\nThe address works once, for %d minutes. Press Enter for another one, Ctrl-C to end.\n", url, int(pairingLife.Minutes()))
		return
	}
	line, err := json.Marshal(api.Launch{URL: url, PID: os.Getpid(), Version: build.Version})
	if err != nil {
		b.log.Error("print the address", "err", err.Error())
		return
	}
	fmt.Println(string(line))
}

// announceOnEnter prints another address for every line on stdin: a second tab
// or browser needs its own. Stdin's end means nothing here.
func (b *backend) announceOnEnter(at *net.TCPAddr) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		b.announce(at, false)
	}
}
