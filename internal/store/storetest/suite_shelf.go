package storetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/mail"
	"postern/internal/store"
)

var shelfCases = []testCase{
	{"put, get, delete", testShelfPut},
	{"compare and set", testShelfCompare},
	{"versions are never used again", testShelfVersions},
	{"expiry", testShelfExpiry},
	{"list", testShelfList},
	{"limits", testShelfLimits},
}

func shelve(t testing.TB, s store.Shelf, key, data string) uint64 {
	t.Helper()
	v, err := s.Put(t.Context(), key, []byte(data), store.AnyVersion, time.Time{})
	must(t, err)
	return v
}

func testShelfPut(t *testing.T, st store.Store) {
	s, ctx := st.Shelf(), t.Context()
	_, err := s.Get(ctx, "k")
	wantKind(t, "Get of nothing", err, mail.NotFound)
	data := []byte("value")
	v1, err := s.Put(ctx, "k", data, 0, time.Time{})
	must(t, err)
	copy(data, "XXXXX")
	got, err := s.Get(ctx, "k")
	must(t, err)
	if got.Key != "k" || string(got.Data) != "value" || got.Version != v1 || v1 == 0 || !got.Expires.IsZero() {
		t.Errorf("got %+v, version %d", got, v1)
	}
	must(t, s.Delete(ctx, "k", v1))
	_, err = s.Get(ctx, "k")
	wantKind(t, "Get of a deleted value", err, mail.NotFound)
	must(t, s.Delete(ctx, "k", v1))
	must(t, s.Delete(ctx, "never", store.AnyVersion))
	shelve(t, s, "empty", "")
	got, err = s.Get(ctx, "empty")
	must(t, err)
	if len(got.Data) != 0 {
		t.Errorf("an empty value is %q", got.Data)
	}
}

func testShelfCompare(t *testing.T, st store.Store) {
	s, ctx := st.Shelf(), t.Context()
	_, err := s.Put(ctx, "k", nil, 77, time.Time{})
	wantErr(t, "Put expecting a value where there is none", err, store.ErrStale)
	v1 := shelve(t, s, "k", "one")
	_, err = s.Put(ctx, "k", []byte("two"), 0, time.Time{})
	wantErr(t, "Put expecting none", err, store.ErrStale)
	_, err = s.Put(ctx, "k", []byte("two"), v1+1, time.Time{})
	wantErr(t, "Put expecting another version", err, store.ErrStale)
	v2, err := s.Put(ctx, "k", []byte("two"), v1, time.Time{})
	must(t, err)
	wantErr(t, "Delete of an old version", s.Delete(ctx, "k", v1), store.ErrStale)
	got, err := s.Get(ctx, "k")
	must(t, err)
	if string(got.Data) != "two" || got.Version != v2 {
		t.Errorf("got %+v, want version %d", got, v2)
	}
	must(t, s.Delete(ctx, "k", store.AnyVersion))
}

func testShelfVersions(t *testing.T, st store.Store) {
	s, ctx := st.Shelf(), t.Context()
	seen := map[uint64]bool{}
	for i := range 20 {
		v := shelve(t, s, "k", fmt.Sprint(i))
		if v == 0 || v == store.AnyVersion || seen[v] {
			t.Fatalf("version %d was used before", v)
		}
		seen[v] = true
		if i%3 == 0 {
			must(t, s.Delete(ctx, "k", v))
		}
	}
}

func testShelfExpiry(t *testing.T, st store.Store) {
	s, ctx := st.Shelf(), t.Context()
	now := time.Now()
	put := func(key string, expect uint64, expires time.Time) uint64 {
		t.Helper()
		v, err := s.Put(ctx, key, []byte(key), expect, expires)
		must(t, err)
		return v
	}
	gone := put("gone", 0, now.Add(-time.Minute))
	put("stays", 0, now.Add(time.Hour))
	_, err := s.Get(ctx, "gone")
	wantKind(t, "Get of an expired value", err, mail.NotFound)
	got, err := s.Get(ctx, "stays")
	must(t, err)
	if !got.Expires.Equal(now.Add(time.Hour).Truncate(time.Microsecond)) {
		t.Errorf("expires %v, want %v", got.Expires, now.Add(time.Hour))
	}
	list, err := collect(s.List(ctx, ""))
	must(t, err)
	if len(list) != 1 || list[0].Key != "stays" {
		t.Errorf("listed %v", list)
	}
	_, err = s.Put(ctx, "gone", nil, gone, time.Time{})
	wantErr(t, "Put over the expired version", err, store.ErrStale)
	must(t, s.Delete(ctx, "gone", 12345)) // deleted already
	again := put("gone", 0, now.Add(time.Hour))
	if again == gone {
		t.Error("a version came twice")
	}
	if _, err = s.Get(ctx, "gone"); err != nil {
		t.Error(err)
	}
	put("gone", again, time.Time{}) // expires no more
	got, err = s.Get(ctx, "gone")
	must(t, err)
	if !got.Expires.IsZero() {
		t.Errorf("expires %v", got.Expires)
	}
}

func testShelfList(t *testing.T, st store.Store) {
	s, ctx := st.Shelf(), t.Context()
	for _, key := range []string{"b/2", "a/1", "b/1", "b", "b0", "b/\xff", "b/\xff\xff", "c", "\xff\xff", "b/1/x"} {
		shelve(t, s, key, "value of "+key)
	}
	cases := map[string][]string{
		"b/":   {"b/1", "b/1/x", "b/2", "b/\xff", "b/\xff\xff"},
		"":     {"a/1", "b", "b/1", "b/1/x", "b/2", "b/\xff", "b/\xff\xff", "b0", "c", "\xff\xff"},
		"\xff": {"\xff\xff"},
		"d":    nil,
	}
	for prefix, want := range cases {
		var got []string
		for v, err := range s.List(ctx, prefix) {
			must(t, err)
			if string(v.Data) != "value of "+v.Key || v.Version == 0 {
				t.Errorf("listed %+v", v)
			}
			got = append(got, v.Key)
		}
		wantEqual(t, fmt.Sprintf("keys with %q", prefix), got, want, same)
	}
}

func testShelfLimits(t *testing.T, st store.Store) {
	s, ctx := st.Shelf(), t.Context()
	key, data := strings.Repeat("k", 1024), noise(1, 1<<20)
	_, err := s.Put(ctx, key, data, 0, time.Time{})
	must(t, err)
	got, err := s.Get(ctx, key)
	must(t, err)
	if !bytes.Equal(got.Data, data) {
		t.Error("the largest value did not come back")
	}
	for _, k := range []string{"", key + "k"} {
		_, err = s.Put(ctx, k, nil, 0, time.Time{})
		wantKind(t, "Put", err, mail.Invalid)
	}
	_, err = s.Put(ctx, "k", append(data, 0), 0, time.Time{})
	wantKind(t, "Put", err, mail.Limit)
}
