// Command catamaran-backend runs one environment: the engine and the agents it
// works with, its database and its API. The desktop starts it over the stdio
// link, natively and inside WSL distros; a person starts it alone for a
// browser. It only wires: everything it does is in the packages it links.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"

	"catamaran/internal/api"
	"catamaran/internal/build"
	"catamaran/internal/proc"
)

const usage = `catamaran-backend runs one Catamaran environment.

  catamaran-backend serve --listen 127.0.0.1:0 [--json]
        serve the app to a browser on this machine; prints its address
  catamaran-backend serve --stdio
        serve the desktop that started this process
  catamaran-backend demo-agent
        be a small agent that needs no account, speaking ACP
  catamaran-backend version [--json]

CATAMARAN_HOME is the state folder, CATAMARAN_LOG the log level (debug, info, warn, error).
`

// Exit codes, as in the desktop's commands.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	proc.GuardMain()
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return exitUsage
	}
	name, args := args[0], args[1:]
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	parse := func() error {
		err := flags.Parse(args)
		if err == nil && flags.NArg() > 0 {
			err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
		}
		return err
	}
	var err error
	switch name {
	case "serve":
		stdio := flags.Bool("stdio", false, "")
		listen := flags.String("listen", "", "")
		asJSON := flags.Bool("json", false, "")
		if err = parse(); err != nil {
			break
		}
		switch {
		case *stdio && *listen == "" && !*asJSON:
			return serveStdio()
		case *listen != "" && !*stdio:
			return serveListen(*listen, *asJSON)
		}
		err = errors.New("serve takes either --stdio or --listen")
	case "demo-agent":
		if err = parse(); err == nil {
			return demoAgent()
		}
	case "version", "--version":
		asJSON := flags.Bool("json", false, "")
		if err = parse(); err == nil {
			return printVersion(*asJSON)
		}
	case "help", "-h", "--help":
		fmt.Print(usage)
		return exitOK
	default:
		err = fmt.Errorf("unknown command %q", name)
	}
	if errors.Is(err, flag.ErrHelp) {
		fmt.Print(usage)
		return exitOK
	}
	fmt.Fprintf(os.Stderr, "catamaran-backend: %v\n\n%s", err, usage)
	return exitUsage
}

func printVersion(asJSON bool) int {
	if !asJSON {
		fmt.Printf("catamaran-backend %s (%s, protocol %d, %s/%s)\n", build.Version, build.Commit, api.ProtocolVersion, runtime.GOOS, runtime.GOARCH)
		return exitOK
	}
	b, err := json.Marshal(struct {
		Version  string `json:"version"`
		Commit   string `json:"commit"`
		Protocol int    `json:"protocol"`
		OS       string `json:"os"`
		Arch     string `json:"arch"`
	}{build.Version, build.Commit, api.ProtocolVersion, runtime.GOOS, runtime.GOARCH})
	if err != nil {
		return fatal(err)
	}
	fmt.Println(string(b))
	return exitOK
}

// fatal is the one thing that goes to stderr; everything else is in the log.
func fatal(err error) int {
	fmt.Fprintln(os.Stderr, "catamaran-backend: "+err.Error())
	if e := api.AsError(err); e != nil && e.Hint != "" {
		fmt.Fprintln(os.Stderr, e.Hint)
	}
	return exitFailed
}
