package dashboard_test

import (
	"encoding/json"
	"strings"
	"testing"

	"verdict/shared/register"
)

// What was planned, and every later change of it, stands on the readout and in its JSON.
func TestTheChangeLog(t *testing.T) {
	h := handler(t, publish(t, simulate(defined(t))))
	for id, wants := range map[string][]string{
		"cart_service_rewrite": {
			"7 Jan 2026 Registered before its results were computed, 2 days after its start: what was planned until then is not known Definition 0123 · registration aaaa",
			"12 Jan 2026 metrics.returned_d1_d4.margin 0.05 → 0.08 planned_days 14 → 21 foreseen: within the registered maximum name nothing → ",
		},
		"gift_wrap":      {"Registered before its results were computed Definition", "No change since, of the experiment or of its metrics."},
		"new_navigation": {"Not registered yet."},
	} {
		mustRead(t, words(get(t, h, "/experiments/"+id)), wants...)
	}
	if body := get(t, h, "/experiments/cart_service_rewrite").Body.String(); strings.Contains(body, hostile) || !strings.Contains(body, "&lt;script&gt;") {
		t.Error("a changed name becomes markup")
	}
	var detail struct{ Registrations []register.Entry }
	if err := json.Unmarshal(get(t, h, "/experiments/cart_service_rewrite.json").Body.Bytes(), &detail); err != nil {
		t.Fatal(err)
	}
	if r := detail.Registrations; len(r) != 2 || r[0].Hash != "aaaa" || len(r[1].Changes) != 3 || !r[1].Changes[1].Foreseen {
		t.Errorf("registrations %+v", r)
	}
}
