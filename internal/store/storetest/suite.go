package storetest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
)

// Test checks that a driver keeps the contract of package store. open gives an
// empty store of its own and sees to it that it is closed when t ends; closing
// it twice must be harmless. What needs a clock, a crash or a second node is
// the driver's own to test.
func Test(t *testing.T, open func(t *testing.T) store.Store) {
	groups := []struct {
		name  string
		cases []testCase
	}{
		{"log", logCases},
		{"pages", pageCases},
		{"summaries", summaryCases},
		{"bodies", bodyCases},
		{"directory", directoryCases},
		{"shelf", shelfCases},
		{"store", storeCases},
		{"concurrent", concurrentCases},
	}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
			}
		})
	}
}

type testCase struct {
	name string
	run  func(t *testing.T, s store.Store)
}

// must ends the test at an error nobody expects.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s gave %v, want %v", what, err, want)
	}
}

func wantKind(t testing.TB, what string, err error, want mail.Kind) {
	t.Helper()
	if err == nil || mail.KindOf(err) != want {
		t.Fatalf("%s gave %v, want an error of kind %q", what, err, want)
	}
}

func wantEqual[T any](t testing.TB, what string, got, want []T, equal func(a, b T) bool) {
	t.Helper()
	if !slices.EqualFunc(got, want, equal) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func same[T comparable](a, b T) bool { return a == b }

// collect lists an iteration up to its error.
func collect[T any](seq iter.Seq2[T, error]) (list []T, err error) {
	for v, err := range seq {
		if err != nil {
			return list, err
		}
		list = append(list, v)
	}
	return list, nil
}

// records lists what Since gives, with the data copied.
func records(ctx context.Context, a store.Account, after mail.ModSeq) (list []store.Record, err error) {
	for r, err := range a.Since(ctx, after) {
		if err != nil {
			return list, err
		}
		list = append(list, store.Record{Last: r.Last, Data: bytes.Clone(r.Data)})
	}
	return list, nil
}

func equalRecords(a, b store.Record) bool { return a.Last == b.Last && bytes.Equal(a.Data, b.Data) }

// append1 commits a record that holds one change and says nothing else.
func append1(t testing.TB, a store.Account, after mail.ModSeq, data string) {
	t.Helper()
	must(t, a.Commit(t.Context(), after, store.Entry{Last: after + 1, Record: []byte(data)}))
}

// put stores a body.
func put(t testing.TB, s store.Store, data []byte) mail.BodyRef {
	t.Helper()
	ref, size, err := s.Bodies().Put(t.Context(), bytes.NewReader(data))
	must(t, err)
	if size != int64(len(data)) {
		t.Fatalf("Put says %d octets, want %d", size, len(data))
	}
	return ref
}

// read reads a whole body.
func read(ctx context.Context, s store.Store, ref mail.BodyRef) ([]byte, error) {
	b, err := s.Bodies().Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	data := make([]byte, b.Size())
	n, err := b.ReadAt(data, 0)
	if n == len(data) {
		err = nil // ReadAt may say io.EOF with the last octet
	}
	return data[:n], errors.Join(err, b.Close())
}

// swept runs a sweep and says what it removed.
func swept(t testing.TB, s store.Store) store.Swept {
	t.Helper()
	sw, err := s.Bodies().Sweep(t.Context())
	must(t, err)
	return sw
}

// noise gives n octets that repeat nowhere soon and differ from seed to seed.
func noise(seed byte, n int) []byte {
	data := make([]byte, n)
	x := uint32(seed)*2654435761 + 12345
	for i := range data {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		data[i] = byte(x)
	}
	return data
}
