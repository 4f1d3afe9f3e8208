// Command catamaran-window is the native window: a web view on the gateway's
// page and nothing else. It is a child of the desktop, which tells it on stdin
// what to show; it ends with its stdin, so that a killed desktop leaves no
// window behind, and with exit code 0 when the person closes it. What it does
// not do: serve pages, hold secrets on disk, talk to a backend.
//
// It is a module of its own because web views need cgo on Linux and because
// their libraries end the whole process on an error: the desktop links neither.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/wailsapp/wails/v3/pkg/application"
	"github.com/wailsapp/wails/v3/pkg/events"

	"catamaran/internal/api"
)

const (
	// maxOrder bounds a line from the desktop, in bytes.
	maxOrder = 1 << 20
	// startWait bounds the wait for the first line.
	startWait = 30 * time.Second
	// settle is how long a moved window rests before its place is reported.
	settle = 400 * time.Millisecond
	// Sizes without a remembered place, and the least a window may have.
	usualWidth, usualHeight = 1280, 832
	leastWidth, leastHeight = 400, 360
)

func main() {
	orders := make(chan api.WindowOrder)
	go read(orders)
	var first api.WindowOrder
	select {
	case o, ok := <-orders:
		if !ok || o.Op != api.WindowStart || !loopback(o.URL) {
			os.Exit(alone())
		}
		first = o
	case <-time.After(startWait):
		fmt.Fprintln(os.Stderr, "catamaran-window: no order came")
		os.Exit(2)
	}
	w := newWindow(first)
	go w.obey(orders)
	if err := w.app.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "catamaran-window:", err)
		os.Exit(1)
	}
}

// alone is for a start by hand, or from a task bar to which the window was
// pinned: the desktop beside this program is what the person means.
func alone() int {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	name := "catamaran" + filepath.Ext(exe)
	for _, dir := range []string{filepath.Dir(exe), filepath.Join(filepath.Dir(exe), "..", "..", "bin")} {
		if err != nil {
			break
		}
		desktop := filepath.Join(dir, name)
		if _, statErr := os.Stat(desktop); statErr != nil {
			continue
		}
		null, openErr := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if openErr != nil {
			err = openErr
			break
		}
		p, startErr := os.StartProcess(desktop, []string{desktop}, &os.ProcAttr{Files: []*os.File{null, null, null}})
		if startErr != nil {
			err = startErr
			break
		}
		_ = p.Release()
		return 0
	}
	fmt.Fprintln(os.Stderr, "catamaran-window is started by catamaran, which tells it what to show. Run: catamaran", err)
	return 2
}

// read sends the orders and closes the channel at the end of stdin. A line that is no order is passed over.
func read(orders chan<- api.WindowOrder) {
	defer close(orders)
	s := bufio.NewScanner(os.Stdin)
	s.Buffer(make([]byte, 4096), maxOrder)
	for s.Scan() {
		var o api.WindowOrder
		if json.Unmarshal(s.Bytes(), &o) == nil {
			orders <- o
		}
	}
}

// loopback accepts only pages of this computer: the window has no address bar.
func loopback(url string) bool { return strings.HasPrefix(url, "http://127.0.0.1:") }

type window struct {
	app *application.App
	win *application.WebviewWindow

	mu    sync.Mutex
	timer *time.Timer
}

func newWindow(o api.WindowOrder) *window {
	w := &window{}
	w.app = application.New(application.Options{
		Name:                        "Catamaran",
		Icon:                        icon,
		DisableDefaultSignalHandler: true, // SIGTERM ends it; the desktop's order is the end of stdin
		// Nothing is served from here; the page is the gateway's.
		Assets: application.AssetOptions{Handler: http.NotFoundHandler(), DisableLogging: true},
		Linux:  application.LinuxOptions{ProgramName: "catamaran"},
		Windows: application.WindowsOptions{
			WebviewUserDataPath: o.Data,
		},
	})
	// What the page draws first (web/index.html), so that nothing flashes before it.
	background, frame := application.NewRGB(0xff, 0xff, 0xff), application.SystemDefault
	switch {
	case o.Theme == "dark":
		frame = application.Dark
	case o.Theme == "light":
		frame = application.Light
	}
	if o.Theme == "dark" || o.Theme != "light" && systemIsDark() {
		background = application.NewRGB(0x13, 0x15, 0x18)
	}
	options := application.WebviewWindowOptions{
		Title: "Catamaran", URL: o.URL,
		Width: usualWidth, Height: usualHeight, MinWidth: leastWidth, MinHeight: leastHeight,
		BackgroundColour: background,
		Linux:            application.LinuxWindow{Icon: icon, WebviewGpuPolicy: application.WebviewGpuPolicyOnDemand},
		Windows:          application.WindowsWindow{Theme: frame},
	}
	if p := o.Place; p != nil && p.Width >= leastWidth && p.Height >= leastHeight {
		options.Width, options.Height = p.Width, p.Height
		options.InitialPosition, options.X, options.Y = application.WindowXY, p.X, p.Y
		if p.Maximised {
			options.StartState = application.WindowStateMaximised
		}
	}
	w.win = w.app.Window.NewWithOptions(options)
	for _, e := range []events.WindowEventType{
		events.Common.WindowDidMove, events.Common.WindowDidResize, events.Common.WindowMaximise, events.Common.WindowUnMaximise,
	} {
		w.win.OnWindowEvent(e, func(*application.WindowEvent) { w.moved() })
	}
	w.app.Event.OnApplicationEvent(events.Common.ApplicationStarted, func(*application.ApplicationEvent) {
		w.keepOnScreen()
		report(api.WindowReport{Op: api.WindowReady})
	})
	return w
}

