package codex

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

const keptID = "01a2253a-d579-73e1-8ab7-82bea2e9874c"

// keep writes a rollout where Codex would and returns the environment.
func keep(t testing.TB, id string, lines ...string) []string {
	t.Helper()
	home := t.TempDir()
	folder := filepath.Join(home, "sessions", "2026", "03", "04")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "rollout-2026-03-04T05-06-07-"+id+".jsonl"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"CODEX_HOME=" + home}
}

func entryOf(kind, payload string) string {
	return fmt.Sprintf(`{"timestamp":"2026-03-04T05:06:07.000Z","type":%q,"payload":%s}`, kind, payload)
}

var meta = entryOf("session_meta", `{"id":"`+keptID+`","cwd":"/home/u/shop","cli_version":"0.169.0"}`)

// What the model was told, in every version.
var toldStory = []string{
	entryOf("response_item", `{"type":"message","role":"developer","content":[{"type":"input_text","text":"rules"}]}`),
	entryOf("response_item", `{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>here</environment_context>"}]}`),
	entryOf("response_item", `{"type":"message","role":"user","content":[{"type":"input_text","text":"Count the apples"},{"type":"input_image"}]}`),
	entryOf("response_item", `{"type":"reasoning","summary":[{"type":"summary_text","text":"Apples."}]}`),
	entryOf("response_item", `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"I look."}]}`),
	entryOf("response_item", `{"type":"function_call","name":"exec_command","arguments":"{\"cmd\":\"ls apples\"}","call_id":"c1"}`),
	entryOf("response_item", `{"type":"function_call_output","call_id":"c1","output":"Chunk ID: 1\nProcess exited with code 2\nOutput:\nno apples\n"}`),
	entryOf("response_item", `{"type":"function_call","name":"shell","arguments":"{\"command\":[\"bash\",\"-lc\",\"ls pears\"]}","call_id":"c2"}`),
	entryOf("response_item", `{"type":"function_call_output","call_id":"c2","output":"{\"output\":\"conference\\n\",\"metadata\":{\"exit_code\":0}}"}`),
	entryOf("response_item", `{"type":"custom_tool_call","name":"apply_patch","input":"*** Begin Patch","call_id":"c3"}`),
	"garbage", "[]", entryOf("response_item", `7`), entryOf("hologram", `{}`),
	entryOf("response_item", `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"None."}]}`),
}

func lines(items []api.Item) string {
	var all []string
	for _, it := range items {
		line := string(it.Kind) + ": " + it.Text
		if it.Tool != nil {
			line += fmt.Sprintf("%s %s %q", it.Tool.Title, it.Tool.Status, it.Tool.Output)
			if it.Tool.ExitCode != nil {
				line += fmt.Sprint(" ", *it.Tool.ExitCode)
			}
		}
		all = append(all, line)
	}
	return strings.Join(all, "\n")
}

const wantTools = `tool_call: ls apples failed "no apples\n" 2
tool_call: ls pears completed "conference\n" 0
tool_call: Edit files cancelled ""`

func TestKeptThreads(t *testing.T) {
	t.Parallel()
	d := New(nil)
	env := keep(t, keptID, append([]string{meta}, toldStory...)...)
	list, err := d.Kept(t.Context(), "/home/u/shop", env)
	if err != nil || len(list) != 1 || list[0].ID != keptID || list[0].Title != "Count the apples" || list[0].Messages != 3 || list[0].UpdatedAt == 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, err = d.Kept(t.Context(), "/home/u", env); err != nil || len(list) != 0 {
		t.Fatalf("another folder: %+v, %v", list, err)
	}
	c, err := d.ReadKept(t.Context(), "/home/u/shop", env, keptID)
	want := "user_message: Count the apples\n[picture]\nreasoning: Apples.\nagent_message: I look.\n" + wantTools + "\nagent_message: None."
	if err != nil || lines(c.Items) != want || c.Items[0].CreatedAt == 0 {
		t.Fatalf("%v\n%s\nwant\n%s", err, lines(c.Items), want)
	}
	for _, id := range []string{"", "..", "01a2253a-d579-73e1-8ab7-000000000000"} {
		if _, err := d.ReadKept(t.Context(), "/home/u/shop", env, id); err != agent.ErrNotKept {
			t.Errorf("%q: %v", id, err)
		}
	}
	if list, err = d.Kept(t.Context(), "/home/u/shop", []string{"HOME=" + t.TempDir()}); err != nil || len(list) != 0 {
		t.Fatalf("without any: %+v, %v", list, err)
	}
}

// What people are shown is taken where it was written; both ways of writing it; what was rolled back is gone.
func TestKeptAsShown(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(kind, text string) string{
		"older": func(kind, text string) string {
			return entryOf("event_msg", fmt.Sprintf(`{"type":%q,"message":%q}`, kind+"_message", text))
		},
		"newer": func(kind, text string) string {
			return entryOf("event_msg", fmt.Sprintf(`{"type":"item_completed","item":{"type":%q,"content":[{"type":"text","text":%q}]}}`, map[string]string{"user": "UserMessage", "agent": "AgentMessage"}[kind], text))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story := []string{meta, write("user", "Count"), entryOf("event_msg", `{"type":"item_completed","item":{"type":"Reasoning","summary_text":["Hm."]}}`)}
			story = append(story, toldStory...)
			story = append(story, write("agent", "None at all."), write("user", "Wrong question"), write("agent", "Wrong answer"),
				entryOf("event_msg", `{"type":"thread_rolled_back","num_turns":1}`), write("user", "Right question"), write("agent", "Right answer"))
			c, err := New(nil).ReadKept(t.Context(), "/home/u/shop", keep(t, keptID, story...), keptID)
			want := "user_message: Count\nreasoning: Hm.\n" + wantTools + "\nagent_message: None at all.\nuser_message: Right question\nagent_message: Right answer"
			if err != nil || lines(c.Items) != want {
				t.Fatalf("%v\n%s\nwant\n%s", err, lines(c.Items), want)
			}
		})
	}
}

func FuzzKept(f *testing.F) {
	f.Add([]byte(strings.Join(append([]string{meta}, toldStory...), "\n")))
	f.Add([]byte(meta + "\n" + entryOf("event_msg", `{"type":"user_message","message":"x"}`) + "\n" + entryOf("event_msg", `{"type":"thread_rolled_back","num_turns":1}`)))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "f.jsonl")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		glance(t.Context(), rollout{path: path}, "/home/u/shop")
		var g gather
		if err := agent.Lines(t.Context(), path, 0, func(raw []byte) bool { g.add(readLine(raw)); return true }); err != nil {
			t.Fatal(err)
		}
		items, _ := g.items()
		for i, it := range items {
			if i == 0 && it.Kind != api.ItemUserMessage || (it.Kind == api.ItemToolCall) != (it.Tool != nil) {
				t.Fatalf("%+v", it)
			}
		}
	})
}
