package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/embedded/directory"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/slack"
)

// slackActions is where Slack sends what people press under a proposal.
const slackActions = "/slack/actions"

// answer is `verdict approve` and `verdict reject`. It needs no lock: it only adds an object, which the next run of the
// pipeline acts on.
func answer(answer decide.Answer) func(program, context.Context, *flag.FlagSet, []string) error {
	return func(p program, ctx context.Context, flags *flag.FlagSet, args []string) error {
		lakeDir := flags.String("lake", ".verdict/lake", "folder of the lake on this machine; on AWS people answer by Slack's buttons")
		projectDir := flags.String("project", "", "folder with events/ and athena-sql/ (default: built in)")
		login, _ := p.env("USER")
		by := flags.String("by", login, "who answers")
		asJSON := flags.Bool("json", false, "print the answer that stands as JSON")
		id, err := parseNamed(flags, args, "decision")
		if err != nil {
			return err
		}
		d, err := load(*projectDir)
		if err != nil {
			return err
		}
		store := &directory.Store{Root: *lakeDir}
		decision, err := findDecision(ctx, store, id)
		if err != nil {
			return err
		}
		given, err := p.approvals(d, store).Give(ctx, decision.ExperimentID, decision.ID, answer, *by)
		if err != nil {
			return err
		}
		if *asJSON {
			return p.printJSON(given)
		}
		then := "The rollout stays as it is."
		if given.Answer == decide.Approved {
			then = "The next run of the pipeline moves flag " + decision.Flag + " (verdict run; a running verdict serve does it by itself)."
		}
		fmt.Fprintf(p.out, "%s is %s by %s since %s: %s.\n%s\n", decision.ID, given.Answer, given.By, given.At.Format(time.DateTime), decision.Headline, then)
		return nil
	}
}

// findDecision finds a decision by its id, of which the beginning is enough.
func findDecision(ctx context.Context, objects lake.Objects, id string) (decide.Decision, error) {
	all, err := decide.History(ctx, objects, "")
	if err != nil {
		return decide.Decision{}, err
	}
	var found []decide.Decision
	for _, d := range all {
		if id != "" && strings.HasPrefix(d.ID, id) {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return decide.Decision{}, fault.New(fault.NotFound, "there is no decision %q in this lake; verdict experiment show ID lists them", id)
	default:
		return decide.Decision{}, fault.New(fault.Invalid, "%d decisions begin with %q: write more of it", len(found), id)
	}
}

func (p program) approvals(d definitions, objects lake.Objects) *decide.Approvals {
	listed, _ := p.env("VERDICT_APPROVERS")
	return &decide.Approvals{Objects: objects, Experiments: d.Experiments, Approvers: strings.Fields(listed), Now: p.now}
}

// actions is the handler behind slackActions; nil while no signing secret is configured.
func (p program) actions(h *home) http.Handler {
	secret, _ := p.env("VERDICT_SLACK_SIGNING_SECRET")
	if secret == "" {
		return nil
	}
	return &slack.Interactions{
		Secret:  func(context.Context) (string, error) { return secret, nil },
		Answers: p.approvals(definitions{Project: h.project}, h.store),
		Client:  &http.Client{Timeout: time.Second}, Now: h.now, Log: p.log,
	}
}
