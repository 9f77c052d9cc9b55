package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"postern/internal/mail"
)

// Bucket is an S3 bucket for bodies: each is one object, its octets as they came.
type Bucket struct {
	Endpoint string // host, or host:port
	Plain    bool   // without TLS: for tests and a gateway on the same machine
	Region   string // empty: what the server says
	Name     string
	Prefix   string // before the objects' names; empty or ending in "/"

	// Credentials is a file as ~/.aws/credentials is, of which Profile is read.
	// Empty: what the machine's role gives.
	Credentials string
	Profile     string // default: "default"

	// Transport, if not nil, is what requests go by: for tests.
	Transport http.RoundTripper
}

// open connects and sees that the bucket is there.
func (b *Bucket) open(ctx context.Context) (*bucketPlace, error) {
	creds := credentials.NewIAM("")
	if b.Credentials != "" {
		creds = credentials.NewFileAWSCredentials(b.Credentials, b.Profile)
		if _, err := creds.GetWithContext(nil); err != nil {
			return nil, fmt.Errorf("the credentials of the bucket in %s: %w", b.Credentials, err)
		}
	}
	client, err := minio.New(b.Endpoint, &minio.Options{
		Creds: creds, Secure: !b.Plain, Region: b.Region, Transport: b.Transport,
		MaxRetries: 1, // tries are the store's affair, which knows for how long
	})
	if err != nil {
		return nil, fmt.Errorf("the S3 server %s: %w", b.Endpoint, err)
	}
	there, err := client.BucketExists(ctx, b.Name)
	if err != nil {
		return nil, fmt.Errorf("look for bucket %s at %s: %w", b.Name, b.Endpoint, err)
	}
	if !there {
		return nil, fmt.Errorf("there is no bucket %s at %s: make it, or see whether the credentials may see it", b.Name, b.Endpoint)
	}
	return &bucketPlace{client: client, bucket: b.Name, prefix: b.Prefix}, nil
}

// bucketPlace keeps octets in a bucket.
type bucketPlace struct {
	s      *Store
	client *minio.Client
	bucket string
	prefix string
}

// object names a body's object. Names ascend with time, and the last digits, which
// are chance, come first: a bucket spreads its load by the beginning of names.
func (b *bucketPlace) object(ref mail.BodyRef) string {
	name := ref.String()
	return b.prefix + name[len(name)-2:] + "/" + name
}

func (b *bucketPlace) put(ctx context.Context, in incoming) error {
	err := b.s.ask(ctx, func(ctx context.Context) error {
		_, err := b.s.db.Exec(ctx, entry, b.s.entryArgs(in, inBucket)...)
		return err
	})
	if err != nil {
		return err
	}
	return b.s.askFor(ctx, b.s.patienceFor(in.size), func(ctx context.Context) error {
		r := io.NewSectionReader(in.data, 0, in.size)
		_, err := b.client.PutObject(ctx, b.bucket, b.object(in.ref), r, in.size, minio.PutObjectOptions{
			ContentType: "message/rfc822", DisableMultipart: in.size < 5<<30, SendContentMd5: true,
		})
		return bucketFault(err)
	})
}

func (b *bucketPlace) read(ctx context.Context, ref mail.BodyRef, chunk int64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	var o minio.GetObjectOptions
	from := chunk * chunkSize
	if err := o.SetRange(from, from+int64(len(p))-1); err != nil {
		return err
	}
	core := minio.Core{Client: b.client}
	r, _, _, err := core.GetObject(ctx, b.bucket, b.object(ref), o)
	if err != nil {
		return bucketFault(err)
	}
	defer r.Close()
	_, err = io.ReadFull(r, p)
	return bucketFault(err)
}

func (b *bucketPlace) remove(ctx context.Context, ref mail.BodyRef) error {
	return b.s.ask(ctx, func(ctx context.Context) error {
		err := bucketFault(b.client.RemoveObject(ctx, b.bucket, b.object(ref), minio.RemoveObjectOptions{}))
		if mail.KindOf(err) == mail.NotFound {
			return nil
		}
		return err
	})
}

// errBucket is in the chain of a bucket's failure that may pass.
var errBucket = errors.New("the bucket cannot do this now")

// bucketFault sorts the errors of a bucket.
func bucketFault(err error) error {
	if err == nil {
		return nil
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return err // the network's
	}
	switch {
	case answer.Code == "NoSuchKey" || answer.StatusCode == http.StatusNotFound && !strings.HasPrefix(answer.Code, "NoSuchB"):
		return mail.Wrap(err, mail.NotFound, "the bucket has no such object")
	case answer.StatusCode >= 500, answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode == http.StatusRequestTimeout:
		return fmt.Errorf("%w: %w", errBucket, err)
	}
	return mail.Wrap(err, mail.Unavailable, "the bucket refuses this")
}
