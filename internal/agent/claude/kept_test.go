package claude

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catamaran/internal/agent"
	"catamaran/internal/api"
)

// keep writes a conversation where Claude Code would and returns the environment.
func keep(t testing.TB, dir, id string, lines ...string) []string {
	t.Helper()
	config := filepath.Join(t.TempDir(), "config")
	env := []string{"HOME=/nowhere", "CLAUDE_CONFIG_DIR=" + config}
	folder := folders(dir, env)
	if len(folder) == 0 { // a long name: Claude Code adds a hash to it
		name := strings.Map(func(r rune) rune {
			if r == '/' {
				return '-'
			}
			return r
		}, dir)
		folder = []string{filepath.Join(config, "projects", name[:nameMost]+"-1x2y3z")}
	}
	if err := os.MkdirAll(folder[0], 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder[0], id+".jsonl"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return env
}

func says(kind, uuid, parent, content string) string {
	return fmt.Sprintf(`{"type":%q,"uuid":%q,"parentUuid":%q,"cwd":"/home/u/shop","timestamp":"2026-03-04T05:06:0%d.000Z","message":{"role":%q,"content":%s}}`,
		kind, uuid, parent, len(uuid)%10, kind, content)
}

var story = []string{
	`{"type":"queue-operation","operation":"enqueue"}`,
	says("user", "u1", "", `[{"type":"text","text":"Count the apples"},{"type":"image","source":{}}]`),
	`{"type":"attachment","uuid":"x1","parentUuid":"u1","attachment":{"type":"date"}}`,
	says("assistant", "a1", "x1", `[{"type":"thinking","thinking":"Apples."},{"type":"text","text":"I look."}]`),
	says("assistant", "a2", "a1", `[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"ls apples","description":"List apples"}}]`),
	says("assistant", "a3", "a2", `[{"type":"tool_use","id":"t2","name":"Read","input":{"file_path":"/home/u/shop/list.txt"}}]`),
	says("user", "r1", "a2", `[{"type":"tool_result","tool_use_id":"t1","content":"red\ngreen"}]`),
	says("user", "r2", "a3", `[{"type":"tool_result","tool_use_id":"t2","is_error":true,"content":[{"type":"text","text":"no such file"}]}]`),
	says("assistant", "off", "r2", `"This was taken back."`),
	says("assistant", "a4", "r2", `"There are two."`),
	`{"type":"user","uuid":"m1","parentUuid":"a4","isMeta":true,"message":{"role":"user","content":"Caveat: nobody wrote this"}}`,
	says("user", "side", "", `"for a sub-agent"`)[:1] + `"isSidechain":true,` + says("user", "side", "", `"for a sub-agent"`)[1:],
	"not json", "[1,2]", `{"type":7,"uuid":[],"message":"x"}`,
	says("user", "u2", "m1", `"And <b>pears</b>?"`),
	says("assistant", "a5", "u2", `[{"type":"text","text":"None."},{"type":"hologram"}]`),
}

func TestKeptConversations(t *testing.T) {
	t.Parallel()
	d := New(nil)
	env := keep(t, "/home/u/shop", "c0ffee-1", story...)
	list, err := d.Kept(t.Context(), "/home/u/shop", env)
	if err != nil || len(list) != 1 || list[0].ID != "c0ffee-1" || list[0].Title != "Count the apples" || list[0].Messages == 0 || list[0].UpdatedAt == 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, err = d.Kept(t.Context(), "/home-u-shop", env); err != nil || len(list) != 0 {
		t.Fatalf("another folder of the same name: %+v, %v", list, err)
	}
	if list, err = d.Kept(t.Context(), "/elsewhere", env); err != nil || len(list) != 0 {
		t.Fatalf("%+v, %v", list, err)
	}
	c, err := d.ReadKept(t.Context(), "/home/u/shop", env, "c0ffee-1")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range c.Items {
		line := string(it.Kind) + ": " + it.Text
		if it.Tool != nil {
			line += fmt.Sprintf("%s %s %q", it.Tool.Title, it.Tool.Status, it.Tool.Output)
		}
		got = append(got, line)
		if it.CreatedAt == 0 {
			t.Errorf("%s has no time", line)
		}
	}
	want := []string{
		"user_message: Count the apples\n[picture]", "reasoning: Apples.", "agent_message: I look.",
		`tool_call: List apples completed "red\ngreen"`, `tool_call: Read list.txt failed "no such file"`,
		"agent_message: There are two.", "user_message: And <b>pears</b>?", "agent_message: None.",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("read\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, id := range []string{"", "..", "../c0ffee-1", "nothing", `a\b`} {
		if _, err := d.ReadKept(t.Context(), "/home/u/shop", env, id); err != agent.ErrNotKept {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestKeptTitlesAndOddFolders(t *testing.T) {
	t.Parallel()
	d := New(nil)
	deep := "/home/u/" + strings.Repeat("deep/", 60) + "shop"
	named := append([]string{`{"type":"summary","summary":"Old name"}`, `{"type":"custom-title","customTitle":"Given name"}`}, strings.ReplaceAll(story[1], "/home/u/shop", deep))
	env := keep(t, deep, "long", named...)
	list, err := d.Kept(t.Context(), deep, env)
	if err != nil || len(list) != 1 || list[0].Title != "Given name" {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, err = d.Kept(t.Context(), "/home/u/shop", []string{"HOME=" + t.TempDir()}); err != nil || len(list) != 0 {
		t.Fatalf("without any: %+v, %v", list, err)
	}
	// A link to somewhere else is not followed.
	folder := folders("/home/u/shop", keep(t, "/home/u/shop", "real", story...))[0]
	if err := os.Symlink(filepath.Join(folder, "real.jsonl"), filepath.Join(folder, "link.jsonl")); err != nil {
		t.Fatal(err)
	}
	env = []string{"CLAUDE_CONFIG_DIR=" + filepath.Dir(filepath.Dir(folder))}
	if list, err = d.Kept(t.Context(), "/home/u/shop", env); err != nil || len(list) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	if _, err := d.ReadKept(t.Context(), "/home/u/shop", env, "link"); err != agent.ErrNotKept {
		t.Fatal(err)
	}
}

// A conversation of any length is read within bounds: the newest part of it.
func TestKeptIsBounded(t *testing.T) {
	t.Parallel()
	lines := []string{}
	parent := ""
	for n := range 14_000 {
		kind := "user"
		if n%2 == 1 {
			kind = "assistant"
		}
		uuid := fmt.Sprint("n", n)
		lines = append(lines, says(kind, uuid, parent, fmt.Sprintf(`"message %d"`, n)))
		parent = uuid
	}
	env := keep(t, "/home/u/shop", "big", lines...)
	c, err := New(nil).ReadKept(t.Context(), "/home/u/shop", env, "big")
	if err != nil || !c.Cut || c.Messages != 0 || len(c.Items) > 5000 || len(c.Items) < 4000 || c.Items[0].Kind != api.ItemUserMessage || c.Items[len(c.Items)-1].Text != "message 13999" {
		t.Fatalf("%d items, cut %v, %v", len(c.Items), c.Cut, err)
	}
}

func FuzzKept(f *testing.F) {
	f.Add([]byte(strings.Join(story, "\n")))
	f.Add([]byte(`{"type":"user","uuid":"a","parentUuid":"b","message":{"content":"x"}}` + "\n" + `{"type":"assistant","uuid":"b","parentUuid":"a"}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "f.jsonl")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		glance(t.Context(), path, "/home/u/shop")
		items, _, err := conversation(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for i, it := range items {
			if i == 0 && it.Kind != api.ItemUserMessage || (it.Kind == api.ItemToolCall) != (it.Tool != nil) {
				t.Fatalf("%+v", it)
			}
		}
	})
}
