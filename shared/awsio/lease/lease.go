// Package lease lets one process at a time do a piece of work, by a row in a DynamoDB table. A lease
// ends by itself some time after its holder died, so that nothing is blocked for ever; the work must
// therefore be safe to overlap in the worst case, and only be wasteful then.
package lease

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"verdict/shared/awsio/awsfault"
)

// Table is a table of leases: its key is name, its time to live is expires.
type Table struct {
	client *dynamodb.Client
	name   string
	hold   time.Duration
	owner  func() string
	now    func() time.Time
}

// New returns a Table whose leases end by themselves after hold, which must be longer than the work may
// take: a Lambda's timeout and a bit. owner gives a name that nobody else has.
func New(config aws.Config, table string, hold time.Duration, owner func() string, now func() time.Time) *Table {
	return &Table{client: dynamodb.NewFromConfig(config), name: table, hold: hold, owner: owner, now: now}
}

// Run does the work while it holds the lease. While somebody else has it, that is fault.Conflict and
// the work is not begun.
func (t *Table) Run(ctx context.Context, name string, work func(context.Context) error) error {
	owner, now := t.owner(), t.now()
	key := map[string]types.AttributeValue{"name": text(name)}
	_, err := t.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: aws.String(t.name),
		Item:      map[string]types.AttributeValue{"name": text(name), "owner": text(owner), "expires": number(now.Add(t.hold))},
		// name and owner are words that DynamoDB reserves.
		ConditionExpression:       aws.String("attribute_not_exists(#name) OR #expires < :now"),
		ExpressionAttributeNames:  map[string]string{"#name": "name", "#expires": "expires"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":now": number(now)},
	})
	if err != nil {
		return awsfault.Wrap("take lease "+name, err)
	}
	worked := work(ctx)
	// Also when ctx has ended: the lease would block the next run until it expires.
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err = t.client.DeleteItem(release, &dynamodb.DeleteItemInput{
		TableName: aws.String(t.name), Key: key,
		ConditionExpression:       aws.String("#owner = :owner"),
		ExpressionAttributeNames:  map[string]string{"#owner": "owner"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":owner": text(owner)},
	})
	if _, taken := errors.AsType[*types.ConditionalCheckFailedException](err); taken {
		return worked // it had expired, and somebody else has it now
	}
	return errors.Join(worked, awsfault.Wrap("give lease "+name+" back", err))
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(t time.Time) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(t.Unix(), 10)}
}
