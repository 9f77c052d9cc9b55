package deflate

import (
	"bytes"
	"compress/flate"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// inflate decodes a stream that comes in pieces of so many octets, to a room of so
// many, and gives what came out.
func inflate(f *Inflater, stream []byte, piece, room int) ([]byte, error) {
	var out []byte
	dst := make([]byte, room)
	for {
		n := min(piece, len(stream))
		for src := stream[:n]; ; {
			wrote, read, err := f.Inflate(dst, src)
			out, src = append(out, dst[:wrote]...), src[read:]
			if err != nil {
				return out, err
			}
			if wrote < len(dst) && read == 0 && len(src) == 0 {
				break
			}
		}
		if stream = stream[n:]; len(stream) == 0 {
			return out, nil
		}
	}
}

// deflated makes a stream with Go's own compressor, flushed after every part.
func deflated(t testing.TB, level int, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if _, err := w.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func texts() []string {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 100_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	words := new(strings.Builder)
	for range 30_000 {
		words.WriteString([]string{"FETCH ", "(FLAGS ", "UID ", "\r\n", "BODY[", "] ", "x"}[r.IntN(7)])
		words.WriteByte(byte('a' + r.IntN(26)))
	}
	return []string{"", "a", "a1 NOOP\r\n", strings.Repeat("x", 100_000), words.String(), string(noise), words.String()[:70_000] + string(noise[:70_000])}
}

func TestInflate(t *testing.T) {
	levels := []int{-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
	if testing.Short() { // Huffman codes alone, stored, and what looks little and hard for repeats
		levels = []int{-2, 0, 1, 9}
	}
	for _, text := range texts() {
		for _, level := range levels {
			stream := deflated(t, level, text[:len(text)/3], text[len(text)/3:])
			for _, piece := range []int{1, 7, 512, 1 << 20} {
				for _, room := range []int{1, 100, 4096} {
					var f Inflater
					got, err := inflate(&f, stream, piece, room)
					if err != nil || string(got) != text {
						t.Fatalf("level %d, pieces of %d, room of %d: %d of %d octets, %v", level, piece, room, len(got), len(text), err)
					}
					if f.own != nil || cap(f.window) > windowSize || cap(f.window) > max(2*len(text), 256) {
						t.Errorf("tables are held behind a flush, or %d octets of window", cap(f.window))
					}
				}
			}
		}
	}
}

// TestPartialFlush reads what zlib 1.2.13 wrote for three commands with each of its
// flushes; every command has to come out before the next one comes in. Made with
//
//	z = zlib.compressobj(6, zlib.DEFLATED, -15)
//	[(z.compress(c) + z.flush(f)).hex() for c in commands]
func TestPartialFlush(t *testing.T) {
	commands := []string{"a1 NOOP\r\n", "a2 UID FETCH 1:* (FLAGS)\r\n", "a3 NOOP\r\n"}
	for flush, pieces := range zlibFlushes {
		var f Inflater
		for i, piece := range pieces {
			octets, err := hex.DecodeString(piece)
			if err != nil {
				t.Fatal(err)
			}
			got, err := inflate(&f, octets, 1, 100)
			if err != nil || string(got) != commands[i] {
				t.Errorf("%s: %q, %v, want %q", flush, got, err, commands[i])
			}
			if f.own != nil {
				t.Errorf("%s: tables are held", flush)
			}
		}
	}
	// What this package is for: Go's own reader gives nothing out before more comes.
	first, _ := hex.DecodeString(zlibFlushes["Z_PARTIAL_FLUSH"][0])
	n, err := flate.NewReader(io.MultiReader(bytes.NewReader(first), iotest.ErrReader(errMore))).Read(make([]byte, 100))
	if n > 0 {
		t.Logf("Go's reader has learnt it: %d, %v", n, err)
	}
}

// TestEnd reads the end of a stream, which a client may send with its LOGOUT.
func TestEnd(t *testing.T) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 5)
	_, _ = w.Write([]byte("a1 LOGOUT\r\n"))
	_ = w.Close()
	b.WriteString("more")
	var f Inflater
	got, err := inflate(&f, b.Bytes(), 1, 3)
	if !errors.Is(err, io.EOF) || string(got) != "a1 LOGOUT\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	if n, _, err := f.Inflate(make([]byte, 10), []byte("x")); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d, %v", n, err)
	}
}

// TestRest finds what is no part of the stream any more, behind a sync flush and
// behind the end.
func TestRest(t *testing.T) {
	var ended bytes.Buffer
	w, _ := flate.NewWriter(&ended, 5)
	_, _ = w.Write([]byte("a1 LOGOUT\r\n"))
	_ = w.Close()
	for name, stream := range map[string][]byte{"a flush": Append(nil, []byte("a1 LOGOUT\r\n")), "the end": ended.Bytes()} {
		for _, piece := range []int{1, 5, 1000} {
			var f Inflater
			var out []byte
			behind := append(bytes.Clone(stream), "b1 NOOP\r\n"...)
			dst := make([]byte, 100)
			for !f.Flushed() {
				n, read, err := f.Inflate(dst, behind[:min(piece, len(behind))])
				if err != nil && err != io.EOF {
					t.Fatal(err)
				}
				out, behind = append(out, dst[:n]...), behind[read:]
			}
			if rest := string(f.Rest()) + string(behind); string(out) != "a1 LOGOUT\r\n" || rest != "b1 NOOP\r\n" {
				t.Errorf("%s, pieces of %d: %q, then %q", name, piece, out, rest)
			}
		}
	}
}

