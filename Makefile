# Catamaran. `make help` lists the targets.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
# A fixed length: git's own choice depends on how much else a clone holds.
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
LDFLAGS  = -s -w -X catamaran/internal/build.Version=$(VERSION) -X catamaran/internal/build.Commit=$(COMMIT) $(UPDATES)
# A release looks for newer ones where UPDATE_URL says, signed with the key whose public half is UPDATE_KEY.
UPDATES  = $(if $(UPDATE_URL),-X catamaran/internal/build.UpdateURL=$(UPDATE_URL) -X catamaran/internal/build.UpdateKey=$(UPDATE_KEY))
# Version and commit are said above; Go's own stamp differs between a clone and a work tree.
BUILD    = $(GO) build -trimpath -buildvcs=false
GOBUILD  = CGO_ENABLED=0 $(BUILD) -ldflags "$(LDFLAGS)"
EXE      = $(shell $(GO) env GOEXE)

.DEFAULT_GOAL := help
.PHONY: help run run-wsl build carried web node_modules test test-agents bench heap chaos crash screenshots stories window test-window dist programs test-dist windows test-windows real-kit test-gits clean FORCE

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## build everything and run the app with a native backend
	./bin/catamaran$(EXE)

run-wsl: build ## the same with a simulated WSL of two distros (Linux)
	./bin/wslsim wslsim-init --if-missing --tool bin/demoagent out/wslsim
	WSLSIM_SCENARIO="$(CURDIR)/out/wslsim" CATAMARAN_WSL_EXE="$(CURDIR)/bin/wslsim" CATAMARAN_HOME="$(CURDIR)/out/wslsim-desktop" ./bin/catamaran

build: web carried ## bin/catamaran, bin/catamaran-backend, bin/wslsim, bin/demoagent and the carried Linux backends
	$(GOBUILD) -o bin/ ./cmd/...

carried:
	GOOS=linux GOARCH=amd64 $(GOBUILD) -o bin/carried/catamaran-backend-linux-amd64 ./cmd/catamaran-backend
	GOOS=linux GOARCH=arm64 $(GOBUILD) -o bin/carried/catamaran-backend-linux-arm64 ./cmd/catamaran-backend

web: web/dist/index.html ## the page, built into web/dist

WEB_SOURCES = $(shell find web/src web/index.html web/vite.config.ts web/package-lock.json -type f 2>/dev/null)

web/dist/index.html: $(WEB_SOURCES) web/node_modules/.package-lock.json
	cd web && npm run build

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund

test: web ## every test; installs what it needs and says what
	$(GO) run ./tools/check

DURATION ?= 30m
SEED     ?= 0

chaos: ## what hurts, at random (DURATION=30m SEED=n); fails on a violation and prints the seed
	$(GO) test ./test/chaos -run '^TestChaos$$' -count=1 -v -timeout 0 -duration $(DURATION) -seed $(SEED)

WINDOWS_ARCH ?= amd64 arm64
# Four numbers for the version resource, from the last tag; 0.0.0 without one.
NUMBER = $(or $(shell git describe --tags --match 'v[0-9]*' 2>/dev/null),0.0.0)

# A version for packages needs three numbers; a commit without a tag gets one.
DIST_VERSION ?= $(or $(patsubst v%,%,$(shell git describe --tags --exact-match --match 'v[0-9]*' 2>/dev/null)),0.1.0-dev.$(shell git rev-list --count HEAD))

dist: ## installers and packages for every system, into dist/ (on Linux); signed where CATAMARAN_SIGN_CERT and _KEY are set
	$(GO) run ./tools/debian -for "the packages" nsis osslsigncode wixl
	$(MAKE) web carried window windows programs VERSION=$(DIST_VERSION)
	$(GO) -C packaging/nfpm build -o ../../bin/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
	cd web && npx --no-install vite build --outDir ../out/page --emptyOutDir --config vite.licences.config.ts >/dev/null
	$(GO) run ./tools/dist -version $(DIST_VERSION)

