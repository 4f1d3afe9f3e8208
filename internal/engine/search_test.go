package engine

import (
	"testing"

	"catamaran/internal/api"
)

func TestSearchOverTurns(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), nil, nil)
	th := h.thread()
	c := h.follow(th.ID, nil)
	turn := h.prompt(th.ID, "say the Quarterly report is ready")
	c.until("the end", c.ended(turn.ID))
	hits := must[api.SearchHits](t)(h.e.Search(t.Context(), api.Search{Text: "quart"}))
	// The title is made of the prompt; then the answer, then the prompt.
	if len(hits.Hits) != 3 || hits.Hits[0].ItemID != "" || hits.Hits[1].Kind != api.ItemAgentMessage || hits.Hits[2].Kind != api.ItemUserMessage || hits.More || hits.Indexing {
		t.Fatalf("%+v", hits)
	}
	if hits := must[api.SearchHits](t)(h.e.Search(t.Context(), api.Search{Text: "quart", Limit: 1})); len(hits.Hits) != 1 || !hits.More {
		t.Fatalf("%+v", hits)
	}
	for _, r := range []api.Search{{Text: "x", Limit: -1}, {Text: "a\x00b"}} {
		if _, err := h.e.Search(t.Context(), r); api.CodeOf(err) != api.CodeInvalid {
			t.Errorf("%+v: %v", r, err)
		}
	}
	must[api.Thread](t)(h.e.ArchiveThread(t.Context(), "", api.ThreadArchive{ThreadID: th.ID, Archived: true}))
	if hits := must[api.SearchHits](t)(h.e.Search(t.Context(), api.Search{Text: "quart"})); len(hits.Hits) != 0 {
		t.Fatalf("%+v", hits)
	}
	must[api.Empty](t)(h.e.DeleteThread(t.Context(), "", api.ThreadRef{ThreadID: th.ID}))
	if hits := must[api.SearchHits](t)(h.e.Search(t.Context(), api.Search{Text: "quart", Archived: true})); len(hits.Hits) != 0 {
		t.Fatalf("%+v", hits)
	}
}
