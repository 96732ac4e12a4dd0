// Package main is Verdict on AWS, as a CDK app. Running it synthesizes every environment; the CDK
// command line deploys one:
//
//	make synth                 all environments into cdk.out
//	cdk deploy 'dev/*'         both stacks of one
//
// An environment (dev.go, staging.go, prod.go) is a CDK stage of two stacks: data holds what must
// outlive a deployment, app what can be made again from this repository. There are no custom
// resources: CloudFormation alone makes and removes everything.
package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/jsii-runtime-go"
)

func main() {
	err := run()
	jsii.Close()
	if err != nil {
		fmt.Fprintln(os.Stderr, "infra:", err)
		os.Exit(1)
	}
}

func run() error {
	// The CDK command line says where it wants the result.
	app := awscdk.NewApp(&awscdk.AppProps{Outdir: jsii.String(cmp.Or(os.Getenv("CDK_OUTDIR"), "cdk.out"))})
	if err := addEnvironments(app, ".build", dev(), staging(), prod()); err != nil {
		return err
	}
	app.Synth(nil)
	return nil
}
