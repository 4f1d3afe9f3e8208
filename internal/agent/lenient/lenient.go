// Package lenient reads JSON that agents write: what is there is used, anything
// missing, mistyped or out of range counts as absent, and nothing is an error.
// Drivers use it, because strict decoding makes an agent unusable after its next
// update. It knows no protocol.
package lenient

import "encoding/json"

// Fields are the members of an object; nil for anything else.
func Fields(raw json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	return m
}

// List are the elements of an array; nil for anything else.
func List(raw json.RawMessage) []json.RawMessage {
	var l []json.RawMessage
	if json.Unmarshal(raw, &l) != nil {
		return nil
	}
	return l
}

// Text is a string; "" for anything else.
func Text(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Number is a number cut to a whole one; 0 for anything else.
func Number(raw json.RawMessage) int {
	n, ok := Whole(raw)
	if !ok {
		return 0
	}
	return n
}

// Whole is a number cut to a whole one, and whether there was one within ±1e15.
func Whole(raw json.RawMessage) (int, bool) {
	var f *float64
	if len(raw) == 0 || json.Unmarshal(raw, &f) != nil || f == nil || *f != *f || *f > 1e15 || *f < -1e15 {
		return 0, false
	}
	return int(*f), true
}

// True reports whether raw is the value true.
func True(raw json.RawMessage) bool {
	var b bool
	return json.Unmarshal(raw, &b) == nil && b
}

// Or is s, or otherwise where s is empty.
func Or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
