package file

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"catamaran/internal/api"
)

const (
	defaultFound = 20
	maxFound     = 200
	maxQuery     = 256
)

// Find answers the paths of dir (absolute) that match a query best. Errors are
// *api.Error or the context's.
func (f *Files) Find(ctx context.Context, dir string, r api.FileFind) (api.FoundFiles, error) {
	if len(r.Query) > maxQuery || !utf8.ValidString(r.Query) {
		return api.FoundFiles{}, invalidName("A query has at most 256 characters.")
	}
	l, recent, err := f.current(ctx, dir)
	if err != nil {
		return api.FoundFiles{}, err
	}
	limit := r.Limit
	if limit <= 0 {
		limit = defaultFound
	}
	hits, matches := l.find(r.Query, min(limit, maxFound), r.Files, recent)
	out := api.FoundFiles{Files: make([]api.FoundFile, len(hits)), Matches: matches, Known: len(l.paths), Partial: l.partial}
	q := fold(tidy(r.Query))
	for i, h := range hits {
		p := l.paths[h.at]
		out.Files[i] = api.FoundFile{Path: p, Folder: l.flags[h.at]&flagFolder != 0, Changed: l.flags[h.at]&flagChanged != 0, Marks: marks(p, spans(q, l.folded[h.at]))}
	}
	return out, nil
}

// hit is a match: where it is in the list, and how good.
type hit struct {
	at    int32
	score int32
}

// tidy brings a query into the form of a path: no spaces, no leading "./", slashes.
func tidy(query string) string {
	q := strings.ReplaceAll(strings.ReplaceAll(query, " ", ""), `\`, "/")
	return strings.TrimPrefix(strings.TrimPrefix(q, "./"), "/")
}

// find returns the best matches, the best first, and how many there are. A
// long list is looked through by several processors at once.
func (l *list) find(query string, limit int, files bool, recent map[string]int64) ([]hit, int) {
	q := fold(tidy(query))
	newest := int64(0)
	for _, n := range recent {
		newest = max(newest, n)
	}
	parts := min(runtime.GOMAXPROCS(0), 4, 1+len(l.paths)/5000)
	best := make([]top, parts)
	matches := make([]int, parts)
	var wg sync.WaitGroup
	for k := range parts {
		best[k] = top{limit: limit, list: l}
		wg.Go(func() {
			from, to := k*len(l.paths)/parts, (k+1)*len(l.paths)/parts
			matches[k] = l.findIn(from, to, q, files, recent, newest, &best[k])
		})
	}
	wg.Wait()
	for k := 1; k < parts; k++ {
		matches[0] += matches[k]
		for _, h := range best[k].heap {
			best[0].offer(h)
		}
	}
	return best[0].sorted(), matches[0]
}

func (l *list) findIn(from, to int, q string, files bool, recent map[string]int64, newest int64, best *top) int {
	qm := mask(q)
	matches := 0
	for i := from; i < to; i++ {
		if l.masks[i]&qm != qm || files && l.flags[i]&flagFolder != 0 {
			continue
		}
		s, ok := score(q, l.folded[i])
		if !ok {
			continue
		}
		matches++
		s += l.boost(i)
		if len(recent) > 0 {
			if n, ok := recent[l.paths[i]]; ok {
				// The newest use counts most; all count more than how long a path is.
				s += 60 + 60*int32(n)/int32(max(newest, 1))
			}
		}
		best.offer(hit{int32(i), s})
	}
	return matches
}

func (l *list) boost(i int) int32 {
	s := int32(0)
	if l.flags[i]&flagChanged != 0 {
		s += 40
	}
	if l.flags[i]&flagFolder != 0 {
		s -= 25
	}
	return s
}

// top keeps the best hits: a heap with the worst in front.
type top struct {
	limit int
	list  *list
	heap  []hit
}

// worse orders by score, then by length and name, so that an order never changes by itself.
func (t *top) worse(a, b hit) bool {
	if a.score != b.score {
		return a.score < b.score
	}
	pa, pb := t.list.paths[a.at], t.list.paths[b.at]
	if len(pa) != len(pb) {
		return len(pa) > len(pb)
	}
	return pa > pb
}

func (t *top) offer(h hit) {
	if len(t.heap) < t.limit {
		t.heap = append(t.heap, h)
		for i := len(t.heap) - 1; i > 0; {
			up := (i - 1) / 2
			if !t.worse(t.heap[i], t.heap[up]) {
				break
			}
			t.heap[i], t.heap[up] = t.heap[up], t.heap[i]
			i = up
		}
		return
	}
	if !t.worse(t.heap[0], h) {
		return
	}
	t.heap[0] = h
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(t.heap) {
			return
		}
		if down+1 < len(t.heap) && t.worse(t.heap[down+1], t.heap[down]) {
			down++
		}
		if !t.worse(t.heap[down], t.heap[i]) {
			return
		}
		t.heap[i], t.heap[down] = t.heap[down], t.heap[i]
		i = down
	}
}

func (t *top) sorted() []hit {
	slices.SortFunc(t.heap, func(a, b hit) int {
		switch {
		case t.worse(b, a):
			return -1
		case t.worse(a, b):
			return 1
		}
		return cmp.Compare(a.at, b.at)
	})
	return t.heap
}
