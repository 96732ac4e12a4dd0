package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"verdict/shared/decide"
	"verdict/shared/fault"
	"verdict/shared/lake"
	"verdict/shared/restate"
)

const (
	digestKind = "digest"
	digests    = prefix + "_digest/" // what each day's said
	// remembered is how many days a digest looks back for what no digest has told.
	remembered = 7
)

// digest is a day's summary as it was put together: every channel gets the same, whenever it is sent.
type digest struct {
	Date     string    `json:"date"`
	Subject  string    `json:"subject"`
	Severity string    `json:"severity"`
	Sections []Section `json:"sections"`
	Told     []string  `json:"told"` // ids of the decisions of the last days that some digest has told
}

// summarize sends the day's digest to the channels that want one, from the hour on that each wants it at.
func (n *Notifier) summarize(ctx context.Context, decisions []decide.Decision, flips map[string]restate.Restatement) (sent int, err error) {
	for _, s := range n.Senders {
		policy := n.Policies[s.Channel()]
		local := n.Now().In(policy.zone())
		if !policy.Digest || local.Hour() < policy.DigestAt {
			continue
		}
		d, problem := n.digest(ctx, local.Format(time.DateOnly), decisions, flips)
		if problem != nil || len(d.Sections) == 0 {
			err = errors.Join(err, problem)
			continue
		}
		m := Message{ID: digestKind + "-" + d.Date, Kind: digestKind, Subject: d.Subject, Severity: d.Severity, Sections: d.Sections, Link: n.DashboardURL}
		_, did, problem := n.send(ctx, s, m.write())
		if did {
			sent++
		}
		if problem != nil {
			err = errors.Join(err, fmt.Errorf("notify %s of %s: %w", s.Channel(), m.ID, problem))
		}
	}
	return sent, err
}

// digest reads the day's digest, or puts it together if nobody has.
func (n *Notifier) digest(ctx context.Context, date string, decisions []decide.Decision, flips map[string]restate.Restatement) (digest, error) {
	key := digests + date + ".json"
	body, err := n.Objects.Get(ctx, key)
	if fault.Is(err, fault.NotFound) {
		if body, err = n.compile(ctx, date, decisions, flips); err != nil {
			return digest{}, err
		}
		if err = n.Objects.Put(ctx, key, body, lake.Create); fault.Is(err, fault.Conflict) {
			body, err = n.Objects.Get(ctx, key) // another run was first
		}
	}
	if err != nil {
		return digest{}, fmt.Errorf("keep digest: %w", err)
	}
	var d digest
	if err := json.Unmarshal(body, &d); err != nil {
		return d, fmt.Errorf("read digest of %s: %w", date, err)
	}
	return d, nil
}

// compile puts a digest together: what needs somebody, what changed, what runs.
func (n *Notifier) compile(ctx context.Context, date string, decisions []decide.Decision, flips map[string]restate.Restatement) ([]byte, error) {
	told, err := n.told(ctx, date)
	if err != nil {
		return nil, err
	}
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return nil, fmt.Errorf("read date of digest: %w", err)
	}
	since := day.AddDate(0, 0, -remembered).Format(time.DateOnly)
	out := digest{Date: date, Severity: Info}
	var attention, changed, runs []string
	for i, d := range decisions {
		last := i == len(decisions)-1 || decisions[i+1].ExperimentID != d.ExperimentID
		news := d.AsOf > since && (d.Verdict != decide.Running || d.Action != "")
		if news && !slices.Contains(told, d.ID) {
			changed = append(changed, d.Headline+". "+consequence(d))
		}
		if news {
			out.Told = append(out.Told, d.ID)
		}
		if flip, ok := flips[d.ID]; ok && d.AsOf > since {
			attention = append(attention, flip.Headline+".")
		}
		if !last {
			continue
		}
		if what := wants(d); what != "" {
			attention = append(attention, what)
		}
		if d.Verdict == decide.Running {
			runs = append(runs, d.Headline+".")
		}
	}
	undelivered, err := n.undelivered(ctx)
	if err != nil {
		return nil, err
	}
	attention = append(attention, undelivered...)
	for _, s := range []Section{{"Needs attention", attention}, {"Changed", changed}, {"Runs", runs}} {
		if len(s.Points) > 0 {
			out.Sections = append(out.Sections, s)
		}
	}
	if len(attention) > 0 {
		out.Severity = Warning
	}
	out.Subject = fmt.Sprintf("Experiments on %s: %d need attention, %d changed, %d run", date, len(attention), len(changed), len(runs))
	return json.MarshalIndent(out, "", "  ")
}

// wants says what somebody has to do about the decision that stands; empty: nothing.
func wants(d decide.Decision) string {
	switch {
	case d.Verdict == decide.Blocked:
		return d.Headline + ": " + strings.Join(texts(d.Reasons), " ")
	case d.Answerable():
		return d.Headline + " waits for an answer since " + d.AsOf + ": verdict approve " + d.ID + ", or reject."
	case d.Action != "" && d.AppliedAt.IsZero() && d.Change != "" && d.Answer != decide.Rejected:
		return d.Headline + " is " + d.Change
	}
	return ""
}

// told lists the decisions that the digest before has told, or the ones before it.
func (n *Notifier) told(ctx context.Context, date string) ([]string, error) {
	list, err := n.Objects.List(ctx, digests)
	if err != nil {
		return nil, fmt.Errorf("list digests: %w", err)
	}
	list = slices.DeleteFunc(list, func(o lake.Object) bool { return o.Key >= digests+date })
	if len(list) == 0 {
		return nil, nil
	}
	body, err := n.Objects.Get(ctx, list[len(list)-1].Key)
	if err != nil {
		return nil, fmt.Errorf("read digest: %w", err)
	}
	var before digest
	if err := json.Unmarshal(body, &before); err != nil {
		return nil, fmt.Errorf("read digest: %w", err)
	}
	return before.Told, nil
}

// undelivered says which channels do not get what they should.
func (n *Notifier) undelivered(ctx context.Context) ([]string, error) {
	all, err := Deliveries(ctx, n.Objects)
	if err != nil {
		return nil, err
	}
	waiting, last := map[string]int{}, map[string]Delivery{}
	var channels []string
	for _, d := range all {
		if d.Sent() || d.LastError == "" {
			continue
		}
		if waiting[d.Channel]++; waiting[d.Channel] == 1 {
			channels = append(channels, d.Channel)
		}
		if d.LastAttempt.After(last[d.Channel].LastAttempt) {
			last[d.Channel] = d
		}
	}
	var out []string
	for _, c := range channels {
		out = append(out, fmt.Sprintf("%d messages have not reached %s; last tried %s: %s.", waiting[c], c, clock(last[c].LastAttempt), last[c].LastError))
	}
	return out, nil
}
