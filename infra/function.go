package main

import (
	"maps"
	"path/filepath"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambdadestinations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/awsio/setting"
)

// functionNames lists the folders under functions/ that become Lambdas.
func functionNames() []string {
	return []string{"collector", "replay", "elt", "identity", "evaluator", "decider", "notifier", "dashboard", "metrics", "monitor", "canary", "slack", "privacy"}
}

// functions makes Lambdas of what `make functions` has built.
type functions struct {
	environment  Environment
	build        string
	hashes       bool // the tracking plan wants ids hashed
	architecture awslambda.Architecture
}

// architectures gives Lambda's names for Go's.
func architectures() map[string]awslambda.Architecture {
	return map[string]awslambda.Architecture{"arm64": awslambda.Architecture_ARM_64(), "amd64": awslambda.Architecture_X86_64()}
}

// retries is how often Lambda calls a function again that failed, a minute and two minutes later. A job whose statement
// outlives it follows the statement then: three lives of a job are longer than Athena lets a statement run (docs/adr/0009).
const retries = 2

// function is what one Lambda is told and what it may do. Its parts stand in a group of its name.
type function struct {
	name        string
	description string
	memory      float64
	timeout     time.Duration
	alone       bool               // one at a time
	failed      awssqs.IQueue      // takes events that it gave up on; nil: the caller is told
	settings    map[string]*string // beside the name of the environment
	allows      []awsiam.PolicyStatement
}

func (f functions) add(scope constructs.Construct, fn function) awslambda.Function {
	logs := awslogs.NewLogGroup(scope, jsii.String("Logs"), &awslogs.LogGroupProps{
		Retention: f.environment.LogDays, RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	// Lambda's usual managed policy would let it write to every log of the account.
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
	})
	role.AddToPolicy(allow([]string{"logs:CreateLogStream", "logs:PutLogEvents"}, logs.LogGroupArn()))
	for _, statement := range fn.allows {
		role.AddToPolicy(statement)
	}
	settings := map[string]*string{setting.Environment: &f.environment.Name}
	maps.Copy(settings, fn.settings)
	props := &awslambda.FunctionProps{
		Description:  &fn.description,
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Architecture: f.architecture,
		Handler:      jsii.String("bootstrap"),
		Code:         awslambda.Code_FromAsset(jsii.String(filepath.Join(f.build, fn.name)), nil),
		MemorySize:   &fn.memory,
		Timeout:      seconds(fn.timeout),
		Environment:  &settings,
		Role:         role,
		LogGroup:     logs,
		Tracing:      awslambda.Tracing_ACTIVE,
	}
	if fn.alone {
		props.ReservedConcurrentExecutions = jsii.Number(1)
	}
	if fn.failed != nil {
		props.OnFailure = awslambdadestinations.NewSqsDestination(fn.failed)
		props.RetryAttempts = jsii.Number(retries)
	}
	return awslambda.NewFunction(scope, jsii.String("Function"), props)
}

// newFailed is the queue of events that a function gave up on, for people to look at.
func newFailed(scope constructs.Construct) awssqs.Queue {
	return awssqs.NewQueue(group(scope, "Failed"), jsii.String("Queue"), &awssqs.QueueProps{
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: awscdk.Duration_Days(jsii.Number(14)), // the longest SQS keeps anything
	})
}

func seconds(d time.Duration) awscdk.Duration {
	return awscdk.Duration_Seconds(jsii.Number(d.Seconds()))
}
