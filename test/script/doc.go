// Package script tells whole-product stories: real binaries, a real state
// folder, a page that is a small Go client, and a simulated WSL. Each .txtar in
// testdata is one story; its commands are in story_test.go (desktop, kill9,
// gone ...) and page_test.go (page). It is a test only; nothing imports it.
package script
