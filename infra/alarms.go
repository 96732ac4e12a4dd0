package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
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

	// openPartitions is what Firehose keeps open at once (its quota), of which partitionsSoon is time to ask for more.
	openPartitions, partitionsSoon = 500, 0.8

	day = 24 * time.Hour
)

// alarms go to one topic. Each names what is broken for users or data, not what is merely busy, and where it is
// written what to do.
type alarms struct {
	scope constructs.Construct
	topic awssns.Topic
	docs  string
}

func newAlarms(scope constructs.Construct, e Environment) alarms {
	scope = group(scope, "Alarms")
	topic := awssns.NewTopic(scope, jsii.String("Topic"), &awssns.TopicProps{
		DisplayName: jsii.String("Verdict " + e.Name + " alarms"),
		EnforceSSL:  jsii.Bool(true),
	})
	// A topic with a policy of its own no longer has the one that lets CloudWatch publish.
	fromThisAccount := func(service string) awsiam.PolicyStatement {
		return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
			Principals: &[]awsiam.IPrincipal{awsiam.NewServicePrincipal(&service, nil)},
			Actions:    jsii.Strings("sns:Publish"),
			Resources:  &[]*string{topic.TopicArn()},
			Conditions: &map[string]any{"StringEquals": map[string]any{"aws:SourceAccount": awscdk.Aws_ACCOUNT_ID()}},
		})
	}
	topic.AddToResourcePolicy(fromThisAccount("cloudwatch.amazonaws.com"))
	if e.AlarmEmail != "" {
		topic.AddSubscription(awssnssubscriptions.NewEmailSubscription(&e.AlarmEmail, nil))
	}
	if e.Budget != (Budget{}) {
		topic.AddToResourcePolicy(fromThisAccount("budgets.amazonaws.com"))
	}
	return alarms{scope, topic, cmp.Or(e.Docs, "docs")}
}

// when raises an alarm once the metric has reached the threshold in each of the last periods.
// Silence is no alarm: nothing happens at night.
func (a alarms) when(id, meaning string, metric awscloudwatch.IMetric, threshold, periods float64) {
	a.add(id, meaning, metric, threshold, periods, awscloudwatch.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD)
}

func (a alarms) add(id, meaning string, metric awscloudwatch.IMetric, threshold, periods float64, breached awscloudwatch.ComparisonOperator) {
	alarm := awscloudwatch.NewAlarm(a.scope, &id, &awscloudwatch.AlarmProps{
		AlarmDescription:   jsii.String(meaning + " " + a.docs + runbook(id)),
		Metric:             metric,
		Threshold:          &threshold,
		EvaluationPeriods:  &periods,
		ComparisonOperator: breached,
		TreatMissingData:   awscloudwatch.TreatMissingData_NOT_BREACHING,
	})
	alarm.AddAlarmAction(awscloudwatchactions.NewSnsAction(a.topic))
}

// runbook is where it is written what to do about an alarm, below docs: eltErrors is explained in elt-errors.md. Both
// streams fail alike, and both addresses of the metrics API.
func runbook(alarm string) string {
	for _, which := range []string{"Good", "Quarantine", "Signed", "Keyed"} {
		alarm = strings.TrimPrefix(alarm, which)
	}
	return "/runbooks/" + kebab(alarm) + ".md"
}

// kebab writes a name in small letters with hyphens between its words.
func kebab(name string) string {
	words := regexp.MustCompile("[A-Z]?[a-z0-9]+").FindAllString(name, -1)
	return strings.ToLower(strings.Join(words, "-"))
}

func (a alarms) onCollector(c collector) {
	a.when("CollectorFails", "The collector answers 5xx: browsers keep their events and try again. See its log.",
		c.api.MetricServerError(each("Sum")), serverErrors, 2)
	a.when("CollectorThrottled", "Lambda turns requests to the collector away: the account runs as much at once as it may.",
		c.function.MetricThrottles(each("Sum")), 1, 1)
}

func (a alarms) onSlack(s slack) {
	a.when("SlackFails", "Answers to proposals are not taken: people see that in Slack and can press again, or use verdict approve. See the log of the function slack.",
		s.api.MetricServerError(each("Sum")), 1, 1)
}

func (a alarms) onStreams(s streams, buffer time.Duration) {
	a.onStream("GoodStream", s.good, buffer)
	a.onStream("QuarantineStream", s.quarantine, buffer)
}

func (a alarms) onStream(id string, stream awskinesisfirehose.CfnDeliveryStream, buffer time.Duration) {
	metric := func(name, statistic string) awscloudwatch.Metric {
		return awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/Firehose"), MetricName: &name,
			DimensionsMap: &map[string]*string{"DeliveryStreamName": stream.Ref()},
			Period:        seconds(period), Statistic: &statistic,
		})
	}
	a.when(id+"Late", "Firehose holds events longer than it should: the lake falls behind. See its log.",
		metric("DeliveryToS3.DataFreshness", "Maximum"), lateness*buffer.Seconds(), 1)
	a.when(id+"Partitions", "Firehose keeps nearly as many days and namespaces open at once as it can (500).",
		metric("PartitionCount", "Maximum"), openPartitions*partitionsSoon, 1)
	a.when(id+"Scattered", "Events of more days and namespaces at once than Firehose takes (500): the rest goes to errors/.",
		metric("PartitionCountExceeded", "Maximum"), 1, 1)
	a.when(id+"Throttled", "Firehose takes no more at once: the collector tries again, then refuses what it could not store.",
		metric("ThrottledRecords", "Sum"), 1, 2)
}

func (a alarms) onFailed(queue awssqs.Queue) {
	a.when("EventsGivenUp", "A function gave up on an event, which waits in the queue with its error for 14 days.",
		queue.MetricApproximateNumberOfMessagesVisible(each("Maximum")), 1, 1)
}

func (a alarms) onErrors(all ...awslambda.IFunction) {
	for _, fn := range all {
		name := *fn.Node().Scope().Node().Id()
		a.when(name+"Errors", fmt.Sprintf("The function %s failed. What it did not do, its next run does; see its log.", name),
			fn.MetricErrors(each("Sum")), 1, 1)
	}
}

// onReadings watches what the monitor has read. The limits are those of shared/monitor, which has their reasons.
func (a alarms) onReadings() {
	for _, r := range monitor.Limits() {
		metric := awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String(emf.Space), MetricName: jsii.String(r.Name), Period: seconds(time.Hour), Statistic: jsii.String("Maximum"),
		})
		a.add("Reading-"+r.Name, r.Says+" See the log of the function monitor.", metric, r.Limit, 1, awscloudwatch.ComparisonOperator_GREATER_THAN_THRESHOLD)
	}
}

func each(statistic string) *awscloudwatch.MetricOptions {
	return &awscloudwatch.MetricOptions{Period: seconds(period), Statistic: &statistic}
}
