package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesisfirehose"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// bufferMiB is the largest file Firehose writes, before compression. With dynamic partitioning it
// may gather 64 to 128 MiB per partition; Athena likes large files.
const bufferMiB = 128

// deliveryRetry is how long Firehose tries to deliver a partition before it counts as undeliverable.
const deliveryRetry = 5 * time.Minute

// streams carry events from the collector into the lake.
type streams struct {
	good, quarantine awskinesisfirehose.CfnDeliveryStream
}

func newStreams(scope constructs.Construct, e Environment, l lake) streams {
	return streams{
		good:       newStream(group(scope, "GoodStream"), e, l, raw),
		quarantine: newStream(group(scope, "QuarantineStream"), e, l, quarantine),
	}
}

// newStream takes records of many lines apart and writes each line under the namespace and the
// event date that it says, as shared/embedded/delivery does on one machine.
func newStream(scope constructs.Construct, e Environment, l lake, prefix string) awskinesisfirehose.CfnDeliveryStream {
	logs := awslogs.NewLogGroup(scope, jsii.String("Logs"), &awslogs.LogGroupProps{Retention: e.LogDays, RemovalPolicy: awscdk.RemovalPolicy_DESTROY})
	log := awslogs.NewLogStream(scope, jsii.String("Log"), &awslogs.LogStreamProps{LogGroup: logs, RemovalPolicy: awscdk.RemovalPolicy_DESTROY})
	statements := append(append(l.reading(prefix, undeliverable), l.writing(prefix, undeliverable)...), allow([]string{"logs:PutLogEvents"}, logs.LogGroupArn()))
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("firehose.amazonaws.com"), &awsiam.ServicePrincipalOpts{
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}},
		}),
		// Inline, so that it stands before the stream, which checks it, is made.
		InlinePolicies: &map[string]awsiam.PolicyDocument{
			"deliver": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{Statements: &statements}),
		},
	})
	return awskinesisfirehose.NewCfnDeliveryStream(scope, jsii.String("Stream"), &awskinesisfirehose.CfnDeliveryStreamProps{
		DeliveryStreamType: jsii.String("DirectPut"),
		DeliveryStreamEncryptionConfigurationInput: &awskinesisfirehose.CfnDeliveryStream_DeliveryStreamEncryptionConfigurationInputProperty{
			KeyType: jsii.String("AWS_OWNED_CMK"),
		},
		ExtendedS3DestinationConfiguration: &awskinesisfirehose.CfnDeliveryStream_ExtendedS3DestinationConfigurationProperty{
			BucketArn:         l.bucket.BucketArn(),
			RoleArn:           role.RoleArn(),
			Prefix:            jsii.String(prefix + "namespace=!{partitionKeyFromQuery:namespace}/event_date=!{partitionKeyFromQuery:event_date}/"),
			ErrorOutputPrefix: jsii.String(undeliverable + prefix + "!{firehose:error-output-type}/!{timestamp:yyyy-MM-dd}/"),
			FileExtension:     jsii.String(".ndjson.gz"),
			CompressionFormat: jsii.String("GZIP"),
			BufferingHints: &awskinesisfirehose.CfnDeliveryStream_BufferingHintsProperty{
				SizeInMBs: jsii.Number(bufferMiB), IntervalInSeconds: jsii.Number(e.Buffer.Seconds()),
			},
			DynamicPartitioningConfiguration: &awskinesisfirehose.CfnDeliveryStream_DynamicPartitioningConfigurationProperty{
				Enabled:      jsii.Bool(true),
				RetryOptions: &awskinesisfirehose.CfnDeliveryStream_RetryOptionsProperty{DurationInSeconds: jsii.Number(deliveryRetry.Seconds())},
			},
			ProcessingConfiguration: &awskinesisfirehose.CfnDeliveryStream_ProcessingConfigurationProperty{
				Enabled: jsii.Bool(true),
				Processors: []any{
					processor("RecordDeAggregation", "SubRecordType", "JSON"),
					processor("MetadataExtraction",
						"MetadataExtractionQuery", "{namespace:.namespace,event_date:.event_date}",
						"JsonParsingEngine", "JQ-1.6"),
					processor("AppendDelimiterToRecord", "Delimiter", `\n`),
				},
			},
			CloudWatchLoggingOptions: &awskinesisfirehose.CfnDeliveryStream_CloudWatchLoggingOptionsProperty{
				Enabled: jsii.Bool(true), LogGroupName: logs.LogGroupName(), LogStreamName: log.LogStreamName(),
			},
		},
	})
}

// processor is a step that Firehose takes with each record; its parameters come as name and value.
func processor(kind string, parameters ...string) *awskinesisfirehose.CfnDeliveryStream_ProcessorProperty {
	var out []any
	for i := 0; i < len(parameters); i += 2 {
		out = append(out, &awskinesisfirehose.CfnDeliveryStream_ProcessorParameterProperty{
			ParameterName: &parameters[i], ParameterValue: &parameters[i+1],
		})
	}
	return &awskinesisfirehose.CfnDeliveryStream_ProcessorProperty{Type: &kind, Parameters: out}
}
