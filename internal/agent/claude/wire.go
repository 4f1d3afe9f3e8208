package claude

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"catamaran/internal/agent/jsonl"
	"catamaran/internal/agent/lenient"
)

type object = map[string]any

// dialect words calls as control requests, answers as control responses, and
// takes every other message for a notification named by its type.
var dialect = &jsonl.Dialect{Decode: decode, Encode: encode}

var errNoType = errors.New("a message without a type")

func decode(line []byte) (jsonl.Incoming, error) {
	var m struct {
		Type      string          `json:"type"`
		RequestID json.RawMessage `json:"request_id"`
		Request   json.RawMessage `json:"request"`
		Response  json.RawMessage `json:"response"`
	}
	if err := json.Unmarshal(line, &m); err != nil && m.Type == "" {
		return jsonl.Incoming{}, fmt.Errorf("no message: %w", err)
	}
	switch m.Type {
	case "":
		return jsonl.Incoming{}, errNoType
	case "control_request":
		if m.RequestID == nil {
			break // nothing to answer to; it is shown as it is
		}
		subtype := lenient.Text(lenient.Fields(m.Request)["subtype"])
		return jsonl.Incoming{ID: m.RequestID, Method: quote(lenient.Or(subtype, "unknown")), Params: m.Request}, nil
	case "control_response":
		r := lenient.Fields(m.Response)
		in := jsonl.Incoming{ID: json.RawMessage(lenient.Or(lenient.Text(r["request_id"]), string(r["request_id"]))), Result: r["response"]}
		if lenient.Text(r["subtype"]) == "error" {
			e, err := json.Marshal(jsonl.Error{Code: jsonl.CodeInternal, Message: lenient.Or(lenient.Text(r["error"]), "the agent refused the request")})
			if err != nil {
				return jsonl.Incoming{}, err
			}
			in.Error = e
		}
		return in, nil
	}
	return jsonl.Incoming{Method: quote(m.Type), Params: line}, nil
}

func quote(s string) json.RawMessage {
	b, _ := json.Marshal(s) // a string is always JSON
	return b
}

func encode(w jsonl.Outgoing) any {
	switch {
	case w.Method != "" && w.ID == nil:
		return w.Params
	case w.Method != "":
		params, _ := w.Params.(object)
		return controlRequest(string(w.ID), w.Method, params)
	case w.Error != nil:
		return object{"type": "control_response", "response": object{"subtype": "error", "request_id": w.ID, "error": w.Error.Message}}
	}
	return object{"type": "control_response", "response": object{"subtype": "success", "request_id": w.ID, "response": w.Result}}
}

func controlRequest(id, subtype string, params object) object {
	request := object{"subtype": subtype}
	maps.Copy(request, params)
	return object{"type": "control_request", "request_id": id, "request": request}
}

// result is the end of a turn.
type result struct {
	Subtype  string
	IsError  bool
	Stop     string // the model's stop reason
	Terminal string // why the agent's loop ended: completed, aborted_streaming, aborted_tools, api_error ...
	Result   string
	Errors   []string
	Queued   int // turns that are to come
	// Messages are those that it answers, by the ids they were sent with; none where the
	// agent does not tell.
	Messages []string
	Input    int64
	Output   int64
	Window   int64 // size of the context in tokens
	signIn   bool
}

func readResult(line json.RawMessage) result {
	f := lenient.Fields(line)
	r := result{
		Subtype: lenient.Text(f["subtype"]), IsError: lenient.True(f["is_error"]), Stop: lenient.Text(f["stop_reason"]),
		Terminal: lenient.Text(f["terminal_reason"]), Result: lenient.Text(f["result"]), Queued: lenient.Number(f["queued_turn_count"]),
	}
	for _, e := range lenient.List(f["errors"]) {
		if s := lenient.Text(e); s != "" {
			r.Errors = append(r.Errors, s)
		}
	}
	for _, e := range lenient.List(f["user_message_uuids"]) {
		if s := lenient.Text(e); s != "" {
			r.Messages = append(r.Messages, s)
		}
	}
	u := lenient.Fields(f["usage"])
	r.Input, r.Output = contextTokens(u), int64(lenient.Number(u["output_tokens"]))
	for _, m := range lenient.Fields(f["modelUsage"]) {
		r.Window = max(r.Window, int64(lenient.Number(lenient.Fields(m)["contextWindow"])))
	}
	return r
}

// contextTokens are the tokens a model was given, cached or not.
func contextTokens(usage map[string]json.RawMessage) int64 {
	return int64(lenient.Number(usage["input_tokens"]) + lenient.Number(usage["cache_creation_input_tokens"]) + lenient.Number(usage["cache_read_input_tokens"]))
}

func (r result) failed() bool {
	return r.IsError || r.Subtype != "" && r.Subtype != "success"
}

func (r result) text() string {
	if r.Result != "" || len(r.Errors) == 0 {
		return r.Result
	}
	return r.Errors[0]
}
