package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// png is the beginning of a PNG image, all that anything here looks at.
var png = append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 100)...)

func (c *client) said() string {
	var b strings.Builder
	for _, it := range c.kind(api.ItemAgentMessage) {
		b.WriteString(it.Text)
	}
	return b.String()
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	open := func() bool { return len(c.kind(api.ItemQuestion)) > 0 && c.thread.State == api.TurnWaiting }

	turn := h.prompt(th.ID, "question")
	c.until("the question", open)
	q := c.kind(api.ItemQuestion)[0]
	answer := func(parts ...api.QuestionAnswerPart) (api.Item, error) {
		return h.e.AnswerQuestion(t.Context(), "", api.QuestionAnswer{ThreadID: th.ID, ItemID: q.ID, Answers: parts})
	}
	red := api.QuestionAnswerPart{PartID: "a", OptionIDs: []string{"r"}}
	for name, parts := range map[string][]api.QuestionAnswerPart{
		"nothing":           nil,
		"another part":      {red, {PartID: "x", Text: "1"}},
		"another option":    {{PartID: "a", OptionIDs: []string{"g"}}},
		"two options":       {{PartID: "a", OptionIDs: []string{"r", "b"}}},
		"words for options": {{PartID: "a", Text: "green"}},
		"no number":         {red, {PartID: "n", Text: "many"}},
	} {
		if _, err := answer(parts...); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := h.e.AnswerApproval(t.Context(), "", api.ApprovalAnswer{ThreadID: th.ID, ItemID: q.ID, Cancel: true}); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("a question answered as an approval: %v", err)
	}
	it := must[api.Item](t)(answer(red, api.QuestionAnswerPart{PartID: "n", Text: "7"}, api.QuestionAnswerPart{PartID: "s", Text: "hunter2"}))
	if it.Question.State != api.ApprovalApproved || len(it.Question.Answers) != 3 || it.Question.Answers[2].Text == "hunter2" {
		t.Errorf("answered: %+v", it.Question)
	}
	c.until("the end", c.ended(turn.ID))
	if said := c.said(); !strings.Contains(said, `{"partId":"a","optionIds":["r"]}`) || !strings.Contains(said, "hunter2") {
		t.Errorf("the agent was told %q", said)
	}
	if _, err := answer(red); api.CodeOf(err) != api.CodeConflict {
		t.Errorf("answered twice: %v", err)
	}

	turn = h.prompt(th.ID, "question")
	c.until("the second question", func() bool { return len(c.kind(api.ItemQuestion)) == 2 && c.thread.State == api.TurnWaiting })
	q = c.kind(api.ItemQuestion)[1]
	it = must[api.Item](t)(h.e.AnswerQuestion(t.Context(), "cancel-1", api.QuestionAnswer{ThreadID: th.ID, ItemID: q.ID, Cancel: true}))
	if it.Question.State != api.ApprovalDeclined {
		t.Errorf("declined: %+v", it.Question)
	}
	c.until("the end", c.ended(turn.ID))
	if said := c.said(); !strings.HasSuffix(said, "told null") || c.turns[turn.ID].State != api.TurnCompleted {
		t.Errorf("the agent was told %q; turn %+v", said, c.turns[turn.ID])
	}

	turn = h.prompt(th.ID, "question")
	c.until("the third question", func() bool { return len(c.kind(api.ItemQuestion)) == 3 && c.thread.State == api.TurnWaiting })
	must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	c.until("the end", c.ended(turn.ID))
	if s := c.kind(api.ItemQuestion)[2].Question.State; s != api.ApprovalCancelled {
		t.Errorf("a stopped question is %s", s)
	}

	h.prompt(th.ID, "question")
	c.until("the fourth question", func() bool { return len(c.kind(api.ItemQuestion)) == 4 && c.thread.State == api.TurnWaiting })
	h.stop()
	h = start(t, h.dir, nil, nil)
	c = h.follow(th.ID, nil)
	c.until("the restart", func() bool { return c.thread.State == api.TurnInterrupted })
	if s := c.kind(api.ItemQuestion)[3].Question.State; s != api.ApprovalExpired {
		t.Errorf("after a restart a question is %s", s)
	}
}

