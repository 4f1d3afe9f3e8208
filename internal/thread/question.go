package thread

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"catamaran/internal/api"
)

// AnswerMost bounds the words of one answer, in bytes.
const AnswerMost = 64 << 10

// Resolve answers a question part by part; Cancel declines to answer and the turn goes on.
type Resolve struct {
	ItemID  string
	Answers []api.QuestionAnswerPart
	Cancel  bool
}

// Steering hands a message to the running turn. The message is part of that turn.
type Steering struct {
	ItemID, Text string
	Attachments  []api.Attachment
}

var closed = &api.Error{Code: api.CodeConflict, Message: "This question is no longer open.", Hint: "It was answered, or the turn has ended."}

func (c Resolve) decide(d *draft) *api.Error {
	p, ok := d.pending(c.ItemID)
	if !ok || p.Question == nil {
		return closed
	}
	q := *p.Question
	p.Question = &q
	act := Action{Kind: Respond, ItemID: p.ID}
	if c.Cancel {
		d.answered(p, api.ApprovalDeclined, "")
	} else {
		answers, err := checked(q.Parts, c.Answers)
		if err != nil {
			return err
		}
		act.Answers = answers
		q.Answers = hidden(q.Parts, answers)
		d.answered(p, api.ApprovalApproved, "")
	}
	d.head.Unread = false
	d.do(act)
	d.resumed()
	return nil
}

// checked returns the answers in the parts' order, without those that say nothing.
func checked(parts []api.QuestionPart, given []api.QuestionAnswerPart) ([]api.QuestionAnswerPart, *api.Error) {
	invalid := func(message, hint string) *api.Error {
		return &api.Error{Code: api.CodeInvalid, Message: message, Hint: hint}
	}
	answers := []api.QuestionAnswerPart{}
	for _, g := range given {
		if !slices.ContainsFunc(parts, func(p api.QuestionPart) bool { return p.ID == g.PartID }) {
			return nil, invalid("An answer is about something the agent did not ask.", "Answer the parts shown.")
		}
	}
	for _, p := range parts {
		at := slices.IndexFunc(given, func(g api.QuestionAnswerPart) bool { return g.PartID == p.ID })
		a := api.QuestionAnswerPart{PartID: p.ID}
		if at >= 0 {
			a = given[at]
		}
		switch {
		case len(a.OptionIDs) == 0 && strings.TrimSpace(a.Text) == "":
			if p.Optional {
				continue
			}
			return nil, invalid("An answer is missing: "+Title(p.Text), "Answer every part, or decline to answer.")
		case len(a.OptionIDs) > 1 && !p.Multiple:
			return nil, invalid("Only one answer can be chosen: "+Title(p.Text), "Choose one.")
		case a.Text != "" && !p.FreeText:
			return nil, invalid("This can't be answered in words: "+Title(p.Text), "Choose one of the answers shown.")
		case len(a.Text) > AnswerMost:
			return nil, &api.Error{Code: api.CodeTooLarge, Message: "The answer is longer than 64 KiB.", Hint: "Put it into a file of the project and mention that."}
		case a.Text != "" && !formatted(p.Format, strings.TrimSpace(a.Text)):
			return nil, invalid("This must be a "+p.Format+": "+Title(p.Text), "Write it in digits.")
		}
		for i, id := range a.OptionIDs {
			if !slices.ContainsFunc(p.Options, func(o api.QuestionOption) bool { return o.ID == id }) || slices.Contains(a.OptionIDs[:i], id) {
				return nil, invalid("The agent does not offer this answer.", "Choose one of the answers shown.")
			}
		}
		answers = append(answers, a)
	}
	return answers, nil
}

func formatted(format, text string) bool {
	const most = 64 // digits; a number's exponent could ask for a lot of memory
	switch format {
	case "number":
		n, err := strconv.ParseFloat(text, 64)
		return err == nil && len(text) <= most && !math.IsInf(n, 0) && !math.IsNaN(n)
	case "integer":
		_, ok := new(big.Int).SetString(text, 10)
		return ok && len(text) <= most
	}
	return true
}

// hidden are the answers as they are kept: what was typed in secret is not.
func hidden(parts []api.QuestionPart, answers []api.QuestionAnswerPart) []api.QuestionAnswerPart {
	kept := slices.Clone(answers)
	for i, a := range kept {
		for _, p := range parts {
			if p.ID == a.PartID && p.Secret && a.Text != "" {
				kept[i].Text = "(not kept)"
			}
		}
	}
	return kept
}

func (c Steering) decide(d *draft) *api.Error {
	if err := sendable(c.Text, c.Attachments); err != nil {
		return err
	}
	if d.Active == nil || d.head.Stopping {
		return &api.Error{Code: api.CodeConflict, Message: "No turn runs that could take the message."}
	}
	d.head.UpdatedAt, d.head.Unread = d.at, false
	d.item(api.Item{ID: c.ItemID, ThreadID: d.head.ID, TurnID: d.Active.ID, Ordinal: d.LastItem + 1,
		Kind: api.ItemUserMessage, CreatedAt: d.at, Text: c.Text, Attachments: c.Attachments})
	d.do(Action{Kind: Steer, Turn: *d.Active, ItemID: c.ItemID, Text: c.Text, Attachments: c.Attachments})
	return nil
}

// Resend queues a message that the running turn did not take after all.
type Resend struct {
	ItemID string // the message's as part of that turn
	Prompt Prompt
}

func (c Resend) decide(d *draft) *api.Error {
	d.emit(api.Event{Type: api.EventItemRemoved, RemovedID: c.ItemID})
	return c.Prompt.decide(d)
}
