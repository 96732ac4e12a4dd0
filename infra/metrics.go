package main

import (
	"fmt"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2authorizers"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/awsio/setting"
	"verdict/shared/metricsapi"
)

// metricsTimeout is just below the 30 seconds after which an HTTP API gives up.
const metricsTimeout = 29 * time.Second

// metrics answers programs. A route has one authorizer, so there are two APIs before the one function: one asks IAM, the
// other lets everybody through to the function, which asks for a key.
type metrics struct {
	signed, keyed awsapigatewayv2.HttpApi
	function      awslambda.Function
}

func newMetrics(scope constructs.Construct, f functions, d data) metrics {
	scope = group(scope, "metrics")
	settings := d.settings(d.queries.api)
	settings[setting.ReadKeys] = d.secrets.readKeys.Ref()
	settings[setting.QueryBytes] = jsii.String(fmt.Sprintf("%.0f", f.environment.ScanGiB.API*(1<<30)))
	m := metrics{function: f.add(scope, function{
		name:        "metrics",
		description: "Answers programs: metrics, their values and lineage, experiments",
		memory:      f.environment.JobMemory,
		timeout:     metricsTimeout,
		settings:    settings,
		allows:      append(d.querying(scope, d.queries.api, warehouse), d.secrets.reading(d.secrets.readKeys)),
	})}
	m.signed = m.api(group(scope, "Signed"), f, "metrics", awsapigatewayv2authorizers.NewHttpIamAuthorizer())
	m.keyed = m.api(group(scope, "Keyed"), f, "metrics-key", nil)
	output(scope, "SignedAddress", "of the metrics API; requests must be signed", m.signed.ApiEndpoint())
	output(scope, "KeyedAddress", "of the metrics API; requests need a read key", m.keyed.ApiEndpoint())
	return m
}

func (m metrics) api(scope constructs.Construct, f functions, name string, who awsapigatewayv2.IHttpRouteAuthorizer) awsapigatewayv2.HttpApi {
	api := awsapigatewayv2.NewHttpApi(scope, jsii.String("Api"), &awsapigatewayv2.HttpApiProps{
		ApiName:            jsii.String("verdict-" + f.environment.Name + "-" + name),
		CreateDefaultStage: jsii.Bool(false),
		DefaultAuthorizer:  who,
	})
	api.AddRoutes(&awsapigatewayv2.AddRoutesOptions{
		Path: jsii.String(metricsapi.Base + "/{proxy+}"), Methods: &[]awsapigatewayv2.HttpMethod{awsapigatewayv2.HttpMethod_GET},
		Integration: awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String("Function"), m.function, nil),
	})
	newStage(scope, f.environment, api, nil)
	return api
}

func (a alarms) onMetrics(m metrics) {
	const says = "The metrics API answers 5xx. See the log of the function metrics."
	a.when("SignedMetricsFails", says, m.signed.MetricServerError(each("Sum")), serverErrors, 2)
	a.when("KeyedMetricsFails", says, m.keyed.MetricServerError(each("Sum")), serverErrors, 2)
}
