package sns_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"verdict/shared/awsio/awstest"
	"verdict/shared/awsio/sns"
	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/notify"
)

func message() notify.Message {
	return notify.Compose(decide.Decision{
		ID: "d1", ExperimentID: "checkout", Verdict: decide.Ship, Variant: "treatment", Headline: "Ship treatment – of One-page\ncheckout",
		Reasons: []decide.Reason{{Code: "goal_better", Text: "Conversion is better: +17.8 %."}},
	}, "https://verdict.example.com")
}

func TestSend(t *testing.T) {
	var got map[string]string
	_, config := awstest.New(t, "sns", map[string]awstest.Action{"Publish": func(input []byte) (any, error) {
		if err := json.Unmarshal(input, &got); err != nil {
			return nil, err
		}
		return `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m1</MessageId></PublishResult></PublishResponse>`, nil
	}})
	m := message()
	if err := sns.New(config, "arn:aws:sns:eu-central-1:1:decisions").Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got["TopicArn"] != "arn:aws:sns:eu-central-1:1:decisions" || got["Message"] != m.Text || got["Subject"] != "Ship treatment ? of One-page?checkout" {
		t.Errorf("sent %v", got)
	}
	attributes := map[string]string{}
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		entry := "MessageAttributes.entry." + n + "."
		attributes[got[entry+"Name"]] = got[entry+"Value.DataType"] + " " + got[entry+"Value.StringValue"]
	}
	for name, want := range map[string]string{"decision_id": "String d1", "experiment_id": "String checkout", "severity": "String info", "verdict": "String ship"} {
		if attributes[name] != want {
			t.Errorf("attribute %s: %q, want %q", name, attributes[name], want)
		}
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		code   string
		class  fault.Class
	}{
		"throttled": {http.StatusBadRequest, "Throttled", fault.Transient},
		"wrong":     {http.StatusBadRequest, "InvalidParameter", fault.Invalid},
		"no topic":  {http.StatusNotFound, "NotFound", fault.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			_, config := awstest.New(t, "sns", map[string]awstest.Action{"Publish": func([]byte) (any, error) {
				return nil, &awstest.RefusalError{Status: c.status, Code: c.code, Message: "no", XML: true}
			}})
			if err := sns.New(config, "arn:aws:sns:eu-central-1:1:decisions").Send(t.Context(), message()); fault.Of(err) != c.class {
				t.Errorf("%v (%s), want %s", err, fault.Of(err), c.class)
			}
		})
	}
}
