// Package cloudwatch reads back what the collector counted: its metrics, which stand apart from the events that they
// count.
package cloudwatch

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"verdict/shared/awsio/awsfault"
	"verdict/shared/ledger"
)

const (
	hour       = 3600
	hourLayout = "2006-01-02T15"
)

// Counts are the collector's metrics.
type Counts struct {
	client *api.Client
	space  string
}

var _ ledger.Collected = (*Counts)(nil)

// New returns the Counts in a namespace of CloudWatch.
func New(config aws.Config, space string) *Counts {
	return &Counts{api.NewFromConfig(config), space}
}

// Collected implements ledger.Collected. CloudWatch keeps hourly sums for 455 days.
func (c *Counts) Collected(ctx context.Context, from, to time.Time) ([]ledger.Count, error) {
	sums := map[[2]string]ledger.Count{}
	for _, metric := range []string{"Accepted", "Quarantined"} {
		err := c.each(ctx, metric, from, to, func(namespace string, at time.Time, n int64) {
			key := [2]string{namespace, at.UTC().Format(hourLayout)}
			sum := sums[key]
			sum.Namespace, sum.Hour = key[0], key[1]
			if metric == "Accepted" {
				sum.Accepted += n
			} else {
				sum.Quarantined += n
			}
			sums[key] = sum
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.SortedFunc(maps.Values(sums), func(a, b ledger.Count) int {
		return strings.Compare(a.Namespace+a.Hour, b.Namespace+b.Hour)
	}), nil
}

// each hands over the hourly sums of a metric, of every namespace that has it.
func (c *Counts) each(ctx context.Context, metric string, from, to time.Time, sum func(namespace string, at time.Time, n int64)) error {
	search := fmt.Sprintf(`SEARCH('{%s,namespace} MetricName="%s"', 'Sum', %d)`, c.space, metric, hour)
	pages := api.NewGetMetricDataPaginator(c.client, &api.GetMetricDataInput{
		StartTime: &from, EndTime: &to, ScanBy: types.ScanByTimestampAscending,
		MetricDataQueries: []types.MetricDataQuery{{
			Id: aws.String("counts"), Expression: &search, Label: aws.String("${PROP('Dim.namespace')}"), ReturnData: aws.Bool(true),
		}},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return awsfault.Wrap("read metric "+metric, err)
		}
		for _, series := range page.MetricDataResults {
			for i, at := range series.Timestamps {
				sum(aws.ToString(series.Label), at, int64(series.Values[i]))
			}
		}
	}
	return nil
}
