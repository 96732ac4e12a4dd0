package main

import (
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/awsio/setting"
)

const (
	slackMemory = 512 // MB: a share of a CPU with which it starts and answers within Slack's 3 seconds
	// slackTimeout is past the 3 seconds that Slack waits: what was not recorded by then was not taken.
	slackTimeout = 5 * time.Second
	// People press buttons; whoever sends more is none of them.
	slackRate, slackBurst = 5, 10
)

// slack is where Slack sends what people press under a proposal: anybody may call it, and only what Slack has signed
// counts (shared/slack).
type slack struct {
	api      awsapigatewayv2.HttpApi
	function awslambda.Function
	answered awssns.Topic // tells the decider
}

func newSlack(scope constructs.Construct, f functions, d data) slack {
	scope = group(scope, "slack")
	answered := awssns.NewTopic(scope, jsii.String("Answered"), &awssns.TopicProps{
		DisplayName: jsii.String("Verdict " + f.environment.Name + ": a proposal was answered"), EnforceSSL: jsii.Bool(true),
	})
	allows := append(d.lake.reading(decisions, approvals), d.lake.writing(approvals)...)
	allows = append(allows, d.secrets.reading(d.secrets.signing), allow([]string{"sns:Publish"}, answered.TopicArn()))
	s := slack{
		answered: answered,
		api: awsapigatewayv2.NewHttpApi(scope, jsii.String("Api"), &awsapigatewayv2.HttpApiProps{
			ApiName: jsii.String("verdict-" + f.environment.Name + "-slack"), CreateDefaultStage: jsii.Bool(false),
		}),
		function: f.add(scope, function{
			name:        "slack",
			description: "Takes what people answer to proposals in Slack",
			memory:      slackMemory,
			timeout:     slackTimeout,
			settings: map[string]*string{
				setting.LakeBucket:   d.lake.bucket.BucketName(),
				setting.SlackSigning: d.secrets.signing.Ref(),
				setting.Approvers:    jsii.String(strings.Join(f.environment.Slack.Approvers, " ")),
				setting.AnswerTopic:  answered.TopicArn(),
			},
			allows: allows,
		}),
	}
	s.api.AddRoutes(&awsapigatewayv2.AddRoutesOptions{
		Path: jsii.String("/slack/actions"), Methods: &[]awsapigatewayv2.HttpMethod{awsapigatewayv2.HttpMethod_POST},
		Integration: awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String("Function"), s.function, nil),
	})
	e := f.environment
	e.RequestsPerSecond, e.RequestBurst = slackRate, slackBurst
	newStage(scope, e, s.api, nil)
	output(scope, "Address", "request URL of the Slack app: add /slack/actions", s.api.ApiEndpoint())
	return s
}