# The desktop and backend of the systems that a cross-build gives, without the window.
programs:
	for target in linux-amd64 linux-arm64 darwin-amd64 darwin-arm64; do \
	  GOOS=$${target%-*} GOARCH=$${target#*-} $(GOBUILD) -o bin/dist/$$target/ ./cmd/catamaran ./cmd/catamaran-backend || exit 1; \
	done

test-dist: ## the packages: built twice and compared, signed, unpacked, installed, the Windows ones under Wine
	$(GO) run ./tools/debian -for "the packages' tests" libarchive-tools msitools
	$(MAKE) dist
	$(GO) run ./tools/wine install
	CATAMARAN_DIST_VERSION=$(DIST_VERSION) $(GO) run ./tools/check -only go -tags dist -packages ./test/dist

WINDOW_NEEDS = pkg-config libgtk-3-dev libwebkit2gtk-4.1-dev

# Not make run's: that works without, in a browser.
window: ## the native window of this system, bin/catamaran-window; installs GTK and WebKit from Debian
	$(GO) run ./tools/debian -for "the window" $(WINDOW_NEEDS)
	cd desktop && CGO_ENABLED=1 $(BUILD) -tags production,gtk3 -ldflags "-s -w" -o ../bin/catamaran-window$(EXE) .

test-window: build window ## the native window under a display of its own, and the page in WebKit
	$(GO) run ./tools/debian -for "the window's tests" webkit2gtk-driver xvfb xauth openbox dbus-x11 xdotool wmctrl imagemagick
	CATAMARAN_TEST_BIN="$(CURDIR)/bin" $(GO) run ./tools/check -only go -tags window -packages ./test/window

CRASHES ?= 2000

crash: ## kill -9 the backend at random points, CRASHES times; nothing that was answered may be lost
	CATAMARAN_CRASHES=$(CRASHES) $(GO) test ./internal/engine -run '^TestKilledAtAnyPoint$$' -count=1 -v -timeout 0

windows: web carried ## the Windows programs, amd64 and arm64, into bin/windows-*
	for p in catamaran catamaran-backend; do (cd cmd/$$p && $(GO) tool go-winres make --arch amd64,arm64 --file-version "$(NUMBER)" --product-version "$(NUMBER)") || exit 1; done
	cd cmd/catamaran-console && $(GO) tool go-winres make --in ../catamaran/winres/winres.json --arch amd64,arm64 --file-version "$(NUMBER)" --product-version "$(NUMBER)"
	for arch in $(WINDOWS_ARCH); do \
	  CGO_ENABLED=0 GOOS=windows GOARCH=$$arch $(BUILD) -ldflags "$(LDFLAGS) -H windowsgui" -o bin/windows-$$arch/ ./cmd/catamaran && \
	  GOOS=windows GOARCH=$$arch $(GOBUILD) -o bin/windows-$$arch/catamaran.com ./cmd/catamaran-console && \
	  GOOS=windows GOARCH=$$arch $(GOBUILD) -o bin/windows-$$arch/ ./cmd/catamaran-backend && \
	  GOOS=windows GOARCH=$$arch $(GOBUILD) -o bin/windows-$$arch-test/ ./cmd/wslsim ./cmd/demoagent || exit 1; \
	  mkdir -p bin/windows-$$arch/carried && cp bin/carried/catamaran-backend-linux-* bin/windows-$$arch/carried/ || exit 1; \
	done
	rm -f cmd/*/rsrc_windows_*.syso
	$(GO) tool go-winres make --in desktop/winres/winres.json --out desktop/rsrc --arch amd64,arm64 --file-version "$(NUMBER)" --product-version "$(NUMBER)"
	for arch in $(WINDOWS_ARCH); do \
	  (cd desktop && CGO_ENABLED=0 GOOS=windows GOARCH=$$arch $(BUILD) -tags production -ldflags "-s -w -H windowsgui" -o ../bin/windows-$$arch/catamaran-window.exe .) || exit 1; \
	done
	rm -f desktop/rsrc_windows_*.syso

test-windows: ## the Windows programs under Wine; installs Wine (root, Debian) into the user's cache and says so
	$(MAKE) windows WINDOWS_ARCH=amd64
	$(GO) run ./tools/wine install
	$(GO) run ./tools/check -only go -tags wine -packages ./test/windows/...

real-kit: windows ## a folder to run on a real Windows with WSL, without Go: out/real-kit
	rm -rf out/real-kit && mkdir -p out/real-kit
	for arch in amd64 arm64; do \
	  CGO_ENABLED=0 GOOS=windows GOARCH=$$arch $(GO) test -c -trimpath -tags realwsl -o out/real-kit/real-$$arch.exe ./test/real && \
	  GOOS=linux GOARCH=$$arch $(GOBUILD) -o out/real-kit/peer-linux-$$arch ./test/real/peer && \
	  cp -r bin/windows-$$arch out/real-kit/catamaran-$$arch || exit 1; \
	done
	cp test/real/Run-Real.ps1 docs/windows-checklist.md out/real-kit/

HEAP_DURATION ?= 1h

heap: build ## the page's memory while three threads stream for HEAP_DURATION=1h: its heap at intervals, and what grew
	CGO_ENABLED=0 $(GO) build -o bin/bench ./bench
	./bin/bench -only '^heap$$' -duration $(HEAP_DURATION)

test-gits: ## what calls git, with the Git of Debian 13; that of Debian 11 is refused (unpacks both into the user's cache; root)
	$(GO) run ./tools/gits

clean: ## remove what was built
	rm -rf bin out dist web/node_modules bench/out
	find web/dist -mindepth 1 ! -name .keep -delete

bench: build ## side-by-side benchmarks: one table, and JSON in bench/out/
	$(GO) run ./tools/agents install
	$(GO) run ./tools/ttyd
	CGO_ENABLED=0 $(GO) build -o bin/bench ./bench
	./bin/bench

stories: web/node_modules/.package-lock.json ## every component and state of the page, in a browser
	cd web && npm run stories

screenshots: web ## pictures of the main states, light and dark, wide and narrow, into out/screenshots
	mkdir -p out/screenshots
	CATAMARAN_SCREENSHOTS="$(CURDIR)/out/screenshots" $(GO) test -count=1 ./test/browser

test-agents: web ## the drivers and a first run against real agents from npm and a model on loopback
	$(GO) run ./tools/agents install
	rm -rf out/agents
	CATAMARAN_AGENTS_REPORT=$(CURDIR)/out/agents $(GO) run ./tools/check -only go -tags realagents -packages "./internal/agent/... ./test/firstrun"
	$(GO) run ./tools/agents table out/agents
