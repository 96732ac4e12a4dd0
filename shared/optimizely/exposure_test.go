package optimizely_test

import (
	"fmt"
	"testing"

	"github.com/optimizely/go-sdk/v2/pkg/client"
	"github.com/optimizely/go-sdk/v2/pkg/config"
	"github.com/optimizely/go-sdk/v2/pkg/decide"
	"github.com/optimizely/go-sdk/v2/pkg/event"
	"github.com/optimizely/go-sdk/v2/pkg/notification"

	"verdict/shared/feature"
	"verdict/shared/optimizely"
)

// quiet takes the client's own events, which would go to Optimizely.
type quiet struct{}

func (quiet) ProcessEvent(event.UserEvent) bool                 { return true }
func (quiet) OnEventDispatch(func(event.LogEvent)) (int, error) { return 0, nil }
func (quiet) RemoveOnEventDispatch(int) error                   { return nil }

// The real client, with the handler in its notification center: every user that the experiment buckets is
// exposed, and nobody else.
func TestDecisionsOfTheClientBecomeExposures(t *testing.T) {
	flags, err := optimizely.ReadDatafile([]byte(mixed), "")
	if err != nil {
		t.Fatal(err)
	}
	center := notification.NewNotificationCenter()
	var got []optimizely.Exposed
	if _, err := center.AddHandler(notification.Decision, optimizely.OnDecision(func() []feature.Flag { return flags }, func(e optimizely.Exposed) { got = append(got, e) })); err != nil {
		t.Fatal(err)
	}
	factory := client.OptimizelyFactory{SDKKey: "exposures"}
	optimizelyClient, err := factory.Client(
		client.WithConfigManager(config.NewStaticProjectConfigManagerWithOptions("", config.WithInitialDatafile([]byte(mixed)))),
		client.WithNotificationCenter(center), client.WithEventProcessor(quiet{}), client.WithOdpDisabled(true),
	)
	if err != nil {
		t.Fatal(err)
	}
	defer optimizelyClient.Close()
	bucketer, err := optimizely.NewBucketer([]byte(mixed))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for i := range 300 {
		user := fmt.Sprintf("u-%d", i)
		context := optimizelyClient.CreateUserContext(user, map[string]any{"country": "FR"})
		context.Decide("search", nil)
		context.Decide("banner", nil)
		context.Decide("search", []decide.OptimizelyDecideOptions{decide.DisableDecisionEvent})
		d, err := bucketer.Decide("search", user, map[string]any{"country": "FR"})
		if err != nil {
			t.Fatal(err)
		}
		if d.Kind == feature.Experiment {
			want[user] = d.Variation
		}
	}
	if len(want) < 20 || len(want) > 200 {
		t.Fatalf("%d of 300 users are in the experiment: the test shows nothing", len(want))
	}
	if len(got) != len(want) {
		t.Errorf("%d exposures, want %d", len(got), len(want))
	}
	for _, e := range got {
		if e.Flag != "search" || e.Rule != "fuzzy_search" || e.Variant != want[e.User] || e.Included != 0.2 {
			t.Errorf("%+v, want variant %q", e, want[e.User])
		}
	}
}

func TestOtherNotificationsAreIgnored(t *testing.T) {
	handler := optimizely.OnDecision(func() []feature.Flag { return nil }, func(e optimizely.Exposed) { t.Errorf("exposed %+v", e) })
	handler("a text")
	handler(notification.DecisionNotification{Type: notification.ABTest})
	handler(notification.DecisionNotification{Type: notification.Flag, DecisionInfo: map[string]any{"flagKey": 7}})
}
