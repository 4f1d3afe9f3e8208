package engine

import (
	"context"
	"strings"
	"time"

	"catamaran/internal/api"
)

const (
	hitsDefault = 50
	hitsMost    = 200
	// searchBound limits one search; words that nearly every message has can't take longer.
	searchBound = 10 * time.Second
)

// Search looks for words in titles and messages.
func (e *Engine) Search(ctx context.Context, r api.Search) (api.SearchHits, error) {
	st, err := e.ready()
	if err != nil {
		return api.SearchHits{}, err
	}
	if r.Limit < 0 || strings.ContainsRune(r.Text, 0) {
		return api.SearchHits{}, &api.Error{Code: api.CodeInvalid, Message: "This can't be searched for.", Hint: "Write some words."}
	}
	if r.Limit == 0 {
		r.Limit = hitsDefault
	}
	r.Limit = min(r.Limit, hitsMost)
	ctx, cancel := context.WithTimeout(ctx, searchBound)
	defer cancel()
	hits, err := st.Search(ctx, r)
	return hits, e.clientError("search", err)
}
