package main

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// secrets are made empty; people fill them (docs/deploy.md). CloudFormation never knows a value.
type secrets struct {
	writeKeys, readKeys, flags, slack, signing, privacy awssecretsmanager.CfnSecret
}

func newSecrets(scope constructs.Construct, e Environment) secrets {
	scope = group(scope, "Secrets")
	secret := func(id, name, description string) awssecretsmanager.CfnSecret {
		s := awssecretsmanager.NewCfnSecret(scope, &id, &awssecretsmanager.CfnSecretProps{
			Name:        jsii.String("verdict/" + e.Name + "/" + name),
			Description: &description,
		})
		s.ApplyRemovalPolicy(e.removal(), nil)
		return s
	}
	return secrets{
		writeKeys: secret("WriteKeys", "write-keys", "JSON object: write key to namespace"),
		readKeys:  secret("ReadKeys", "read-keys", "JSON object: read key of the metrics API to who has it"),
		flags:     secret("Flags", "flags", "API token of the flag platform, plain text"),
		slack:     secret("Slack", "slack", "address of a Slack webhook or token of a bot, plain text"),
		privacy:   secret("Privacy", "privacy-key", "key under which persons are hashed, plain text of 32 bytes at least: keep a copy"),
		signing:   secret("Signing", "slack-signing", "signing secret of the Slack app, plain text"),
	}
}

// reading allows to read one secret.
func (secrets) reading(s awssecretsmanager.CfnSecret) awsiam.PolicyStatement {
	return allow([]string{"secretsmanager:GetSecretValue"}, s.Ref())
}
