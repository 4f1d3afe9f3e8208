// Command icon draws assets/logo.svg with Chromium and scales it to the sizes
// that Windows and Linux want, as assets/icon-<n>.png. Run it when the logo
// changes, and commit what it made: builds then need no browser.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"catamaran/test/chromium"
)

// sizes in pixels: what the Windows shell asks for at 100 to 250 percent, and the large ones.
var sizes = []int{16, 20, 24, 32, 40, 48, 64, 128, 256}

// drawn is the side of the one drawing, a multiple of every size.
const drawn = 3840

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "icon:", err)
		os.Exit(1)
	}
}

func run() error {
	big, err := rasterise(filepath.Join("assets", "logo.svg"))
	if err != nil {
		return err
	}
	for _, n := range sizes {
		var b bytes.Buffer
		enc := png.Encoder{CompressionLevel: png.BestCompression}
		if err := enc.Encode(&b, shrink(big, n)); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join("assets", fmt.Sprintf("icon-%d.png", n)), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func rasterise(svg string) (*image.RGBA, error) {
	b, err := os.ReadFile(svg)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "icon")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	page, shot := filepath.Join(dir, "page.html"), filepath.Join(dir, "shot.png")
	html := `<style>body{margin:0}img{display:block;width:100vw;height:100vh}</style><img src="data:image/svg+xml;base64,` +
		base64.StdEncoding.EncodeToString(b) + `">`
	if err := os.WriteFile(page, []byte(html), 0o600); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	program, err := chromium.Path()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--default-background-color=00000000", fmt.Sprintf("--window-size=%d,%d", drawn, drawn), "--screenshot="+shot, page)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("chromium: %w: %s", err, out)
	}
	f, err := os.Open(shot)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		return nil, err
	}
	if m.Bounds().Dx() != drawn || m.Bounds().Dy() != drawn {
		return nil, errors.New("the drawing has another size than asked for")
	}
	out := image.NewRGBA(m.Bounds())
	draw.Draw(out, out.Bounds(), m, image.Point{}, draw.Src)
	return out, nil
}

// shrink averages squares of pixels, whose colours are premultiplied.
func shrink(m *image.RGBA, n int) *image.NRGBA {
	k := drawn / n
	out := image.NewNRGBA(image.Rect(0, 0, n, n))
	for y := range n {
		for x := range n {
			var sum [4]int
			for dy := range k {
				row := m.Pix[m.PixOffset(x*k, y*k+dy):]
				for i := range 4 * k {
					sum[i%4] += int(row[i])
				}
			}
			c := color.RGBA{uint8(sum[0] / (k * k)), uint8(sum[1] / (k * k)), uint8(sum[2] / (k * k)), uint8(sum[3] / (k * k))}
			out.Set(x, y, c)
		}
	}
	return out
}
