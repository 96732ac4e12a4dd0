package main

import (
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfrontorigins"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssecretsmanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awswafv2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/lambdaio"
)

const (
	// edgeRegion is where CloudFront looks for certificates and firewalls, wherever the rest is.
	edgeRegion = "us-east-1"
	// proofLength of the secret by which requests prove that they came through CloudFront.
	proofLength = 40
	// firewallWindow is what WAF counts over.
	firewallWindow = 5 * time.Minute
)

// collectorPaths are those that browsers call.
func collectorPaths() []string { return []string{"/v1/events", "/v1/plan"} }

// proofName is the secret's, which has the same in every region.
func (e Environment) proofName() string { return "verdict/" + e.Name + "/edge" }

// newEdge serves the site and the collector from one distribution, so that to a browser they are one server. The
// stack refers to no other, because it stands in another region: it reaches the collector by the name of its domain.
func newEdge(stage awscdk.Stage, e Environment) awscdk.Stack {
	stack := newStack(stage, e, "edge", edgeRegion, "Verdict: CloudFront before the site and the collector")
	d := e.Edge
	toSite := &awscloudfront.BehaviorOptions{
		Origin:               awscloudfrontorigins.NewHttpOrigin(&d.Site, https(nil)),
		AllowedMethods:       awscloudfront.AllowedMethods_ALLOW_ALL(),
		CachePolicy:          awscloudfront.CachePolicy_CACHING_DISABLED(), // what may be kept is the site's to know
		OriginRequestPolicy:  awscloudfront.OriginRequestPolicy_ALL_VIEWER_EXCEPT_HOST_HEADER(),
		ViewerProtocolPolicy: awscloudfront.ViewerProtocolPolicy_REDIRECT_TO_HTTPS,
	}
	toCollector := &awscloudfront.BehaviorOptions{
		Origin: awscloudfrontorigins.NewHttpOrigin(&e.Domain.Name, https(&map[string]*string{
			lambdaio.EdgeProof: newProof(stack, e),
		})),
		AllowedMethods:       awscloudfront.AllowedMethods_ALLOW_ALL(),
		CachePolicy:          awscloudfront.CachePolicy_CACHING_DISABLED(),
		OriginRequestPolicy:  newForwarding(stack),
		ViewerProtocolPolicy: awscloudfront.ViewerProtocolPolicy_HTTPS_ONLY,
	}
	behaviors := map[string]*awscloudfront.BehaviorOptions{}
	for _, path := range collectorPaths() {
		behaviors[path] = toCollector
	}
	props := &awscloudfront.DistributionProps{
		Comment:                jsii.String("Verdict " + e.Name + ": " + d.Name),
		DomainNames:            jsii.Strings(d.Name),
		Certificate:            awscertificatemanager.Certificate_FromCertificateArn(stack, jsii.String("Certificate"), &d.Certificate),
		MinimumProtocolVersion: awscloudfront.SecurityPolicyProtocol_TLS_V1_2_2021,
		HttpVersion:            awscloudfront.HttpVersion_HTTP2_AND_3,
		DefaultBehavior:        toSite,
		AdditionalBehaviors:    &behaviors,
	}
	if d.RequestsPerAddress > 0 {
		props.WebAclId = newFirewall(stack, e).AttrArn()
	}
	distribution := awscloudfront.NewDistribution(stack, jsii.String("Distribution"), props)
	output(stack, "Target", "what the DNS record of "+d.Name+" must be an alias of", distribution.DistributionDomainName())
	return stack
}

func https(headers *map[string]*string) *awscloudfrontorigins.HttpOriginProps {
	return &awscloudfrontorigins.HttpOriginProps{
		ProtocolPolicy:     awscloudfront.OriginProtocolPolicy_HTTPS_ONLY,
		OriginSslProtocols: &[]awscloudfront.OriginSslPolicy{awscloudfront.OriginSslPolicy_TLS_V1_2},
		CustomHeaders:      headers,
	}
}

// newProof makes a secret that nobody needs to know, and returns how CloudFront finds its value. A copy stands in the
// collector's region.
func newProof(stack awscdk.Stack, e Environment) *string {
	props := &awssecretsmanager.CfnSecretProps{
		Name:        jsii.String(e.proofName()),
		Description: jsii.String("proves to the collector that a request came through CloudFront"),
		GenerateSecretString: &awssecretsmanager.CfnSecret_GenerateSecretStringProperty{
			ExcludePunctuation: jsii.Bool(true), PasswordLength: jsii.Number(proofLength),
		},
	}
	if e.Region != edgeRegion {
		props.ReplicaRegions = []any{&awssecretsmanager.CfnSecret_ReplicaRegionProperty{Region: &e.Region}}
	}
	secret := awssecretsmanager.NewCfnSecret(stack, jsii.String("Proof"), props)
	return awscdk.SecretValue_SecretsManager(secret.Ref(), nil).UnsafeUnwrap() // a reference, which CloudFormation resolves
}

