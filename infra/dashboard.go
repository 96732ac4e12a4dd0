package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2authorizers"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// dashboardTimeout is just below the 30 seconds after which an HTTP API gives up.
const dashboardTimeout = 29 * time.Second

// dashboard shows what was decided and why, to those whom IAM lets call the API.
type dashboard struct {
	api      awsapigatewayv2.HttpApi
	function awslambda.Function
}

func newDashboard(scope constructs.Construct, f functions, d data) dashboard {
	scope = group(scope, "dashboard")
	b := dashboard{
		api: awsapigatewayv2.NewHttpApi(scope, jsii.String("Api"), &awsapigatewayv2.HttpApiProps{
			ApiName:            jsii.String("verdict-" + f.environment.Name + "-dashboard"),
			CreateDefaultStage: jsii.Bool(false),
			DefaultAuthorizer:  awsapigatewayv2authorizers.NewHttpIamAuthorizer(),
		}),
		function: f.add(scope, function{
			name:        "dashboard",
			description: "Shows what was decided and why",
			memory:      f.environment.JobMemory,
			timeout:     dashboardTimeout,
			settings:    d.settings(d.queries.api),
			allows:      d.querying(scope, d.queries.api, warehouse, bundles, approvals),
		}),
	}
	behind := awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String("Function"), b.function, nil)
	for _, path := range []string{"/", "/{proxy+}"} {
		b.api.AddRoutes(&awsapigatewayv2.AddRoutesOptions{Path: &path, Methods: &[]awsapigatewayv2.HttpMethod{awsapigatewayv2.HttpMethod_GET}, Integration: behind})
	}
	newStage(scope, f.environment, b.api, nil)
	output(scope, "Address", "of the dashboard; requests must be signed", b.api.ApiEndpoint())
	return b
}
