package main

import (
	"slices"
	"testing"
)

// What go test -list says of three packages, one without fuzz targets.
func TestFuzzTargets(t *testing.T) {
	const said = "FuzzHeader\nFuzzDate\nok  \tpostern/internal/message\t0.004s\n" +
		"ok  \tpostern/internal/mail\t0.003s\n?   \tpostern/internal/x\t[no test files]\n" +
		"FuzzCommand\nok  \tpostern/internal/imapwire\t0.01s\n"
	want := []target{
		{"postern/internal/message", "FuzzHeader"}, {"postern/internal/message", "FuzzDate"},
		{"postern/internal/imapwire", "FuzzCommand"},
	}
	if got := fuzzTargets(said); !slices.Equal(got, want) {
		t.Errorf("the targets are %v, want %v", got, want)
	}
}
