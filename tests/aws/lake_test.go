package aws_test

import (
	"bytes"
	"context"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	awsglue "verdict/shared/awsio/glue"
	"verdict/shared/awsio/s3"
	"verdict/shared/embedded/directory"
	"verdict/shared/embedded/duck"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/project"
	"verdict/shared/view"
)

// mirror is a SQL engine over the emulator's bucket and catalog: it copies what is new into a folder, on
// which DuckDB works, and what DuckDB has unloaded back into the bucket.
type mirror struct {
	bucket   *s3.Bucket
	glue     *glue.Client
	catalog  *awsglue.Catalog
	database string
	landing  []string
	store    *directory.Store
	duck     *duck.Warehouse

	mu        sync.Mutex
	landed    map[string][]lake.Object // by partition
	copied    map[string]bool
	published map[string]lake.Table
}

var _ lake.Engine = (*mirror)(nil)

func landing(p *project.Project) (out []lake.Table) {
	for _, s := range p.Models.Sources {
		if s.Location != "" {
			out = append(out, s.Landing())
		}
	}
	return out
}

func newMirror(t *testing.T, config aws.Config, bucket, database string, p *project.Project) *mirror {
	t.Helper()
	m := &mirror{
		bucket: s3.New(config, bucket), glue: glue.NewFromConfig(config), database: database, store: &directory.Store{Root: t.TempDir()},
		landed: map[string][]lake.Object{}, copied: map[string]bool{}, published: map[string]lake.Table{},
	}
	m.catalog = awsglue.New(config, database, m.bucket.Location)
	var err error
	if m.duck, err = duck.Open(t.Context(), m.store, landing(p)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.duck.Close() })
	for _, table := range landing(p) {
		m.landing = append(m.landing, table.Name)
	}
	return m
}

// Query implements lake.Engine.
func (m *mirror) Query(ctx context.Context, sql string) (lake.Result, error) {
	if err := m.update(ctx); err != nil {
		return lake.Result{}, err
	}
	return m.duck.Query(ctx, sql)
}

// Unload implements lake.Engine.
func (m *mirror) Unload(ctx context.Context, sql, prefix string, partitionBy []string) error {
	if err := m.update(ctx); err != nil {
		return err
	}
	if err := m.duck.Unload(ctx, sql, prefix, partitionBy); err != nil {
		return err
	}
	written, err := m.store.List(ctx, prefix)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range written {
		body, err := m.store.Get(ctx, o.Key)
		if err != nil {
			return err
		}
		if err := m.bucket.Put(ctx, o.Key, body, lake.Create); err != nil {
			return err
		}
		m.copied[o.Key] = true
	}
	return nil
}

// update copies what has come into the bucket and the catalog.
func (m *mirror) update(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, prefix := range []string{"raw/", "quarantine/"} {
		if err := m.land(ctx, prefix); err != nil {
			return err
		}
	}
	if err := m.copy(ctx, "warehouse/"); err != nil {
		return err
	}
	return m.republish(ctx)
}

// copy copies what is new below a prefix where nothing changes.
func (m *mirror) copy(ctx context.Context, prefix string) error {
	there, err := m.bucket.List(ctx, prefix)
	if err != nil {
		return err
	}
	for _, o := range there {
		key := o.Key
		if m.copied[key] {
			continue
		}
		body, err := m.bucket.Get(ctx, key)
		if err != nil {
			return err
		}
		here := key
		if !strings.HasSuffix(here, ".parquet") { // Athena and Trino give their files no ending
			here += ".parquet"
		}
		if err := m.store.Put(ctx, here, body, lake.Overwrite); err != nil {
			return err
		}
		m.copied[key] = true
	}
	return nil
}

// land makes one gzip file of what has landed in a partition, anew when that has changed. Athena reads it below the
// partition's folder however deep it lies, but one-machine readers do not look deeper.
func (m *mirror) land(ctx context.Context, prefix string) error {
	there, err := m.bucket.List(ctx, prefix)
	if err != nil {
		return err
	}
	folders := map[string][]lake.Object{}
	for _, o := range there {
		folder := path.Join(strings.Split(o.Key, "/")[:3]...) // raw/namespace=…/event_date=…
		folders[folder] = append(folders[folder], o)
	}
	for folder, objects := range folders {
		if slices.Equal(objects, m.landed[folder]) {
			continue
		}
		var body bytes.Buffer
		z := gzip.NewWriter(&body)
		for _, o := range objects {
			lines, err := landed(ctx, m.bucket, o.Key)
			if err != nil {
				return err
			}
			if _, err := z.Write(lines); err != nil {
				return err
			}
		}
		if err := z.Close(); err != nil {
			return err
		}
		if err := m.store.Put(ctx, folder+"/events.ndjson.gz", body.Bytes(), lake.Overwrite); err != nil {
			return err
		}
		m.landed[folder] = objects
	}
	return nil
}

// republish takes over the tables that the catalog shows.
func (m *mirror) republish(ctx context.Context) error {
	var views []view.View
	pages := glue.NewGetTablesPaginator(m.glue, &glue.GetTablesInput{DatabaseName: &m.database})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, entry := range page.TableList {
			name := aws.ToString(entry.Name)
			if slices.Contains(m.landing, name) {
				continue
			}
			if aws.ToString(entry.TableType) == "VIRTUAL_VIEW" {
				v, err := m.catalog.View(ctx, name)
				if err != nil {
					return err
				}
				views = append(views, v)
				continue
			}
			table, err := m.catalog.Table(ctx, name)
			if err != nil {
				return err
			}
			if cmp.Equal(table, m.published[name]) {
				continue
			}
			if err := m.duck.Publish(ctx, table); err != nil {
				return err
			}
			m.published[name] = table
		}
	}
	for _, v := range views { // one that reads another may come before it: the next look finds that
		if err := m.duck.PublishView(ctx, v); err != nil && !fault.Is(err, fault.Invalid) {
			return err
		}
	}
	return nil
}
