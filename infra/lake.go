package main

import (
	"maps"
	"slices"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// What stands where in the bucket.
const (
	raw           = "raw/"
	quarantine    = "quarantine/"
	inbox         = "inbox/"     // files to replay, put there by people
	flagFiles     = "flags/"     // datafiles, as they were read
	identities    = "identity/"  // vetoes of people against merges
	replays       = "replay/"    // what was replayed
	undeliverable = "errors/"    // what Firehose could not put into a partition
	warehouse     = "warehouse/" // tables, in runs that never change
	decisions     = "decisions/"
	approvals     = "approvals/"     // what people said to proposals
	restatements  = "restatements/"  // decisions, taken again on events that came late
	bundles       = "bundles/"       // what each decision rests on, to recompute it
	registrations = "registrations/" // experiments, as they were defined at their start and later
	persons       = "privacy/"       // requests for persons, and what follows
	requests      = "privacy/requests/"
	handedOver    = "privacy/exports/"
	audits        = "privacy/audit/" // who was erased and how many lines that was: the ledger counts them
	notifications = "notifications/"
	told          = "lineage/" // what each run read and wrote
	answers       = "athena/"  // of queries
)

const (
	answerDays  = 7  // an answer is read within minutes; a week serves those who look into a failure, or fetch an export
	errorDays   = 90 // people have a quarter to repair and replay what could not be delivered
	versionDays = 30 // how long a mistake can be undone
)

// lake is the bucket of everything that was collected and made.
type lake struct{ bucket awss3.Bucket }

func newLake(scope constructs.Construct, e Environment) lake {
	scope = group(scope, "Lake")
	expire := func(prefix string, days float64) *awss3.LifecycleRule {
		return &awss3.LifecycleRule{Id: jsii.String("expire " + prefix), Prefix: &prefix, Expiration: awscdk.Duration_Days(&days)}
	}
	// Copies of what persons did, for somebody who asked: an erasure does not look for them, they go by themselves.
	forget := func(prefix string) *awss3.LifecycleRule {
		rule := expire(prefix, answerDays)
		rule.NoncurrentVersionExpiration = awscdk.Duration_Days(jsii.Number(1))
		return rule
	}
	// Tables do not expire by age: the run that is in force may be an old one.
	rules := []*awss3.LifecycleRule{
		{
			Id:                                  jsii.String("tidy up"),
			AbortIncompleteMultipartUploadAfter: awscdk.Duration_Days(jsii.Number(answerDays)),
			NoncurrentVersionExpiration:         awscdk.Duration_Days(jsii.Number(versionDays)),
		},
		forget(answers),
		forget(handedOver),
		expire(undeliverable, errorDays),
	}
	if e.RawDays > 0 {
		rules = append(rules, expire(raw, e.RawDays), expire(quarantine, e.RawDays))
	}
	// Of rules that meet, S3 follows the shortest.
	for _, namespace := range slices.Sorted(maps.Keys(e.Retention)) {
		for _, prefix := range e.Retention.Prefixes(namespace) {
			rules = append(rules, expire(prefix, float64(e.Retention[namespace])))
		}
	}
	return lake{awss3.NewBucket(scope, jsii.String("Bucket"), &awss3.BucketProps{
		Encryption:        awss3.BucketEncryption_S3_MANAGED,
		BlockPublicAccess: awss3.BlockPublicAccess_BLOCK_ALL(),
		ObjectOwnership:   awss3.ObjectOwnership_BUCKET_OWNER_ENFORCED,
		EnforceSSL:        jsii.Bool(true),
		MinimumTLSVersion: jsii.Number(1.2),
		Versioned:         jsii.Bool(true),
		LifecycleRules:    &rules,
		RemovalPolicy:     e.removal(),
	})}
}

// under is the ARNs of all objects below the prefixes.
func (l lake) under(prefixes ...string) []*string {
	out := make([]*string, len(prefixes))
	for i, p := range prefixes {
		out[i] = l.bucket.ArnForObjects(jsii.String(p + "*"))
	}
	return out
}

// reading allows to read below the prefixes. Names may be listed everywhere: were that bound to a
// prefix, asking for an object that does not exist would be answered by 403 instead of 404.
func (l lake) reading(prefixes ...string) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow([]string{"s3:ListBucket", "s3:GetBucketLocation"}, l.bucket.BucketArn()),
		allow([]string{"s3:GetObject"}, l.under(prefixes...)...),
	}
}

// writing allows to write below the prefixes, whole or in parts, and to delete nothing.
func (l lake) writing(prefixes ...string) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow([]string{"s3:ListBucketMultipartUploads"}, l.bucket.BucketArn()),
		allow([]string{"s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}, l.under(prefixes...)...),
	}
}

// erasing allows to read, rewrite and erase below the prefixes, for good: what was erased is in no version.
func (l lake) erasing(prefixes ...string) []awsiam.PolicyStatement {
	return []awsiam.PolicyStatement{
		allow([]string{"s3:ListBucketVersions"}, l.bucket.BucketArn()),
		allow([]string{"s3:DeleteObjectVersion"}, l.under(prefixes...)...),
	}
}

// state is the table of leases: who does what right now.
type state struct{ table awsdynamodb.Table }

func newState(scope constructs.Construct, e Environment) state {
	return state{awsdynamodb.NewTable(group(scope, "State"), jsii.String("Table"), &awsdynamodb.TableProps{
		PartitionKey:        &awsdynamodb.Attribute{Name: jsii.String("name"), Type: awsdynamodb.AttributeType_STRING},
		TimeToLiveAttribute: jsii.String("expires"),
		BillingMode:         awsdynamodb.BillingMode_PAY_PER_REQUEST,
		DeletionProtection:  &e.Keep,
		RemovalPolicy:       e.removal(),
	})}
}

func (s state) leasing() awsiam.PolicyStatement {
	return allow([]string{"dynamodb:PutItem", "dynamodb:DeleteItem"}, s.table.TableArn())
}

// allow is a statement that permits the actions on the resources.
func allow(actions []string, resources ...*string) awsiam.PolicyStatement {
	return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings(actions...), Resources: &resources})
}
