package main

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskinesisfirehose"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssnssubscriptions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/lambdaio/emf"
	"verdict/shared/monitor"
)

const (
	period = 5 * time.Minute // as often as AWS reports what is watched here

	// serverErrors in one period, twice in a row, is no single retry that the SDK makes up for.
	serverErrors = 5

	// lateness, in buffers: Firehose says that delivery with dynamic partitioning may take 1.5
	// (docs.aws.amazon.com/firehose/latest/dev/buffering.html); twice that is late.
	lateness = 3
)

// alarms go to one topic. Each names what is broken for users or data, not what is merely busy.
type alarms struct {
	scope constructs.Construct
	topic awssns.Topic
}

func newAlarms(scope constructs.Construct, e Environment) alarms {
	scope = group(scope, "Alarms")
	topic := awssns.NewTopic(scope, jsii.String("Topic"), &awssns.TopicProps{
		DisplayName: jsii.String("Verdict " + e.Name + " alarms"),
		EnforceSSL:  jsii.Bool(true),
	})
	// A topic with a policy of its own no longer has the one that lets CloudWatch publish.
	topic.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(jsii.String("cloudwatch.amazonaws.com"), nil)},
		Actions:    jsii.Strings("sns:Publish"),
		Resources:  &[]*string{topic.TopicArn()},
		Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}},
	}))
	if e.AlarmEmail != "" {
		topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(&e.AlarmEmail, nil))
	}
	return alarms{scope, topic}
}

// when raises an alarm once the metric has reached the threshold in each of the last periods.
// Silence is no alarm: nothing happens at night.
func (a alarms) when(id, meaning string, metric awscloudwatch.IMetric, threshold, periods float64) {
	alarm := awscloudwatch.NewAlarm(a.scope, &id, &awscloudwatch.AlarmProps{
		AlarmDescription:   &meaning,
		Metric:             metric,
		Threshold:          &threshold,
		EvaluationPeriods:  &periods,
		ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	})
	alarm.AddAlarmAction(awscloudwatchactions.NewSnsAction(a.topic))
}

func (a alarms) onCollector(c collector) {
	a.when("CollectorFails", "The collector answers 5xx: browsers keep their events and try again. See its log.",
		c.api.MetricServerError(every(period, "Sum")), serverErrors, 2)
}

func (a alarms) onStreams(s streams, buffer time.Duration) {
	a.onStream("GoodStream", s.good, buffer)
	a.onStream("QuarantineStream", s.quarantine, buffer)
}

func (a alarms) onStream(id string, stream awskinesisfirehose.CfnDeliveryStream, buffer time.Duration) {
	highest := func(metric string) awscloudwatch.Metric {
		return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/Firehose"), MetricName: &metric,
			DimensionsMap: &map[string]*string{"DeliveryStreamName": stream.Ref()},
			Period:        seconds(period), Statistic: jsii.String("Maximum"),
		})
	}
	a.when(id+"Late", "Firehose holds events longer than it should: the lake falls behind. See its log.",
		highest("DeliveryToS3.DataFreshness"), lateness*buffer.Seconds(), 1)
	a.when(id+"Scattered", "Events of more days and namespaces at once than Firehose takes (500): the rest goes to errors/.",
		highest("PartitionCountExceeded"), 1, 1)
}

func (a alarms) onFailed(queue awssqs.Queue) {
	a.when("EventsGivenUp", "A function gave up on an event, which waits in the queue with its error for 14 days.",
		queue.MetricApproximateNumberOfMessagesVisible(every(period, "Maximum")), 1, 1)
}

func (a alarms) onErrors(all ...awslambda.IFunction) {
	for _, fn := range all {
		name := *fn.Node().Scope().Node().Id()
		a.when(name+"Errors", fmt.Sprintf("The function %s failed. What it did not do, its next run does; see its log.", name),
			fn.MetricErrors(every(period, "Sum")), 1, 1)
	}
}

// onReadings watches what the monitor has read. The limits are those of shared/monitor, which has their reasons.
func (a alarms) onReadings() {
	for _, r := range monitor.Limits() {
		metric := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String(emf.Space), MetricName: jsii.String(r.Name), Period: seconds(time.Hour), Statistic: jsii.String("Maximum"),
		})
		alarm := awscloudwatch.NewAlarm(a.scope, jsii.String("Reading-"+r.Name), &awscloudwatch.AlarmProps{
			AlarmDescription:   jsii.String(r.Says + " See the log of the function monitor, and docs/monitoring.md#" + r.Name + "."),
			Metric:             metric,
			Threshold:          jsii.Number(r.Limit),
			EvaluationPeriods:  jsii.Number(1),
			ComparisonOperator: awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD,
			TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
		})
		alarm.AddAlarmAction(awscloudwatchactions.NewSnsAction(a.topic))
	}
}

func every(d time.Duration, statistic string) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Period: seconds(d), Statistic: &statistic}
}