func TestSteering(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	steer := func(text string) api.Turn {
		return must[api.Turn](t)(h.e.StartTurn(t.Context(), "", api.TurnStart{ThreadID: th.ID, Text: text, Steer: true}))
	}
	// With nothing running it is an ordinary prompt.
	turn := steer("steered")
	c.until("streaming", func() bool { return strings.Contains(c.said(), "waiting") })
	if got := steer("say too late"); got.ID != turn.ID {
		t.Fatalf("a steered message belongs to %s, not to the running turn", got.ID)
	}
	// It was not taken: it waits in the queue, once.
	c.until("the queue", func() bool { return len(c.turns) == 2 })
	if got := steer("left"); got.ID != turn.ID {
		t.Fatal("steered into another turn")
	}
	c.until("both ends", func() bool {
		for _, tn := range c.turns {
			if tn.State != api.TurnCompleted {
				return false
			}
		}
		return len(c.turns) == 2
	})
	var prompts []string
	for _, it := range c.kind(api.ItemUserMessage) {
		own := "own"
		if it.TurnID == turn.ID {
			own = "first"
		}
		prompts = append(prompts, own+":"+it.Text)
	}
	if got := strings.Join(prompts, " "); got != "first:steered first:left own:say too late" {
		t.Errorf("messages: %s", got)
	}
	if said := c.said(); !strings.Contains(said, "steered left") || !strings.Contains(said, "too late") {
		t.Errorf("said %q", said)
	}
}

func TestSettingsOfATurn(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	run := func() {
		t.Helper()
		turn := h.prompt(th.ID, "told")
		c.until("the end", c.ended(turn.ID))
	}
	text := func(s string) *string { return &s }
	yes := true
	update := func(u api.ThreadUpdate) api.Thread {
		t.Helper()
		u.ThreadID = th.ID
		return must[api.Thread](t)(h.e.UpdateThread(t.Context(), "", u))
	}
	run()
	update(api.ThreadUpdate{Effort: text("high"), Plan: &yes})
	run()
	if n := len(h.d.opened); n != 1 {
		t.Errorf("%d processes; an effort needs no new one", n)
	}
	update(api.ThreadUpdate{Model: text("big")})
	run()
	if n := len(h.d.opened); n != 2 || h.d.opened[1].Settings != (agent.Settings{Model: "big", Effort: "high", Plan: true}) || h.d.opened[1].Resume == "" {
		t.Errorf("opened %+v", h.d.opened)
	}
	if said := c.said(); !strings.Contains(said, `{"Model":"big","Effort":"high","Plan":true}`) {
		t.Errorf("told %q", said)
	}
	turn := h.prompt(th.ID, "carryout")
	c.until("the end", c.ended(turn.ID))
	if plans := c.kind(api.ItemPlan); c.thread.Plan || len(plans) != 1 || plans[0].Text != "1. Look" {
		t.Errorf("after the plan was accepted: %+v, plans %+v", c.thread, plans)
	}
	if got := update(api.ThreadUpdate{AgentID: "other"}); got.Model != "" || got.Effort != "" {
		t.Errorf("another agent starts with %+v", got)
	}
	if _, err := h.e.UpdateThread(t.Context(), "", api.ThreadUpdate{ThreadID: th.ID, Model: text("a\nb")}); api.CodeOf(err) != api.CodeInvalid {
		t.Errorf("a model of two lines: %v", err)
	}
}