// readingProof allows the collector to read the copy, whose ARN ends in six characters that AWS chooses.
func (e Environment) readingProof(scope constructs.Construct) awsiam.PolicyStatement {
	return allow([]string{"secretsmanager:GetSecretValue"}, awscdk.Stack_Of(scope).FormatArn(&awscdk.ArnComponents{
		Service: jsii.String("secretsmanager"), Resource: jsii.String("secret"), ResourceName: jsii.String(e.proofName() + "-??????"),
		ArnFormat: awscdk.ArnFormat_COLON_RESOURCE_NAME,
	}))
}

// newForwarding hands on what the collector reads: of the site's cookies only its own.
func newForwarding(stack awscdk.Stack) awscloudfront.OriginRequestPolicy {
	return awscloudfront.NewOriginRequestPolicy(stack, jsii.String("Forwarding"), &awscloudfront.OriginRequestPolicyProps{
		Comment:             jsii.String("what the collector reads"),
		CookieBehavior:      awscloudfront.OriginRequestCookieBehavior_AllowList(jsii.String("verdict_nid")),
		QueryStringBehavior: awscloudfront.OriginRequestQueryStringBehavior_None(),
		HeaderBehavior: awscloudfront.OriginRequestHeaderBehavior_AllowList(
			jsii.String("Content-Type"), jsii.String("Origin"), jsii.String("User-Agent"), jsii.String("Sec-GPC"),
			jsii.String("X-Write-Key"), jsii.String(lambdaio.EdgeViewer)),
	})
}

// newFirewall blocks addresses that send too much, and those of which Amazon has bad reports, where events are taken.
// The rules that AWS manages for sites are left out: they refuse long bodies and look for exploits in what people type
// into a search box, and batches of events are both.
func newFirewall(stack awscdk.Stack, e Environment) awswafv2.CfnWebACL {
	measured := func(name string) *awswafv2.CfnWebACL_VisibilityConfigProperty {
		return &awswafv2.CfnWebACL_VisibilityConfigProperty{
			MetricName: &name, CloudWatchMetricsEnabled: jsii.Bool(true),
			SampledRequestsEnabled: jsii.Bool(false), // samples show addresses
		}
	}
	events := &awswafv2.CfnWebACL_StatementProperty{ByteMatchStatement: &awswafv2.CfnWebACL_ByteMatchStatementProperty{
		FieldToMatch:         &awswafv2.CfnWebACL_FieldToMatchProperty{UriPath: map[string]any{}},
		PositionalConstraint: jsii.String("STARTS_WITH"),
		SearchString:         jsii.String("/v1/"),
		TextTransformations:  []any{&awswafv2.CfnWebACL_TextTransformationProperty{Priority: jsii.Number(0), Type: jsii.String("NONE")}},
	}}
	return awswafv2.NewCfnWebACL(stack, jsii.String("Firewall"), &awswafv2.CfnWebACLProps{
		Description:      jsii.String("Verdict " + e.Name + " collector"),
		Scope:            jsii.String("CLOUDFRONT"),
		DefaultAction:    &awswafv2.CfnWebACL_DefaultActionProperty{Allow: &awswafv2.CfnWebACL_AllowActionProperty{}},
		VisibilityConfig: measured("verdict-" + e.Name),
		Rules: []any{
			&awswafv2.CfnWebACL_RuleProperty{
				Name: jsii.String("rate"), Priority: jsii.Number(0), VisibilityConfig: measured("rate"),
				// A browser takes 403 for a verdict on its batch and 429 for a request to wait.
				Action: &awswafv2.CfnWebACL_RuleActionProperty{Block: &awswafv2.CfnWebACL_BlockActionProperty{
					CustomResponse: &awswafv2.CfnWebACL_CustomResponseProperty{
						ResponseCode:    jsii.Number(429),
						ResponseHeaders: []any{&awswafv2.CfnWebACL_CustomHTTPHeaderProperty{Name: jsii.String("Retry-After"), Value: jsii.String("60")}},
					},
				}},
				Statement: &awswafv2.CfnWebACL_StatementProperty{RateBasedStatement: &awswafv2.CfnWebACL_RateBasedStatementProperty{
					AggregateKeyType: jsii.String("IP"), Limit: &e.Edge.RequestsPerAddress,
					EvaluationWindowSec: jsii.Number(firewallWindow.Seconds()), ScopeDownStatement: events,
				}},
			},
			&awswafv2.CfnWebACL_RuleProperty{
				Name: jsii.String("reputation"), Priority: jsii.Number(1), VisibilityConfig: measured("reputation"),
				OverrideAction: &awswafv2.CfnWebACL_OverrideActionProperty{None: map[string]any{}},
				Statement: &awswafv2.CfnWebACL_StatementProperty{ManagedRuleGroupStatement: &awswafv2.CfnWebACL_ManagedRuleGroupStatementProperty{
					VendorName: jsii.String("AWS"), Name: jsii.String("AWSManagedRulesAmazonIpReputationList"), ScopeDownStatement: events,
				}},
			},
		},
	})
}
