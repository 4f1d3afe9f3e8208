package api

import "encoding/json"

// Settings are what a person chose in the app: values by name, whose meaning is
// the page's, and key bindings.
type Settings struct {
	Values map[string]json.RawMessage `json:"values"`
	// Keys are the person's own rows in the file's order, without those in Problems.
	Keys []KeyBinding `json:"keys"`
	// Path and KeysPath are the files, which may be edited by hand.
	Path     string `json:"path"`
	KeysPath string `json:"keysPath"`
	// Problems are parts of the files that are not used; they are kept.
	Problems []SettingsProblem `json:"problems,omitempty"`
}

// KeyBinding is a row of the key binding file.
type KeyBinding struct {
	Key string `json:"key"`
	// Command is a command's id; with "-" before it the key is taken away from it.
	Command string `json:"command"`
	When    string `json:"when,omitempty"`
}

// SettingsProblem is a part of a file that cannot be used.
type SettingsProblem struct {
	// File is the file's name, Line the line it begins on, from 1; 0 is the whole file.
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
}

// SettingsChange changes some values (null removes one) and, when given, replaces the key bindings.
type SettingsChange struct {
	Values map[string]json.RawMessage `json:"values,omitempty"`
	Keys   *[]KeyBinding              `json:"keys,omitempty"`
}

// Methods of a door for what a person chose.
const (
	MethodSettingsGet = "settings.get" // Empty -> Settings; reads the files anew
	MethodSettingsSet = "settings.set" // SettingsChange -> Settings
)
