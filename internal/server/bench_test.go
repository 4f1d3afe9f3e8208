package server

import (
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func (f *fixture) ping(c *http.Client, token string) error {
	r, err := http.NewRequest("POST", f.http.URL+"/api/call/ping", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := c.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return err
}

// BenchmarkPing is one client after the other. Budget: p50 < 0.15 ms, p99 < 0.6 ms.
func BenchmarkPing(b *testing.B) {
	f := newFixture(b, nil)
	token := f.token()
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if err := f.ping(f.http.Client(), token); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e6, "ms/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e6, "ms/p99")
}

// BenchmarkPing32 keeps 32 calls in flight over keep-alive connections, with a
// client that only writes and reads bytes: what is measured is the server.
// Budget: > 20,000 calls/s.
func BenchmarkPing32(b *testing.B) {
	f := newFixture(b, nil)
	request := "POST /api/call/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + f.token() + "\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	address := strings.TrimPrefix(f.http.URL, "http://")
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 32 {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			buf := make([]byte, 4096)
			for left.Add(-1) >= 0 {
				if _, err := io.WriteString(c, request); err != nil {
					b.Error(err)
					return
				}
				n := 0
				for !strings.HasSuffix(string(buf[:n]), "\r\n\r\n{}") {
					m, err := c.Read(buf[n:])
					if err != nil {
						b.Error(err)
						return
					}
					n += m
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
