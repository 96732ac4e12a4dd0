package glue

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/view"
)

// A view is an entry of the catalog that Athena reads as its own CREATE VIEW would have written it: Hive's view text
// holds the SELECT and its types as JSON, in base64, in a comment. Written through Glue it takes no permission that
// publishing tables does not take, and no query (docs/adr/0014).
const (
	viewType   = "VIRTUAL_VIEW"
	viewBefore = "/* Presto View: "
	viewAfter  = " */"
	// athenaCatalog is what Athena calls Glue's.
	athenaCatalog = "awsdatacatalog"
)

var _ view.Publisher = (*Catalog)(nil)

type prestoView struct {
	SQL     string        `json:"originalSql"`
	Catalog string        `json:"catalog"`
	Schema  string        `json:"schema"`
	Columns []lake.Column `json:"columns"`
}

// View implements view.Publisher.
func (c *Catalog) View(ctx context.Context, name string) (view.View, error) {
	found, err := c.entry(ctx, name)
	if err != nil {
		return view.View{}, err
	}
	if aws.ToString(found.TableType) != viewType {
		return view.View{}, fault.New(fault.NotFound, "look up view %s: it is a table", name)
	}
	text, _ := strings.CutPrefix(aws.ToString(found.ViewOriginalText), viewBefore)
	text, _ = strings.CutSuffix(text, viewAfter)
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return view.View{}, fmt.Errorf("read view %s: %w", name, err)
	}
	var v prestoView
	if err := json.Unmarshal(decoded, &v); err != nil {
		return view.View{}, fmt.Errorf("read view %s: %w", name, err)
	}
	return view.View{Name: name, Description: aws.ToString(found.Description), SQL: v.SQL, Columns: v.Columns}, nil
}

// PublishView implements view.Publisher.
func (c *Catalog) PublishView(ctx context.Context, v view.View) error {
	input, err := c.viewInput(v)
	if err != nil {
		return err
	}
	current, err := c.entry(ctx, v.Name)
	switch {
	case fault.Is(err, fault.NotFound):
		_, err = c.client.CreateTable(ctx, &api.CreateTableInput{DatabaseName: &c.database, TableInput: input})
	case err != nil:
		return err
	case aws.ToString(current.TableType) != viewType:
		return fault.New(fault.Conflict, "publish view %s: a table has this name", v.Name)
	default:
		_, err = c.client.UpdateTable(ctx, &api.UpdateTableInput{DatabaseName: &c.database, TableInput: input, SkipArchive: aws.Bool(true)})
	}
	return awsfault.Wrap("publish view "+v.Name, err)
}

// entry is what the catalog holds under a name.
func (c *Catalog) entry(ctx context.Context, name string) (*types.Table, error) {
	answer, err := c.client.GetTable(ctx, &api.GetTableInput{DatabaseName: &c.database, Name: &name})
	if err != nil {
		return nil, awsfault.Wrap("look up "+name, err)
	}
	return answer.Table, nil
}

// maxDescription is the longest description that Glue takes (API reference, TableInput).
const maxDescription = 2048

func (c *Catalog) viewInput(v view.View) (*types.TableInput, error) {
	body, err := json.Marshal(prestoView{v.SQL, athenaCatalog, c.database, v.Columns})
	if err != nil {
		return nil, fmt.Errorf("write view %s: %w", v.Name, err)
	}
	if len(v.Description) > maxDescription {
		return nil, fault.New(fault.Invalid, "publish view %s: its description has %d bytes, and %d are allowed", v.Name, len(v.Description), maxDescription)
	}
	in := &types.TableInput{
		Name: &v.Name, Description: &v.Description, TableType: aws.String(viewType),
		Parameters:       map[string]string{"presto_view": "true", "comment": "Presto View"},
		ViewOriginalText: aws.String(viewBefore + base64.StdEncoding.EncodeToString(body) + viewAfter), ViewExpandedText: aws.String("/* Presto View */"),
		StorageDescriptor: &types.StorageDescriptor{SerdeInfo: &types.SerDeInfo{}},
	}
	for _, column := range v.Columns {
		in.StorageDescriptor.Columns = append(in.StorageDescriptor.Columns, types.Column{Name: aws.String(column.Name), Type: aws.String(HiveType(column.Type))})
	}
	return in, nil
}
