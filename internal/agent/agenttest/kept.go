package agenttest

import (
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// KeepsOn has the program begin a conversation, finds it on disk, reads it there
// and goes on with it in another process.
func KeepsOn(t *testing.T, target Target) {
	s := Open(t, target, api.PermissionSupervised)
	s.AnswerAll("allow_once")
	if _, err := s.Prompt(target.Work); err != nil {
		t.Fatal(err)
	}
	id, said := s.Session.Info().Resume, s.Text(agent.KindMessage)
	s.Close(s.Session)
	keeper, ok := target.Driver.(agent.Keeper)
	if !ok {
		t.Fatal("the driver reads no conversations from disk")
	}
	env := target.Env(t, s.Dir, s.State)
	list, err := keeper.Kept(s.Ctx, s.Dir, env)
	if err != nil || len(list) != 1 || list[0].ID != id || list[0].Title != target.Work {
		t.Fatalf("kept %+v, %v; want one of %s", list, err, id)
	}
	c, err := keeper.ReadKept(s.Ctx, s.Dir, env, id)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	tools, ran := 0, false
	for _, it := range c.Items {
		switch it.Kind {
		case api.ItemAgentMessage:
			text.WriteString(it.Text)
		case api.ItemToolCall:
			tools++
			ran = ran || strings.Contains(it.Tool.Output, target.Output) && it.Tool.Status == api.ToolCompleted
		}
	}
	if c.Items[0].Kind != api.ItemUserMessage || c.Items[0].Text != target.Work || text.String() != said || tools < 2 || !ran {
		t.Errorf("read %+v, %d tools, the command ran: %v; the agent said %q", c.Items, tools, ran, said)
	}
	s.Reopen(api.PermissionSupervised, id)
	s.AnswerAll("allow_once")
	if !s.Session.Info().Resumed {
		t.Fatal("the program does not know the conversation any more")
	}
	if _, err := s.Prompt("and once more"); err != nil {
		t.Fatal(err)
	}
	if c, err = keeper.ReadKept(s.Ctx, s.Dir, env, s.Session.Info().Resume); err != nil {
		t.Fatal(err)
	}
	prompts := 0
	for _, it := range c.Items {
		if it.Kind == api.ItemUserMessage {
			prompts++
		}
	}
	if prompts != 2 {
		t.Errorf("%d prompts after going on: %+v", prompts, c.Items)
	}
}
