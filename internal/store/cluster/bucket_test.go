package cluster

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"postern/internal/mail"
	"postern/internal/store"
	"postern/internal/store/storetest"
	"postern/test/peer"
)

// inBucketOf are options for a store whose bodies are in a bucket.
func inBucketOf(t testing.TB, s3 *peer.S3, transport http.RoundTripper) Options {
	t.Helper()
	o := small(t)
	// Each store has a prefix of its own, so that its objects can be counted.
	o.Bucket = &Bucket{Endpoint: s3.Address, Plain: true, Region: "us-east-1", Name: s3.Bucket, Credentials: s3.Credentials,
		Prefix: filepath.Base(t.Name()) + "-" + mail.BodyRef(randomName()).String()[:8] + "/", Transport: transport}
	return o
}

func TestContractInBucket(t *testing.T) {
	postgres(t) // without it there is no test, and nothing to build an S3 server for
	s3 := peer.NewS3(t)
	storetest.Test(t, func(t *testing.T) store.Store { return openStore(t, inBucketOf(t, s3, nil)) })
}

// objects gives the files that are the objects of a store.
func objects(t testing.TB, s3 *peer.S3, o Options) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s3.Dir, o.Bucket.Prefix), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	must(t, err)
	return files
}

func put(t testing.TB, s *Store, data []byte) mail.BodyRef {
	t.Helper()
	ref, _, err := s.Bodies().Put(t.Context(), bytes.NewReader(data))
	must(t, err)
	return ref
}

func readAll(t testing.TB, s *Store, ref mail.BodyRef) ([]byte, error) {
	t.Helper()
	b, err := s.Bodies().Open(t.Context(), ref)
	must(t, err)
	data, err := io.ReadAll(io.NewSectionReader(b, 0, b.Size()))
	return data, errors.Join(err, b.Close())
}

// TestObjects looks at what is in the bucket: the octets as they came, gone after a
// sweep; other octets, or none, are damage that is named.
func TestObjects(t *testing.T) {
	postgres(t) // without it there is no test, and nothing to build an S3 server for
	s3 := peer.NewS3(t)
	o := inBucketOf(t, s3, nil)
	o.Cache = -1
	s := openStore(t, o)
	data := bytes.Repeat([]byte("as it came\r\n"), 20000)
	ref := put(t, s, data)
	files := objects(t, s3, o)
	if len(files) != 1 {
		t.Fatalf("%d objects after one Put", len(files))
	}
	if got, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(got, data) {
		t.Errorf("the object is not the body: %d octets, %v", len(got), err)
	}
	if got, err := readAll(t, s, ref); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d octets came back, %v", len(got), err)
	}
	damaged := bytes.Clone(data)
	damaged[100_000] ^= 1
	must(t, os.WriteFile(files[0], damaged, 0o644))
	if got, err := readAll(t, s, ref); mail.KindOf(err) != mail.Corrupt || len(got) > 100_000 {
		t.Errorf("a damaged object gave %d octets and %v", len(got), err)
	}
	must(t, os.Remove(files[0]))
	if _, err := readAll(t, s, ref); mail.KindOf(err) != mail.Corrupt {
		t.Errorf("a missing object gave %v", err)
	}
	other := put(t, s, data[:1000])
	s.Bodies().Abandon(t.Context(), other)
	s.Bodies().Abandon(t.Context(), ref)
	swept, err := s.Bodies().Sweep(t.Context())
	must(t, err)
	if swept.Bodies != 2 || len(objects(t, s3, o)) != 0 {
		t.Errorf("swept %+v, %d objects are left", swept, len(objects(t, s3, o)))
	}
}

// failing answers some requests as a bucket in trouble does.
type failing struct {
	http.RoundTripper
	next atomic.Int32 // so many requests fail
}

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.next.Add(-1) < 0 {
		return f.RoundTripper.RoundTrip(r)
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
	return &http.Response{Status: "500 Internal Server Error", StatusCode: 500, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/xml"}}, Body: io.NopCloser(bytes.NewReader([]byte("<Error><Code>InternalError</Code></Error>")))}, nil
}

// TestBucketInTrouble has the bucket answer 500 for a while, then for too long, and
// then stop: what passes is not noticed, what does not is mail.Unavailable, nothing is
// left that a sweep does not find, and the store goes on when the bucket does.
func TestBucketInTrouble(t *testing.T) {
	postgres(t) // without it there is no test, and nothing to build an S3 server for
	s3 := peer.NewS3(t)
	trouble := &failing{RoundTripper: http.DefaultTransport.(*http.Transport).Clone()}
	o := inBucketOf(t, s3, trouble)
	o.Cache = -1
	s := openStore(t, o)
	data := bytes.Repeat([]byte("x"), 70_000)
	trouble.next.Store(2)
	ref := put(t, s, data)
	trouble.next.Store(2)
	if got, err := readAll(t, s, ref); err != nil || !bytes.Equal(got, data) {
		t.Errorf("a bucket that stumbled gave %d octets, %v", len(got), err)
	}
	trouble.next.Store(1000)
	if _, _, err := s.Bodies().Put(t.Context(), bytes.NewReader(data)); mail.KindOf(err) != mail.Unavailable {
		t.Errorf("Put into a failing bucket gave %v", err)
	}
	if _, err := readAll(t, s, ref); mail.KindOf(err) != mail.Unavailable {
		t.Errorf("reading from a failing bucket gave %v", err)
	}
	trouble.next.Store(0)
	s3.Stop()
	if _, _, err := s.Bodies().Put(t.Context(), bytes.NewReader(data)); mail.KindOf(err) != mail.Unavailable {
		t.Errorf("Put into no bucket gave %v", err)
	}
	must(t, s3.Start())
	if got, err := readAll(t, s, ref); err != nil || !bytes.Equal(got, data) {
		t.Errorf("afterwards %d octets came back, %v", len(got), err)
	}
	must(t, s.Account(1).Commit(t.Context(), 0, store.Entry{Last: 1, Take: []mail.BodyRef{ref}}))
	for other, err := range s.Bodies().All(t.Context()) {
		must(t, err)
		s.Bodies().Abandon(t.Context(), other)
	}
	if swept, err := s.Bodies().Sweep(t.Context()); err != nil || swept.Bodies != 2 {
		t.Errorf("swept %+v, %v; want the two that were refused", swept, err)
	}
	if n := len(objects(t, s3, o)); n != 1 {
		t.Errorf("%d objects are left, want the one that is taken", n)
	}
}