// keepOnScreen centres a window whose remembered place is on a display that is gone.
func (w *window) keepOnScreen() {
	application.InvokeAsync(func() {
		screens := w.app.Screen.GetAll()
		x, y := w.win.Position()
		width, _ := w.win.Size()
		for _, s := range screens {
			b := s.Bounds
			// Its title bar can be taken hold of.
			if x+width > b.X+80 && x < b.X+b.Width-80 && y >= b.Y-20 && y < b.Y+b.Height-40 {
				return
			}
		}
		if len(screens) > 0 {
			w.win.Center()
		}
	})
}

// obey carries out the desktop's orders until there are no more; then the program ends.
func (w *window) obey(orders <-chan api.WindowOrder) {
	for o := range orders {
		switch o.Op {
		case api.WindowFocus:
			application.InvokeAsync(func() {
				if w.win.IsMinimised() {
					w.win.UnMinimise()
				}
				w.win.Show()
				w.win.Focus()
			})
		case api.WindowShow:
			if loopback(o.URL) {
				w.win.SetURL(o.URL)
			}
		case api.WindowPick:
			go w.pick(o)
		case api.WindowSave:
			go w.save(o)
		}
	}
	// A web view that does not end must not outlive the desktop.
	time.AfterFunc(2*time.Second, func() { os.Exit(0) })
	w.app.Quit()
}

// pick asks for a folder. The dialog of the web view's library refuses a start
// folder that is not there, so the nearest one that is there is given instead.
func (w *window) pick(o api.WindowOrder) {
	d := w.app.Dialog.OpenFile().CanChooseDirectories(true).CanChooseFiles(false).CanCreateDirectories(true).
		SetTitle(o.Title).AttachToWindow(w.win)
	if dir := nearest(o.Dir); dir != "" {
		d.SetDirectory(dir)
	}
	path, err := d.PromptForSingleSelection()
	answer(o, path, err)
}

// save asks where to save a file; the desktop writes it.
func (w *window) save(o api.WindowOrder) {
	d := w.app.Dialog.SaveFileWithOptions(&application.SaveFileDialogOptions{
		Title: o.Title, Directory: nearest(o.Dir), Filename: o.Name, CanCreateDirectories: true, Window: w.win,
	})
	path, err := d.PromptForSingleSelection()
	answer(o, path, err)
}

func answer(o api.WindowOrder, path string, err error) {
	r := api.WindowReport{Op: api.WindowPicked, ID: o.ID, Path: path}
	// On Windows a cancelled dialog is an error of the library.
	if err != nil && !strings.Contains(strings.ToLower(err.Error()), "cancel") {
		r.Error = err.Error()
	}
	report(r)
}

// nearest is dir or the first folder above it that is there. A path into a
// distro is not looked at: that could start the distro.
func nearest(dir string) string {
	if dir == "" || strings.HasPrefix(dir, `\\`) {
		return dir
	}
	for {
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// moved reports the window's place once it rests.
func (w *window) moved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	w.timer = time.AfterFunc(settle, func() {
		application.InvokeAsync(func() {
			if w.win.IsMinimised() || w.win.IsFullscreen() {
				return
			}
			p := api.WindowPlace{Maximised: w.win.IsMaximised()}
			p.X, p.Y = w.win.Position()
			p.Width, p.Height = w.win.Size()
			report(api.WindowReport{Op: api.WindowMoved, Place: &p})
		})
	})
}

var reports sync.Mutex

// report writes one line to the desktop; a desktop that is gone is noticed on stdin.
func report(r api.WindowReport) {
	b, err := json.Marshal(r)
	if err != nil {
		return
	}
	reports.Lock()
	defer reports.Unlock()
	os.Stdout.Write(append(b, '\n'))
}

func init() { runtime.LockOSThread() } // GTK and Cocoa want the first thread
