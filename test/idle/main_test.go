package main

import "testing"

// TestMeasurement runs the measurement with few connections, so that it still
// works on the day somebody wants its figure.
func TestMeasurement(t *testing.T) {
	if err := run(3, 2, 0, ""); err != nil {
		t.Fatal(err)
	}
}
