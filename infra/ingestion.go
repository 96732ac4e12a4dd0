package main

import (
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigatewayv2integrations"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscertificatemanager"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"verdict/shared/awsio/setting"
)

// collectorTimeout leaves the stream time for a retry; a browser has given up on the page by then.
const collectorTimeout = 10 * time.Second

// collector is the door: an HTTP API and the function behind it, which also answers CORS.
type collector struct {
	api      awsapigatewayv2.HttpApi
	function awslambda.Function
	address  *string // where browsers and the canary send events
}

func newCollector(scope constructs.Construct, f functions, d data) collector {
	scope = group(scope, "collector")
	settings := map[string]*string{
		setting.GoodStream:       d.streams.good.Ref(),
		setting.QuarantineStream: d.streams.quarantine.Ref(),
		setting.WriteKeys:        d.secrets.writeKeys.Ref(),
		setting.Origins:          jsii.String(strings.Join(f.environment.Origins, " ")),
		setting.CookieDomain:     &f.environment.Cookie,
		setting.EdgeProof:        jsii.String(""),
	}
	allows := []awsiam.PolicyStatement{
		allow([]string{"firehose:PutRecordBatch"}, d.streams.good.AttrArn(), d.streams.quarantine.AttrArn()),
		d.secrets.reading(d.secrets.writeKeys),
	}
	if f.environment.Edge != (Edge{}) {
		settings[setting.EdgeProof] = jsii.String(f.environment.proofName())
		allows = append(allows, f.environment.readingProof(scope))
	}
	if f.hashes {
		settings[setting.PrivacyKey] = d.secrets.privacy.Ref()
		allows = append(allows, d.secrets.reading(d.secrets.privacy))
	}
	c := collector{
		api: awsapigatewayv2.NewHttpApi(scope, jsii.String("Api"), &awsapigatewayv2.HttpApiProps{
			ApiName:            jsii.String("verdict-" + f.environment.Name + "-collector"),
			CreateDefaultStage: jsii.Bool(false),
			// One address is enough, and only this one is behind the firewall.
			DisableExecuteApiEndpoint: jsii.Bool(f.environment.Edge != Edge{}),
		}),
		function: f.add(scope, function{
			name:        "collector",
			description: "Takes events, checks them and hands them to the streams",
			memory:      f.environment.CollectorMemory,
			timeout:     collectorTimeout,
			settings:    settings,
			allows:      allows,
		}),
	}
	behind := awsapigatewayv2integrations.NewHttpLambdaIntegration(jsii.String("Function"), c.function, nil)
	c.api.AddRoutes(&awsapigatewayv2.AddRoutesOptions{Path: jsii.String("/v1/events"), Methods: &[]awsapigatewayv2.HttpMethod{awsapigatewayv2.HttpMethod_ANY}, Integration: behind})
	for _, path := range []string{"/health", "/v1/plan"} {
		c.api.AddRoutes(&awsapigatewayv2.AddRoutesOptions{Path: &path, Methods: &[]awsapigatewayv2.HttpMethod{awsapigatewayv2.HttpMethod_GET}, Integration: behind})
	}
	newStage(scope, f.environment, c.api, c.domain(scope, f.environment.Domain))
	switch e := f.environment; {
	case e.Edge.Name != "":
		c.address = jsii.String("https://" + e.Edge.Name)
	case e.Domain.Name != "":
		c.address = jsii.String("https://" + e.Domain.Name)
	default:
		c.address = c.api.ApiEndpoint()
	}
	output(scope, "Address", "where the browser SDK sends events", c.address)
	return c
}

// domain gives the API the customer's own name; its DNS record is theirs to point at Target.
func (collector) domain(scope constructs.Construct, d Domain) *awsapigatewayv2.DomainMappingOptions {
	if d.Name == "" {
		return nil
	}
	name := awsapigatewayv2.NewDomainName(scope, jsii.String("Domain"), &awsapigatewayv2.DomainNameProps{
		DomainName:  &d.Name,
		Certificate: awscertificatemanager.Certificate_FromCertificateArn(scope, jsii.String("Certificate"), &d.Certificate),
	})
	output(scope, "Target", "what the DNS record of "+d.Name+" must be an alias of", name.RegionalDomainName())
	return &awsapigatewayv2.DomainMappingOptions{DomainName: name}
}
