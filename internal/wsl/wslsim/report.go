package wslsim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
)

// EnvReport names a file to which every call adds one line of JSON: what was
// simulated. `wslsim wslsim-report FILE` sums it up [B42].
const EnvReport = "WSLSIM_REPORT"

type reportLine struct {
	Profile string `json:"profile"`
	Locale  string `json:"locale,omitempty"`
	Verb    string `json:"verb"`
	Knobs
	// IdleStopMS is the scaled clock, when it is scaled [B34].
	IdleStopMS int     `json:"idleStopMs,omitempty"`
	Faults     []Fault `json:"faults,omitempty"`
	Refused    string  `json:"refused,omitempty"`
}

func report(s Scenario, c command, err error) {
	name := os.Getenv(EnvReport)
	if name == "" {
		return
	}
	l := reportLine{Profile: s.profileName(), Locale: s.Locale, Verb: c.verb, Knobs: s.Knobs, IdleStopMS: s.IdleStopMS, Faults: s.Faults}
	if l.Verb == "" {
		l.Verb = "launch"
	}
	if err != nil {
		l.Refused = err.Error()
	}
	b, err := json.Marshal(l)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600); err == nil {
			_, err = f.Write(append(b, '\n'))
			f.Close()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "WSLSIM: report:", err)
	}
}

// reportMain prints how often each profile, knob and fault was used. Its first
// line says what results under it may be called.
func reportMain(name string) int {
	f, err := os.Open(name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "WSLSIM:", err)
		return exitRefused
	}
	defer f.Close()
	count := map[string]int{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l reportLine
		var knobs map[string]any
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			fmt.Fprintln(os.Stderr, "WSLSIM:", err)
			return exitRefused
		}
		b, _ := json.Marshal(l.Knobs)
		_ = json.Unmarshal(b, &knobs)
		count["profile "+l.Profile]++
		count["command "+l.Verb]++
		for k, v := range knobs {
			count[fmt.Sprintf("knob    %s=%v", k, v)]++
		}
		if l.IdleStopMS != 0 {
			count[fmt.Sprintf("knob    idleStopMs=%d", l.IdleStopMS)]++
		}
		for _, f := range l.Faults {
			count["fault   "+f.Kind+" on "+f.On]++
		}
	}
	if err := sc.Err(); err != nil {
		fmt.Fprintln(os.Stderr, "WSLSIM:", err)
		return exitRefused
	}
	var keys []string
	for k := range count {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	fmt.Println("These calls went to a simulator of wsl.exe; what passed, passes against a simulator.")
	for _, k := range keys {
		fmt.Printf("%6d  %s\n", count[k], k)
	}
	return 0
}
