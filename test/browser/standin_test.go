package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"catamaran/internal/agent/agenttest"
)

// standInVar makes this test program an agent that speaks Codex's protocol: enough to
// be found, opened, and to take a message into a running turn, which the demo agent cannot.
const standInVar = "BROWSER_TEST_STAND_IN"

func standIn(args []string) int {
	if len(args) > 0 && args[0] != "app-server" {
		fmt.Println("codex-cli 0.169.0")
		return 0
	}
	f := agenttest.NewFake()
	said, turn := 0, 0
	say := func(text string) {
		said++
		b, _ := json.Marshal(text)
		f.Line(`{"method":"item/agentMessage/delta","params":{"threadId":"t","turnId":"u%d","itemId":"m%d","delta":%s}}`, turn, said, b)
	}
	running := false
	end := func(status string) {
		running = false
		f.Line(`{"method":"turn/completed","params":{"threadId":"t","turn":{"id":"u%d","status":%q}}}`, turn, status)
	}
	for {
		m, ok := f.Read()
		if !ok {
			return 0
		}
		switch m.Method {
		case "initialize":
			f.Line(`{"id":%s,"result":{"userAgent":"catamaran/0.169.0 (x)"}}`, m.ID)
		case "account/read":
			f.Line(`{"id":%s,"result":{"requiresOpenaiAuth":false}}`, m.ID)
		case "thread/start", "thread/resume":
			f.Line(`{"id":%s,"result":{"thread":{"id":"t"},"model":"small"}}`, m.ID)
		case "model/list":
			f.Line(`{"id":%s,"result":{"data":[{"id":"small","model":"small","isDefault":true}],"nextCursor":null}}`, m.ID)
		case "turn/start":
			turn++
			running = true
			f.Line(`{"id":%s,"result":{"turn":{"id":"u%d"}}}`, m.ID, turn)
			f.Line(`{"method":"turn/started","params":{"threadId":"t","turn":{"id":"u%d"}}}`, turn)
			say("Under way.")
		case "turn/steer":
			f.Line(`{"id":%s,"result":{"turnId":"u%d"}}`, m.ID, turn)
			var p struct {
				Input []struct {
					Text string `json:"text"`
				} `json:"input"`
			}
			_ = json.Unmarshal(m.Params, &p)
			for _, i := range p.Input {
				say("Told on the way: " + i.Text + ".")
				if strings.Contains(i.Text, "finish") && running {
					end("completed")
				}
			}
		case "turn/interrupt":
			f.Line(`{"id":%s,"result":{}}`, m.ID)
			if running {
				end("interrupted")
			}
		default:
			if m.ID != nil && m.Method != "" {
				f.Line(`{"id":%s,"error":{"code":-32600,"message":"unknown variant"}}`, m.ID)
			}
		}
	}
}

// maybeStandIn ends the process when it is an agent.
func maybeStandIn() {
	if os.Getenv(standInVar) != "" {
		os.Exit(standIn(os.Args[1:]))
	}
}
