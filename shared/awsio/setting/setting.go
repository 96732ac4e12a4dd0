// Package setting names the environment variables through which infra tells the Lambdas where
// their resources are. Both sides use these names, so they cannot drift apart.
package setting

// The variables. A Lambda gets those it uses and no other.
const (
	Environment      = "VERDICT_ENV"        // dev, staging or prod
	LakeBucket       = "LAKE_BUCKET"        // name of the S3 bucket
	GoodStream       = "GOOD_STREAM"        // Firehose stream of events that keep their contract
	QuarantineStream = "QUARANTINE_STREAM"  // Firehose stream of the others
	GlueDatabase     = "GLUE_DATABASE"      // database of all tables
	AthenaWorkgroup  = "ATHENA_WORKGROUP"   // workgroup whose limits apply
	StateTable       = "STATE_TABLE"        // DynamoDB table of leases
	DecisionTopic    = "DECISION_TOPIC_ARN" // SNS topic that people and the notifier subscribe to
	WriteKeys        = "WRITE_KEYS_SECRET"  // secret: JSON object, write key -> namespace
	ReadKeys         = "READ_KEYS_SECRET"   // secret: JSON object, read key -> who has it
	PrivacyKey       = "PRIVACY_SECRET"     // secret: key under which persons are hashed, plain text
	QueryBytes       = "QUERY_BYTES"        // what a question to the metrics API may read
	Origins          = "ALLOWED_ORIGINS"    // sites that may send events, separated by spaces; empty: all
	CookieDomain     = "COOKIE_DOMAIN"      // site of the network user id's cookie; empty: no cookie
	EdgeProof        = "EDGE_SECRET"        // secret: what CloudFront adds to requests; empty: the collector is reached directly
	CollectorURL     = "COLLECTOR_URL"      // address of the collector
	Listen           = "COLLECTOR_LISTEN"   // address to serve HTTP on, in a container; unset in a Lambda
	FlagPlatform     = "FLAG_PLATFORM"      // Optimizely or LaunchDarkly, below
	FlagToken        = "FLAG_SECRET"        // secret: the platform's API token, plain text
	FlagProject      = "FLAG_PROJECT"       // project id or key
	FlagStage        = "FLAG_ENVIRONMENT"   // environment key on the platform
	FlagURL          = "FLAG_BASE_URL"      // of the REST API
	Datafile         = "FLAG_DATAFILE_URL"  // of the environment's datafile, with Optimizely
	SlackWebhook     = "SLACK_SECRET"       // secret: a webhook's address or a bot's token, plain text
	SlackChannel     = "SLACK_CHANNEL"      // that the bot posts to; a webhook has its own
	SlackButtons     = "SLACK_BUTTONS"      // "yes": proposals can be answered in Slack
	SlackSigning     = "SLACK_SIGNING"      // secret: the app's signing secret, plain text
	Approvers        = "APPROVERS"          // ids of who may answer, separated by spaces; empty: everybody in the channel
	AnswerTopic      = "ANSWER_TOPIC_ARN"   // SNS topic that tells the decider of an answer
	Policies         = "NOTIFY_POLICIES"    // what each channel wants to be spared (shared/notify), may be empty
	Lineage          = "OPENLINEAGE_URL"    // OpenLineage endpoint that is told of runs; may be unset
	Dashboard        = "DASHBOARD_URL"      // for links in messages; may be empty
)

// Yes is the value of a setting that is on; one that is off is empty.
const Yes = "yes"

// The flag platforms.
const (
	Optimizely   = "optimizely"
	LaunchDarkly = "launchdarkly"
)
