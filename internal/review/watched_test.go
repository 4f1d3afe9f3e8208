package review

import (
	"context"
	"testing"

	"catamaran/internal/api"
	"catamaran/internal/topic"
)

type fakeLook struct {
	topic        topic.Topic
	began, ended chan api.GitPlace
	place        api.GitPlace
}

func (f *fakeLook) shown() *topic.Topic { return &f.topic }

func (f *fakeLook) run(ctx context.Context) {
	f.began <- f.place
	<-ctx.Done()
	f.ended <- f.place
}

// TestWatchedWhileSomebodySubscribes: one run for all subscribers of a place, from the first to the last.
func TestWatchedWhileSomebodySubscribes(t *testing.T) {
	t.Parallel()
	began, ended := make(chan api.GitPlace, 8), make(chan api.GitPlace, 8)
	w := watched[*fakeLook]{begin: func(p api.GitPlace) *fakeLook { return &fakeLook{began: began, ended: ended, place: p} }}
	here, there := api.GitPlace{ProjectID: "p"}, api.GitPlace{ProjectID: "p", ThreadID: "t"}
	subscribe := func(p api.GitPlace) Stream {
		t.Helper()
		s, err := w.subscribe(p)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	watching := func(p api.GitPlace) int {
		n := 0
		w.each(func(at api.GitPlace) bool { return at == p }, func(*fakeLook) { n++ })
		return n
	}
	first, second := subscribe(here), subscribe(here)
	if p := <-began; p != here {
		t.Fatalf("%+v was looked at", p)
	}
	first.Close()
	first.Close()
	if len(ended) != 0 || watching(here) != 1 {
		t.Error("it ended while somebody subscribed")
	}
	second.Close()
	if p := <-ended; p != here || watching(here) != 0 {
		t.Errorf("%+v ended", p)
	}
	again, other := subscribe(here), subscribe(there)
	for range 2 {
		<-began
	}
	if len(began) != 0 {
		t.Error("a place was looked at twice")
	}
	w.end()
	w.running.Wait()
	if len(ended) != 2 {
		t.Errorf("%d of 2 ended", len(ended))
	}
	again.Close()
	other.Close()
	if _, err := w.subscribe(here); api.CodeOf(err) != api.CodeUnavailable {
		t.Errorf("subscribed after the end: %v", err)
	}
}
