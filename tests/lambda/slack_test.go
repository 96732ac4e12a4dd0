package lambda_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/s3"
	"verdict/shared/awsio/setting"
	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/project"
)

// pressed is the event of somebody's pressing a button, as Slack signs it and API Gateway hands it over.
func pressed(secret, action, value, replies string) events.APIGatewayV2HTTPRequest {
	body := url.Values{"payload": {`{"type":"block_actions","user":{"id":"U1"},"response_url":"` + replies + `","actions":[{"action_id":"` + action + `","value":"` + value + `"}]}`}}.Encode()
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + at + ":" + body))
	request := events.APIGatewayV2HTTPRequest{RawPath: "/slack/actions", Body: body, Headers: map[string]string{
		"content-type": "application/x-www-form-urlencoded", "x-slack-request-timestamp": at, "x-slack-signature": "v0=" + hex.EncodeToString(mac.Sum(nil)),
	}}
	request.RequestContext.HTTP.Method = http.MethodPost
	return request
}

func TestSlackAsAWSRunsIt(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	bucket := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(bucket.Close)
	_, config := awstest.New(t, "secretsmanager", map[string]awstest.Action{"GetSecretValue": func([]byte) (any, error) {
		return map[string]string{"SecretString": "s3cret"}, nil
	}})
	topic, sns := awstest.New(t, "sns", map[string]awstest.Action{"Publish": func([]byte) (any, error) {
		return `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m1</MessageId></PublishResult></PublishResponse>`, nil
	}})
	var replies []string
	slack := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		replies = append(replies, string(body))
	}))
	t.Cleanup(slack.Close)
	credentials, err := config.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	objects := s3.New(aws.Config{Region: config.Region, BaseEndpoint: &bucket.URL, HTTPClient: bucket.Client(), Credentials: config.Credentials}, "lake")
	builtIn, err := project.BuiltIn()
	if err != nil {
		t.Fatal(err)
	}
	e := builtIn.Experiments[0]
	body, err := json.Marshal(decide.Decision{ID: "5b1b", ExperimentID: e.ID, Definition: e.Hash(), Verdict: decide.Ship, Action: decide.Conclude, Mode: "propose", Flag: e.Flag})
	if err != nil {
		t.Fatal(err)
	}
	if err := objects.Put(t.Context(), "decisions/"+e.ID+"/0000.json", body, lake.Create); err != nil {
		t.Fatal(err)
	}
	invoke := start(t, "slack", map[string]string{
		"AWS_REGION": config.Region, "AWS_ACCESS_KEY_ID": credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY": credentials.SecretAccessKey,
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": *config.BaseEndpoint, "AWS_ENDPOINT_URL_SNS": *sns.BaseEndpoint, "AWS_ENDPOINT_URL_S3": bucket.URL, "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
		setting.LakeBucket: "lake", setting.SlackSigning: "signing", setting.Approvers: "U1 U2", setting.AnswerTopic: "arn:aws:sns:eu-central-1:1:answered",
	})
	if answer := string(invoke(pressed("guess", "verdict_approve", e.ID+"/5b1b", slack.URL))); !strings.Contains(answer, `"statusCode":401`) {
		t.Errorf("a forged answer: %s", answer)
	}
	if _, err := objects.Get(t.Context(), "approvals/5b1b.json"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a forged answer was recorded: %v", err)
	}
	began := time.Now()
	if answer := string(invoke(pressed("s3cret", "verdict_approve", e.ID+"/5b1b", slack.URL))); !strings.Contains(answer, `"statusCode":200`) {
		t.Errorf("an answer: %s", answer)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %s, of the 3 seconds that Slack waits", took)
	}
	if body, err := objects.Get(t.Context(), "approvals/5b1b.json"); err != nil || !strings.Contains(string(body), `"approved"`) || !strings.Contains(string(body), `"U1"`) {
		t.Errorf("recorded %s, %v", body, err)
	}
	if answer := string(invoke(pressed("s3cret", "verdict_reject", e.ID+"/5b1b", slack.URL))); !strings.Contains(answer, `"statusCode":200`) {
		t.Errorf("the opposite: %s", answer)
	}
	if n := len(topic.Calls()); n != 1 || len(replies) != 2 || !strings.Contains(replies[1], "was approved already, by U1") {
		t.Errorf("the decider was told %d times, people %q", n, replies)
	}
}
