package main

import "testing"

func TestShapeOf(t *testing.T) {
	t.Parallel()
	const text = `{"snapshot":{"meta":{"node_fields":["type","name","id","self_size"],"node_types":[["string","object","hidden"],"string","number","number"]}},
		"nodes":[0,0,1,100, 1,1,2,8000, 1,1,3,16, 2,0,4,9],"strings":["a","Row"]}`
	s, err := shapeOf([]byte(text))
	if err != nil || s["object Row"].count != 2 || s["object Row"].bytes != 8016 || s["string"].bytes != 100 || s["hidden"].count != 1 {
		t.Fatalf("%v, %v", s, err)
	}
	if got := grown(shape{"string": s["string"]}, s, 5); got != "object Row +2 (+8 KiB)" {
		t.Errorf("grown: %q", got)
	}
	if _, err := shapeOf([]byte(`{"nodes":[1]}`)); err == nil {
		t.Error("a snapshot of another shape is taken")
	}
}
