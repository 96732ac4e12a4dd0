// Package s3 keeps objects in an S3 bucket. S3 itself makes a blob appear whole or not at all, and
// decides between several that create one key.
package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/s3"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/fault"
	"verdict/shared/lake"
)

// Bucket is a bucket.
type Bucket struct {
	client *api.Client
	name   string
}

var _ lake.Objects = (*Bucket)(nil)

// New returns a Bucket. An endpoint other than AWS's own is addressed by path.
func New(config aws.Config, name string) *Bucket {
	client := api.NewFromConfig(config, func(o *api.Options) { o.UsePathStyle = o.BaseEndpoint != nil })
	return &Bucket{client, name}
}

// Get implements lake.Objects.
func (b *Bucket) Get(ctx context.Context, key string) ([]byte, error) {
	answer, err := b.client.GetObject(ctx, &api.GetObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return nil, awsfault.Wrap("get object "+key, err)
	}
	defer answer.Body.Close() //nolint:errcheck // reading tells
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fault.New(fault.Transient, "get object %s: %w", key, err)
	}
	return body, nil
}

// Put implements lake.Objects.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, mode lake.Mode) error {
	if key == "" || strings.HasSuffix(key, "/") {
		return fault.New(fault.Invalid, "put object: %q is no key", key)
	}
	in := &api.PutObjectInput{Bucket: &b.name, Key: &key, Body: bytes.NewReader(body)}
	if mode == lake.Create {
		in.IfNoneMatch = aws.String("*")
	}
	if _, err := b.client.PutObject(ctx, in); err != nil {
		return awsfault.Wrap("put object "+key, err)
	}
	return nil
}

// List implements lake.Objects.
func (b *Bucket) List(ctx context.Context, prefix string) ([]lake.Object, error) {
	var out []lake.Object
	pages := api.NewListObjectsV2Paginator(b.client, &api.ListObjectsV2Input{Bucket: &b.name, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awsfault.Wrap("list objects "+prefix, err)
		}
		for _, o := range page.Contents {
			out = append(out, lake.Object{Key: aws.ToString(o.Key), Size: aws.ToInt64(o.Size), ETag: strings.Trim(aws.ToString(o.ETag), `"`)})
		}
	}
	return out, nil
}

// Delete implements privacy.Store: no version of the object is left.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	return b.deleteVersions(ctx, key, func(bool) bool { return true })
}

// Prune implements privacy.Store.
func (b *Bucket) Prune(ctx context.Context, key string) error {
	return b.deleteVersions(ctx, key, func(latest bool) bool { return !latest })
}

// deleteVersions deletes versions of one object, and the marks of earlier deletions, for good.
func (b *Bucket) deleteVersions(ctx context.Context, key string, which func(latest bool) bool) error {
	pages := api.NewListObjectVersionsPaginator(b.client, &api.ListObjectVersionsInput{Bucket: &b.name, Prefix: &key})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return awsfault.Wrap("list versions of "+key, err)
		}
		var ids []*string
		for _, v := range page.Versions {
			if aws.ToString(v.Key) == key && which(aws.ToBool(v.IsLatest)) {
				ids = append(ids, v.VersionId)
			}
		}
		for _, m := range page.DeleteMarkers {
			if aws.ToString(m.Key) == key && which(aws.ToBool(m.IsLatest)) {
				ids = append(ids, m.VersionId)
			}
		}
		for _, id := range ids {
			if _, err := b.client.DeleteObject(ctx, &api.DeleteObjectInput{Bucket: &b.name, Key: &key, VersionId: id}); err != nil {
				return awsfault.Wrap("delete object "+key, err)
			}
		}
	}
	return nil
}

// Location is where the objects of a prefix are, as Athena and Glue name it.
func (b *Bucket) Location(prefix string) string { return fmt.Sprintf("s3://%s/%s", b.name, prefix) }

// remote is an object that is read a piece at a time. What it holds is one version of it: a change meanwhile is
// fault.Conflict.
type remote struct {
	ctx    context.Context //nolint:containedctx // io.ReaderAt has no room for one; it lives as long as the file
	bucket *Bucket
	key    string
	etag   *string
	size   int64
}

// Open implements replay.Source.
func (b *Bucket) Open(ctx context.Context, key string) (lake.File, error) {
	head, err := b.client.HeadObject(ctx, &api.HeadObjectInput{Bucket: &b.name, Key: &key})
	if err != nil {
		return nil, awsfault.Wrap("open object "+key, err)
	}
	return &remote{ctx, b, key, head.ETag, aws.ToInt64(head.ContentLength)}, nil
}

// ReadAt implements io.ReaderAt.
func (r *remote) ReadAt(p []byte, off int64) (int, error) {
	if off >= r.size {
		return 0, io.EOF
	}
	want := min(int64(len(p)), r.size-off)
	span := fmt.Sprintf("bytes=%d-%d", off, off+want-1)
	answer, err := r.bucket.client.GetObject(r.ctx, &api.GetObjectInput{Bucket: &r.bucket.name, Key: &r.key, Range: &span, IfMatch: r.etag})
	if err != nil {
		return 0, awsfault.Wrap("read object "+r.key, err)
	}
	defer answer.Body.Close() //nolint:errcheck // reading tells
	n, err := io.ReadFull(answer.Body, p[:want])
	if err != nil {
		return n, fault.New(fault.Transient, "read object %s: %w", r.key, err)
	}
	if want < int64(len(p)) {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (*remote) Close() error { return nil }

// Size is the number of bytes.
func (r *remote) Size() int64 { return r.size }
