package main

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsbudgets"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

const (
	// spent, in per cent of a budget: at the first there is time to look, at the second the month is going to be dear.
	spentSoon, spentAll = 80, 100

	// queryPrice is what Athena takes for reading 10¹² bytes, in USD (shared/cost/prices.yaml).
	queryPrice = 5
)

// newBudgets tell the topic of alarms what the environment's resources cost, which AWS knows some hours later. They
// are found by their tag, once it is activated for cost allocation (docs/deploy.md).
func newBudgets(scope constructs.Construct, e Environment, a alarms) {
	scope = group(scope, "Budgets")
	add := func(id, unit string, limit float64, notifications ...any) {
		if limit == 0 {
			return
		}
		awsbudgets.NewCfnBudget(scope, &id, &awsbudgets.CfnBudgetProps{
			Budget: &awsbudgets.CfnBudget_BudgetDataProperty{
				BudgetName:  jsii.String("verdict-" + e.Name + "-" + kebab(id)),
				BudgetType:  jsii.String("COST"),
				TimeUnit:    &unit,
				BudgetLimit: &awsbudgets.CfnBudget_SpendProperty{Amount: &limit, Unit: jsii.String("USD")},
				CostFilters: map[string]any{"TagKeyValue": []string{"user:" + tag + "$" + e.Name}},
			},
			NotificationsWithSubscribers: notifications,
		})
	}
	at := func(kind string, percent float64) any {
		return &awsbudgets.CfnBudget_NotificationWithSubscribersProperty{
			Notification: &awsbudgets.CfnBudget_NotificationProperty{
				NotificationType: &kind, ComparisonOperator: jsii.String("GREATER_THAN"), Threshold: &percent, ThresholdType: jsii.String("PERCENTAGE"),
			},
			Subscribers: []any{&awsbudgets.CfnBudget_SubscriberProperty{SubscriptionType: jsii.String("SNS"), Address: a.topic.TopicArn()}},
		}
	}
	add("CostPerMonth", "MONTHLY", e.Budget.Month, at("ACTUAL", spentSoon), at("FORECASTED", spentAll))
	add("CostPerDay", "DAILY", e.Budget.Day, at("ACTUAL", spentAll)) // AWS forecasts no days
}

// onQueries watches what can cost most within hours, before a budget knows of it.
func (a alarms) onQueries(e Environment, w workgroups) {
	if e.Budget.Day == 0 {
		return
	}
	metrics := map[string]awscloudwatch.IMetric{}
	for id, group := range map[string]workgroup{"pipeline": w.pipeline, "api": w.api, "adhoc": w.adHoc} {
		metrics[id] = awscloudwatch.NewMetric(&awscloudwatch.MetricProps{
			Namespace: jsii.String("AWS/Athena"), MetricName: jsii.String("ProcessedBytes"), DimensionsMap: &map[string]*string{"WorkGroup": &group.name},
			Period: seconds(day), Statistic: jsii.String("Sum"),
		})
	}
	cost := awscloudwatch.NewMathExpression(&awscloudwatch.MathExpressionProps{
		Expression:   jsii.String(fmt.Sprintf("%d * SUM([FILL(pipeline, 0), FILL(api, 0), FILL(adhoc, 0)]) / 1000000000000", queryPrice)),
		UsingMetrics: &metrics, Label: jsii.String("USD a day"), Period: seconds(day),
	})
	a.when("QueryCostPerDay", "What Athena reads today costs more than the day's whole budget.", cost, e.Budget.Day, 1)
}
