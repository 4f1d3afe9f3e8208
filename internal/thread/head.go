package thread

import (
	"strings"
	"unicode"

	"catamaran/internal/api"
)

func (c Rename) decide(d *draft) *api.Error {
	title := strings.TrimSpace(c.Title)
	if title == "" || len(title) > 500 {
		return &api.Error{Code: api.CodeInvalid, Message: "A title has 1 to 500 characters."}
	}
	d.head.Title = title
	return nil
}

func (c Archive) decide(d *draft) *api.Error {
	if c.Archived && d.Active != nil {
		return running("archived")
	}
	if c.Archived && d.head.ArchivedAt == 0 {
		d.head.ArchivedAt = d.at
	} else if !c.Archived {
		d.head.ArchivedAt = 0
	}
	return nil
}

func (c Pin) decide(d *draft) *api.Error {
	d.head.Pinned = c.Pinned
	return nil
}

func (Seen) decide(d *draft) *api.Error {
	d.head.Unread = false
	return nil
}

func (c SettingUp) decide(d *draft) *api.Error {
	d.head.SetupJobID = c.JobID
	return nil
}

func (c Moved) decide(d *draft) *api.Error {
	d.head.Branch, d.head.DetachedAt = c.Branch, c.DetachedAt
	return nil
}

func (c Update) decide(d *draft) *api.Error {
	if c.Permission != "" && !ValidPermission(c.Permission) {
		return &api.Error{Code: api.CodeInvalid, Message: "The permission mode is not known.", Hint: "Use supervised, accept-edits or full."}
	}
	for _, s := range []*string{c.Model, c.Effort} {
		if s != nil && !ValidOption(*s) {
			return &api.Error{Code: api.CodeInvalid, Message: "The name of the model or effort is too long or has characters that none has.", Hint: "Choose one that the agent offers."}
		}
	}
	before := d.head
	if c.AgentID != "" && c.AgentID != d.head.AgentID {
		d.head.AgentID, d.head.Model, d.head.Effort, d.head.Plan = c.AgentID, "", "", false
	}
	if c.Permission != "" {
		d.head.Permission = c.Permission
	}
	if before != d.head {
		d.do(Action{Kind: Reopen})
	}
	if c.Model != nil {
		d.head.Model = *c.Model
	}
	if c.Effort != nil {
		d.head.Effort = *c.Effort
	}
	if c.Plan != nil {
		d.head.Plan = *c.Plan
	}
	return nil
}

// ValidOption reports whether s can be the id of a model or an effort; "" is the agent's own choice.
func ValidOption(s string) bool {
	return len(s) <= 200 && strings.IndexFunc(s, unicode.IsControl) < 0
}

func (Remove) decide(d *draft) *api.Error {
	if d.Active != nil {
		return running("deleted")
	}
	d.emit(api.Event{Type: api.EventThreadRemoved, RemovedID: d.head.ID})
	d.do(Action{Kind: Reopen})
	return nil
}

func running(done string) *api.Error {
	return &api.Error{Code: api.CodeConflict, Message: "The thread can't be " + done + " while a turn runs.", Hint: "Stop it first."}
}

// ValidPermission reports whether m is one of the three modes.
func ValidPermission(m api.PermissionMode) bool {
	return m == api.PermissionSupervised || m == api.PermissionAcceptEdits || m == api.PermissionFull
}

// Title is the first line of a prompt, at most 60 characters.
func Title(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.Join(strings.FieldsFunc(line, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	runes := []rune(line)
	if len(runes) <= titleRunes {
		return line
	}
	return strings.TrimSpace(string(runes[:titleRunes-1])) + "…"
}
