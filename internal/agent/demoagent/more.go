package demoagent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // for their sizes
	_ "image/jpeg" // for their sizes
	_ "image/png"  // for their sizes
	"strings"

	"catamaran/internal/agent/jsonl"
)

// look says what can be said of pictures without a model: their kind and size.
func (t *turn) look() error {
	var b strings.Builder
	fmt.Fprintf(&b, "I see %d pictures. I cannot tell what they show, for I have no model, but", len(t.pictures))
	for i, p := range t.pictures {
		c, kind, err := image.DecodeConfig(bytes.NewReader(p))
		if err != nil {
			fmt.Fprintf(&b, " number %d has %d bytes of a kind I cannot read;", i+1, len(p))
			continue
		}
		fmt.Fprintf(&b, " number %d is a %s of %d by %d points;", i+1, strings.ToUpper(kind), c.Width, c.Height)
	}
	return t.say(strings.TrimSuffix(b.String(), ";") + ".")
}

// question asks the person by a form and says what came back.
func (t *turn) question() error {
	t.s.mu.Lock()
	asks := t.s.asks
	t.s.mu.Unlock()
	if !asks {
		return t.say("I would ask you something, but this app cannot show a form.")
	}
	raw, err := t.s.peer.Call(t.ctx, "elicitation/create", object{
		"sessionId": t.se.id, "mode": "form", "message": "Which colour shall the boat have?",
		"requestedSchema": json.RawMessage(`{"type":"object","required":["colour"],"properties":{` +
			`"colour":{"type":"string","title":"Colour","oneOf":[{"const":"red","title":"Red"},{"const":"blue","title":"Blue"}]},` +
			`"extras":{"type":"array","title":"Extras","items":{"anyOf":[{"const":"sail","title":"A sail"},{"const":"anchor","title":"An anchor"}]}},` +
			`"name":{"type":"string","title":"Name","description":"what it is called"}}}`),
	})
	var refused *jsonl.Error
	if errors.As(err, &refused) {
		return t.say("I asked, but was not understood.")
	}
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	var answer struct {
		Action  string `json:"action"`
		Content struct {
			Colour string   `json:"colour"`
			Extras []string `json:"extras"`
			Name   string   `json:"name"`
		} `json:"content"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	if answer.Action != "accept" {
		return t.say("You did not answer, so the boat stays as it is.")
	}
	said := "A " + answer.Content.Colour + " boat"
	if len(answer.Content.Extras) > 0 {
		said += " with " + strings.Join(answer.Content.Extras, " and ")
	}
	if answer.Content.Name != "" {
		said += ", called " + answer.Content.Name
	}
	return t.say(said + ": noted.")
}

// proposed says what a phrase would do and does it only when it may.
func (t *turn) proposed(text string) error {
	steps := []string{"Do what you asked for: " + text, "Say how it went"}
	if text == "" {
		steps[0] = "Show everything I can do"
	}
	if err := t.plan(0, steps...); err != nil {
		return err
	}
	if err := t.say("This is my plan. "); err != nil {
		return err
	}
	call := object{"toolCallId": t.newCall(), "title": "Carry out this plan?", "kind": "switch_mode", "status": "pending"}
	if err := t.update("tool_call", call); err != nil {
		return err
	}
	ok, err := t.allowed("plan", call)
	if err != nil {
		return err
	}
	if !ok {
		if err := t.failed(call["toolCallId"].(string), "kept planning"); err != nil {
			return err
		}
		return t.say("I keep planning. Tell me what to change.")
	}
	t.s.mu.Lock()
	t.se.mode, t.planning = modeAsk, false
	t.s.mu.Unlock()
	if err := t.update("current_mode_update", object{"currentModeId": modeAsk}); err != nil {
		return err
	}
	if err := t.update("tool_call_update", object{"toolCallId": call["toolCallId"], "status": "completed"}); err != nil {
		return err
	}
	return t.do(text)
}
