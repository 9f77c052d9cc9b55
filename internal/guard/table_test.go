package guard

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTable compares a table with a list in order of use.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := rapid.IntRange(1, 8).Draw(t, "room")
		dropped := 0
		tab := newTable[int, int](room, func(*int) int { return 0 }, func(*int) { dropped++ })
		var order []int // newest first
		gone := 0
		touch := func(k int) {
			order = slices.DeleteFunc(order, func(o int) bool { return o == k })
			order = slices.Insert(order, 0, k)
			if len(order) > room {
				order = order[:room]
				gone++
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := rapid.IntRange(0, 12).Draw(t, "key")
				*tab.put(k) = 10 * k
				touch(k)
			},
			"use": func(t *rapid.T) {
				k := rapid.IntRange(0, 12).Draw(t, "key")
				v := tab.use(k)
				if (v != nil) != slices.Contains(order, k) {
					t.Fatalf("%d: %v", k, v)
				}
				if v != nil {
					touch(k)
				}
			},
			"remove": func(t *rapid.T) {
				k := rapid.IntRange(0, 12).Draw(t, "key")
				if slices.Contains(order, k) {
					gone++
				}
				tab.remove(k)
				order = slices.DeleteFunc(order, func(o int) bool { return o == k })
			},
			"": func(t *rapid.T) {
				var got []int
				tab.all(func(k int, v *int) bool {
					if *v != 10*k {
						t.Fatalf("%d holds %d", k, *v)
					}
					got = append(got, k)
					return true
				})
				if !slices.Equal(got, order) {
					t.Fatalf("holds %v, want %v", got, order)
				}
				if len(order) > 0 && tab.oldest() != order[len(order)-1] {
					t.Fatalf("the oldest is %d", tab.oldest())
				}
				if dropped != gone {
					t.Fatalf("%d were told to have gone, want %d", dropped, gone)
				}
			},
		})
	})
}

// TestTheWorthyStay: what matters is not pushed out by what does not.
func TestTheWorthyStay(t *testing.T) {
	tab := newTable[int, int](100, func(v *int) int { return *v }, func(*int) {})
	for k := range 50 {
		*tab.put(k) = 1
	}
	for k := 1000; k < 20_000; k++ {
		*tab.put(k) = 0
	}
	for k := range 50 {
		if tab.look(k) == nil {
			t.Fatalf("%d was pushed out", k)
		}
	}
}
