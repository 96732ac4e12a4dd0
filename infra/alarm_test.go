package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"verdict/shared/cost"
	"verdict/shared/monitor"
)

func TestEveryAlarmReachesTheTopic(t *testing.T) {
	alarms := all(t).of("AWS::CloudWatch::Alarm")
	// 5xx of the collector, of the metrics API and of slack, throttles, four of each stream, the queue, errors of each function, readings of the
	// monitor, and of queries' cost where there is a budget.
	if got, want := len(alarms), 3*(14+len(functionNames())+len(monitor.Limits()))+2; got != want {
		t.Errorf("got %d alarms, want %d", got, want)
	}
	for _, r := range alarms {
		if !strings.Contains(text(r.properties["AlarmActions"]), "AlarmsTopic") {
			t.Errorf("%s tells nobody", r)
		}
	}
}

func TestCostIsToldBeforeTheBill(t *testing.T) {
	budgets := map[string]any{}
	for _, r := range all(t).of("AWS::Budgets::Budget") {
		budget := in(r.properties, "Budget")
		budgets[text(budget["BudgetName"])] = in(budget, "BudgetLimit")["Amount"]
		if got := text(in(budget, "CostFilters")["TagKeyValue"]); !strings.Contains(got, "user:verdict:environment$") {
			t.Errorf("%s counts %s", r, got)
		}
		for _, n := range list(r.properties["NotificationsWithSubscribers"]) {
			for _, s := range list(n.(object)["Subscribers"]) {
				if !strings.Contains(text(s.(object)["Address"]), "AlarmsTopic") {
					t.Errorf("%s tells nobody", r)
				}
			}
		}
	}
	want := map[string]any{
		"verdict-staging-cost-per-month": 200.0, "verdict-staging-cost-per-day": 20.0,
		"verdict-prod-cost-per-month": 2000.0, "verdict-prod-cost-per-day": 150.0,
	}
	if diff := cmp.Diff(want, budgets); diff != "" {
		t.Errorf("budgets (-want +got):\n%s", diff)
	}
	for _, r := range all(t).of("AWS::SNS::TopicPolicy") {
		if strings.HasPrefix(r.id, "Alarms") && strings.Contains(text(r.properties), "budgets.amazonaws.com") == (r.stack == "dev/app") {
			t.Errorf("%s: budgets may publish where there are any: %s", r, text(r.properties))
		}
	}
	prices, err := cost.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := prices.Prices["athena_tb"].USD; got != queryPrice {
		t.Errorf("a query's price is %v in the list, and %v here", got, queryPrice)
	}
}

func TestAlarmsLinkWherePeopleRead(t *testing.T) {
	folder := t.TempDir()
	if err := build(folder); err != nil {
		t.Fatal(err)
	}
	e := dev()
	e.Docs = "https://git.example.com/verdict/docs"
	s, err := synthesize(folder, e)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range s.of("AWS::CloudWatch::Alarm") {
		if says := r.properties["AlarmDescription"].(string); !strings.Contains(says, " https://git.example.com/verdict/docs/runbooks/") {
			t.Errorf("%s says %q", r, says)
		}
	}
}
