package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"catamaran/internal/api"
	"catamaran/internal/link"
	"catamaran/internal/proc"
)

// BenchmarkStart is exec to the hello and to the first answer (a descriptor)
// over the link, with state that exists and a warm cache.
// Budget: first answer < 50 ms.
func BenchmarkStart(b *testing.B) {
	w := newWorld(b)
	var hello, first, ready time.Duration
	for range b.N {
		began := time.Now()
		p, err := proc.Start(proc.Spec{Path: program, Args: []string{"serve", "--stdio"}, Env: w.env})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
		s, err := link.Connect(ctx, p.Stdout(), p.Stdin(), envelope(), link.Options{})
		cancel()
		if err != nil {
			b.Fatal(err)
		}
		hello += time.Since(began)
		d := &desktop{t: b, proc: p, session: s, client: clientOf(s)}
		var desc api.Descriptor
		d.request("GET", "/api/descriptor", nil, &desc)
		first += time.Since(began)
		for desc.Phase != api.PhaseReady {
			d.request("GET", "/api/descriptor", nil, &desc)
		}
		ready += time.Since(began)
		b.StopTimer()
		d.goodbye()
		d.client.CloseIdleConnections()
		b.StartTimer()
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(b.N) }
	b.ReportMetric(ms(hello), "ms/hello")
	b.ReportMetric(ms(first), "ms/answer")
	b.ReportMetric(ms(ready), "ms/ready")
}

// BenchmarkPingOverLink is one empty call after the other through the link.
func BenchmarkPingOverLink(b *testing.B) {
	d := start(b, newWorld(b))
	for b.Loop() {
		var out api.Empty
		d.request(http.MethodPost, "/api/call/ping", api.Empty{}, &out)
	}
	b.StopTimer()
	d.goodbye()
}