func TestCorrupt(t *testing.T) {
	for name, stream := range map[string]string{
		"a block of type 3":                 "07",
		"a stored length that is not one":   "000100ffff",
		"a distance before the beginning":   "4b0402", // as zlib writes "aa..." without its first literal
		"more literals than there are":      "fdffffffffff",
		"a code for lengths that overflows": "05c0ffffffffffff",
	} {
		octets, err := hex.DecodeString(stream)
		if err != nil {
			t.Fatal(err)
		}
		var f Inflater
		out, err := inflate(&f, octets, 1, 100)
		_, wantErr := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(octets), iotest.ErrReader(errMore))))
		if (err != nil) != (wantErr != errMore) {
			t.Errorf("%s: %q, %v; Go says %v", name, out, err, wantErr)
		}
		if err == nil {
			continue
		}
		if _, _, again := f.Inflate(make([]byte, 10), []byte("x")); !errors.Is(err, ErrCorrupt) || !errors.Is(again, ErrCorrupt) {
			t.Errorf("%s: %v, then %v", name, err, again)
		}
	}
}

// errMore is what a reader says where more may come.
var errMore = errors.New("more to come")

// FuzzInflate compares with Go's reader, which is given all there is: what comes
// out and whether it is in the format.
func FuzzInflate(f *testing.F) {
	for _, text := range []string{"", "a1 NOOP\r\n", strings.Repeat("a1 UID FETCH 1:* (FLAGS)\r\n", 50)} {
		for _, level := range []int{-2, 0, 1, 9} {
			f.Add(deflated(f, level, text, text), uint8(1), uint8(10))
		}
	}
	f.Add([]byte{0x4b, 4, 2}, uint8(1), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, piece, room uint8) {
		if len(stream) > 1<<14 {
			return
		}
		var mine Inflater
		got, err := inflate(&mine, stream, int(piece)+1, int(room)+1)
		// An empty stored block at the end makes Go's reader give out all it has.
		want, wantErr := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(stream), iotest.ErrReader(errMore))))
		switch {
		case errors.Is(err, io.EOF):
			if wantErr != nil || !bytes.Equal(got, want) {
				t.Errorf("%q and the end; Go says %q, %v", got, want, wantErr)
			}
		case err == nil:
			if wantErr != errMore || !bytes.HasPrefix(got, want) {
				t.Errorf("%q and no end; Go says %q, %v", got, want, wantErr)
			}
		default:
			// Go's reader takes a code without an end of block; zlib takes none.
			if wantErr == nil || !bytes.HasPrefix(got, want) && !bytes.HasPrefix(want, got) {
				t.Errorf("%q and %v; Go says %q, %v", got, err, want, wantErr)
			}
		}
	})
}

// FuzzRoundTrip compresses anything, by ours and by Go's compressor, and reads it.
func FuzzRoundTrip(f *testing.F) {
	for _, text := range texts()[:4] {
		f.Add([]byte(text), int8(6), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, level int8, piece uint8) {
		half := text[:len(text)/2]
		stream := Append(nil, half)
		stream = append(stream, deflated(t, max(int(level)%10, -2), string(text[len(half):]))...)
		var in Inflater
		got, err := inflate(&in, stream, int(piece)+1, 100)
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	})
}

func TestAppend(t *testing.T) {
	var f Inflater
	var stream, all []byte
	for _, text := range texts() {
		for piece := []byte(text); len(piece) > 0; {
			n := min(len(piece), 16<<10)
			stream = Append(stream, piece[:n])
			piece = piece[n:]
		}
		all = append(all, text...)
		got, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(stream), iotest.ErrReader(errMore))))
		if err != errMore || !bytes.Equal(got, all) {
			t.Fatalf("Go reads %d of %d octets, %v", len(got), len(all), err)
		}
	}
	if got, err := inflate(&f, stream, 1000, 1000); err != nil || !bytes.Equal(got, all) {
		t.Errorf("%d of %d octets, %v", len(got), len(all), err)
	}
}

func BenchmarkInflate(b *testing.B) {
	for i, name := range []string{4: "words", 5: "noise"} {
		if name == "" {
			continue
		}
		b.Run(name, func(b *testing.B) {
			text := texts()[i]
			stream := deflated(b, 6, text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			dst := make([]byte, 4096)
			for b.Loop() {
				var f Inflater
				for src := stream; ; {
					n, read, err := f.Inflate(dst, src)
					if src = src[read:]; err != nil {
						b.Fatal(err)
					}
					if n == 0 && read == 0 && len(src) == 0 {
						break
					}
				}
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	responses := new(strings.Builder)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 100 {
		responses.WriteString("* " + strings.Repeat("1", i%4+1) + " FETCH (UID " + strings.Repeat("2", i%5+1) +
			" FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286 ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"message ")
		for range 20 {
			responses.WriteByte(byte('a' + r.IntN(26)))
		}
		responses.WriteString("\" ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) NIL NIL NIL NIL NIL NIL \"<B27397-0100000@cac.washington.edu>\"))\r\n")
	}
	piece := []byte(responses.String())[:16<<10]
	b.SetBytes(int64(len(piece)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = Append(dst[:0], piece)
	}
	b.ReportMetric(float64(len(dst))/float64(len(piece))*100, "%size")
}