func TestAttachmentsOfATurn(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	a := must[api.Attachment](t)(h.e.Upload(t.Context(), `C:\pictures\a cat.png`, bytes.NewReader(png)))
	if a.Name != "a cat.png" || a.Mime != "image/png" || a.Bytes != int64(len(png)) {
		t.Fatalf("%+v", a)
	}
	if _, err := h.e.StartTurn(t.Context(), "", api.TurnStart{ThreadID: th.ID, AttachmentIDs: []string{a.ID, "a_none"}}); api.CodeOf(err) != api.CodeNotFound {
		t.Fatalf("an unknown file: %v", err)
	}
	turn := must[api.Turn](t)(h.e.StartTurn(t.Context(), "", api.TurnStart{ThreadID: th.ID, Text: "told", AttachmentIDs: []string{a.ID}}))
	c.until("the end", c.ended(turn.ID))
	if said := c.said(); !strings.Contains(said, " a cat.png image/png 108 <nil>") {
		t.Errorf("the agent was told %q", said)
	}
	if got := c.kind(api.ItemUserMessage)[0].Attachments; len(got) != 1 || got[0] != a {
		t.Errorf("attachments %+v", got)
	}
	if _, _, err := h.e.Attachment(th.ID, a.ID); err != nil {
		t.Errorf("a sent file: %v", err)
	}
	// What is taken back from the queue is unsent again.
	h.prompt(th.ID, "wait")
	b := must[api.Attachment](t)(h.e.Upload(t.Context(), "b.png", bytes.NewReader(png)))
	queued := must[api.Turn](t)(h.e.StartTurn(t.Context(), "", api.TurnStart{ThreadID: th.ID, AttachmentIDs: []string{b.ID}}))
	if _, _, err := h.e.Attachment("", b.ID); api.CodeOf(err) != api.CodeNotFound {
		t.Errorf("a queued file is unsent: %v", err)
	}
	must[api.Empty](t)(h.e.UnqueueTurn(t.Context(), "", api.TurnRef{TurnID: queued.ID}))
	if _, _, err := h.e.Attachment("", b.ID); err != nil {
		t.Errorf("after it was taken back: %v", err)
	}
	must[api.Thread](t)(h.e.StopTurn(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	c.until("the stop", func() bool { return c.thread.State == api.TurnInterrupted && !c.thread.Stopping })
	must[api.Empty](t)(h.e.DeleteThread(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	if left, _ := filepath.Glob(filepath.Join(h.dir, "attachments", "t_*", "*")); len(left) != 0 {
		t.Errorf("left after the thread: %v", left)
	}
	if err := os.MkdirAll(filepath.Join(h.dir, "attachments", "t_gone"), 0o700); err != nil {
		t.Fatal(err)
	}
	h.stop()
	start(t, h.dir, nil, nil)
	if _, err := os.Stat(filepath.Join(h.dir, "attachments", "t_gone")); err == nil {
		t.Error("files of a thread that is gone stay")
	}
}

func TestAgentOptionsAreAskedOnce(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	ask := func(refresh bool) (api.AgentOptions, error) {
		return h.e.AgentOptions(t.Context(), api.AgentOptionsGet{AgentID: "demo", ProjectID: th.ProjectID, Refresh: refresh})
	}
	for i, c := range []struct {
		refresh bool
		model   string
	}{{false, "model-1"}, {false, "model-1"}, {true, "model-2"}, {false, "model-2"}} {
		o := must[api.AgentOptions](t)(ask(c.refresh))
		if o.AgentID != "demo" || o.Models[0].ID != c.model || !o.Steer {
			t.Errorf("%d: %+v", i, o)
		}
	}
	if _, err := ask(true); api.CodeOf(err) != api.CodeAgentSignIn {
		t.Errorf("%v", err)
	}
	if o := must[api.AgentOptions](t)(ask(false)); o.Models[0].ID != "model-2" {
		t.Errorf("a failure forgot what was known: %+v", o)
	}
	if _, err := h.e.AgentOptions(t.Context(), api.AgentOptionsGet{AgentID: "missing", ProjectID: th.ProjectID}); api.CodeOf(err) != api.CodeAgentNotFound {
		t.Errorf("%v", err)
	}
}

// keeper is a registry that also keeps settings.
type keeper struct {
	registry
	saved []api.AgentInstance
}

func (k *keeper) Instances() ([]api.AgentInstance, error) { return k.saved, nil }
func (k *keeper) SaveInstance(in api.AgentInstance) (api.AgentInstance, error) {
	in.ID = "x"
	k.saved = append(k.saved, in)
	return in, nil
}
func (k *keeper) RemoveInstance(string) error { k.saved = nil; return nil }

func TestSettingsOfAgents(t *testing.T) {
	t.Parallel()
	d := &processDriver{}
	k := &keeper{registry: registry{d}}
	h := start(t, t.TempDir(), func(o *Options) { o.Agents = k }, nil)
	th := h.thread()
	model := func() string {
		return must[api.AgentOptions](t)(h.e.AgentOptions(t.Context(), api.AgentOptionsGet{AgentID: "demo", ProjectID: th.ProjectID})).Models[0].ID
	}
	model()
	secret := api.AgentInstance{Name: "n", Path: "/p"}
	for range 2 { // the same command twice
		if in := must[api.AgentInstance](t)(h.e.SaveInstance(t.Context(), "save-1", api.AgentInstanceSave{Instance: secret})); in.ID != "x" {
			t.Errorf("%+v", in)
		}
	}
	if all := must[api.AgentInstances](t)(h.e.ListInstances(t.Context(), api.Empty{})); len(all.Instances) != 1 {
		t.Errorf("%+v", all)
	}
	if m := model(); m != "model-2" {
		t.Errorf("an agent that starts in another way was not asked again: %s", m)
	}
	must[api.Empty](t)(h.e.RemoveInstance(t.Context(), "", api.AgentInstanceRef{ID: "x"}))
	if all := must[api.AgentInstances](t)(h.e.ListInstances(t.Context(), api.Empty{})); len(all.Instances) != 0 {
		t.Errorf("%+v", all)
	}
	plain := start(t, t.TempDir(), nil, nil)
	if _, err := plain.e.ListInstances(t.Context(), api.Empty{}); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("%v", err)
	}
}
