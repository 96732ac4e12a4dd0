package privacy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"verdict/shared/fault"
	"verdict/shared/identity"
	"verdict/shared/lake"
)

// erasure is a request with what it will do. It is written down before anything is changed: once the lines that link a
// person's ids are gone, nobody could find them again.
type erasure struct {
	Request
	Found []string  `json:"found,omitempty"` // all ids of the person
	Apart []pair    `json:"apart,omitempty"` // of others, who must stay apart
	Files []touched `json:"files,omitempty"`
}

// Ask takes down a request. The same wish, asked for again before it is done, is the same request.
func (o *Officer) Ask(ctx context.Context, r Request) error {
	if err := errors.Join(r.check(), o.Key.Check()); err != nil {
		return err
	}
	body, err := json.MarshalIndent(erasure{Request: r}, "", "  ")
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	if err := o.Store.Put(ctx, requests+o.name(r)+".json", body, lake.Create); err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil
}

// Work does what is asked for and not done yet, people's requests and those that were cut off alike, and returns what
// was done. A request that makes no sense is complained of and holds nothing up.
func (o *Officer) Work(ctx context.Context) ([]Audit, error) {
	objects, err := o.Store.List(ctx, requests)
	if err != nil {
		return nil, err
	}
	if len(objects) > 0 {
		if err := o.Key.Check(); err != nil {
			return nil, err
		}
	}
	var done []Audit
	var refused []error
	for _, object := range objects {
		a, err := o.one(ctx, object.Key)
		if errors.Is(err, errEarly) {
			continue
		}
		if fault.Is(err, fault.Invalid) {
			refused = append(refused, err)
			continue
		}
		if err != nil {
			return done, err
		}
		done = append(done, a)
	}
	if refused != nil {
		return done, fault.New(fault.Invalid, "work on privacy requests: %w", errors.Join(refused...))
	}
	return done, nil
}

// errEarly says that a request waits for what is under way.
var errEarly = errors.New("accepted events may not have landed")

// one works on the request of a key and then forgets it, with the ids in it.
func (o *Officer) one(ctx context.Context, key string) (Audit, error) {
	e, err := read[erasure](ctx, o.Store, key)
	if err != nil {
		return Audit{}, err
	}
	if err := e.check(); err != nil {
		return Audit{}, fmt.Errorf("%s: %w", key, err)
	}
	if e.At.IsZero() { // put there by hand: it counts from when it is first seen
		e.At = o.Now().UTC()
		if err := o.keep(ctx, key, e); err != nil {
			return Audit{}, err
		}
	}
	if o.Now().Sub(e.At) < o.Settle {
		return Audit{}, errEarly
	}
	var a Audit
	if e.Action == Export {
		a, err = o.handOver(ctx, e.Request)
	} else {
		a, err = o.erase(ctx, key, e)
	}
	if err != nil {
		return a, fmt.Errorf("%s for %s: %w", e.Action, e.By, err)
	}
	return a, o.Store.Delete(ctx, key)
}

// erase does each step such that doing it again changes nothing, and the request is forgotten last.
func (o *Officer) erase(ctx context.Context, key string, e erasure) (Audit, error) {
	a := Audit{Action: Erase, By: e.By, At: e.At, Lines: map[string]int64{}}
	if e.Found == nil {
		if err := o.prepare(ctx, key, &e); err != nil {
			return a, err
		}
	}
	p := person{map[string]bool{}, o.Key}
	for _, id := range e.Found {
		p.ids[id] = true
	}
	if err := o.suppress(ctx, p, e.At); err != nil {
		return a, err
	}
	for _, f := range e.Files {
		if err := o.rewrite(ctx, p, f.Key); err != nil {
			return a, err
		}
		a.Files++
		a.Lines[f.area()] += f.Lines
		a.Erased = append(a.Erased, f.Hours...)
	}
	if err := o.keepApart(ctx, p, e); err != nil {
		return a, err
	}
	if err := o.Rebuild(ctx); err != nil && !fault.Is(err, fault.NotFound) { // nothing has ever landed
		return a, err
	}
	for _, name := range o.Tables {
		n, err := o.clean(ctx, p, name)
		if err != nil {
			return a, err
		}
		a.Objects += n
	}
	a.Persons, a.Done = o.hashes(e.Found), o.Now().UTC()
	return a, o.audit(ctx, e.Request, a)
}

// prepare finds out whom and what an erasure is about, and writes it down.
func (o *Officer) prepare(ctx context.Context, key string, e *erasure) error {
	p, err := o.find(ctx, e.IDs)
	if err != nil {
		return err
	}
	e.Found = p.sorted()
	if e.Apart, err = o.shared(ctx, p); err != nil {
		return err
	}
	if e.Files, err = o.files(ctx, p); err != nil {
		return err
	}
	return o.keep(ctx, key, *e)
}

// keep writes down what is known of a request.
func (o *Officer) keep(ctx context.Context, key string, e erasure) error {
	body, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	return o.Store.Put(ctx, key, body, lake.Overwrite)
}

// pair is a device and one of its users.
type pair struct {
	Device string `json:"device" lake:"anonymous_id"`
	User   string `json:"user" lake:"user_id"`
}

// shared lists the other users of the devices that the person shared. With the person gone such a device would look
// like theirs alone, and its anonymous events would become theirs.
func (o *Officer) shared(ctx context.Context, p person) ([]pair, error) {
	_, err := o.Catalog.Table(ctx, "identity_edge")
	if users := p.named("u:"); !fault.Is(err, fault.NotFound) && users != nil {
		listed := lake.QuoteList(users)
		return lake.Read[pair](ctx, o.Engine, `select anonymous_id, user_id from identity_edge where user_id not in (`+listed+`)
and anonymous_id in (select anonymous_id from identity_edge where user_id in (`+listed+`)) order by anonymous_id, user_id`)
	}
	return nil, nil
}

// keepApart changes people's word on who is who: it no longer names the person, and keeps devices that were shared from
// being taken for somebody's own.
func (o *Officer) keepApart(ctx context.Context, p person, e erasure) error {
	if err := identity.Forget(ctx, o.Store, p.ids); err != nil {
		return err
	}
	for _, s := range e.Apart {
		v := identity.Veto{A: "a:" + s.Device, B: "u:" + s.User, Reason: "a shared device, one of whose users was erased", At: e.At}
		if err := identity.Forbid(ctx, o.Store, v); err != nil {
			return err
		}
	}
	return o.Store.Prune(ctx, identity.VetoKey)
}

// clean takes the person's rows out of what a rebuild leaves as it was: a log, and days whose landed files are no
// longer kept. Then it ends the runs that are not in force, which hold the rows still; it returns how many objects that
// were.
func (o *Officer) clean(ctx context.Context, p person, name string) (ended int, err error) {
	t, err := o.Catalog.Table(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	mine := p.condition(t.Columns)
	if mine == "" {
		return 0, nil
	}
	if err := o.filter(ctx, t, "not "+mine, mine); err != nil {
		return 0, fmt.Errorf("clean %s: %w", name, err)
	}
	return o.endRuns(ctx, name)
}

// mostPartitions is how many partitions one statement writes: Athena's limit is 100.
const mostPartitions = 90

// filter publishes the partitions in which a condition holds anew, with the rows to keep. They say that they were made
// from what they were made from before: they are not out of date.
func (o *Officer) filter(ctx context.Context, t lake.Table, keep, holds string) error {
	stale, err := o.holding(ctx, t, holds)
	if err != nil {
		return err
	}
	for len(stale) > 0 {
		n := min(len(stale), mostPartitions)
		if err := o.publish(ctx, t, stale[:n], keep); err != nil {
			return err
		}
		stale = stale[n:]
	}
	return nil
}

// holding lists the partitions of a table that hold such rows.
func (o *Officer) holding(ctx context.Context, t lake.Table, holds string) ([]lake.Partition, error) {
	values := "1"
	if len(t.PartitionBy) > 0 {
		values = strings.Join(t.PartitionBy, ", ")
	}
	found, err := o.Engine.Query(ctx, "select distinct "+values+" from "+t.Name+" where "+holds)
	if err != nil || len(found.Rows) == 0 {
		return nil, err
	}
	if len(t.PartitionBy) == 0 {
		return t.Partitions, nil
	}
	there := map[string]bool{}
	for _, row := range found.Rows {
		var of []string
		for _, v := range row {
			of = append(of, *v)
		}
		there[strings.Join(of, "/")] = true
	}
	var out []lake.Partition
	for _, part := range t.Partitions {
		if there[strings.Join(part.Values, "/")] {
			out = append(out, part)
		}
	}
	return out, nil
}

// publish writes the rows to keep of some partitions and shows them in place of what stood there.
func (o *Officer) publish(ctx context.Context, t lake.Table, parts []lake.Partition, keep string) error {
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, c.Name)
	}
	prefix := "warehouse/" + t.Name + "/run=" + o.NewRun() + "/"
	fresh := lake.Table{Name: t.Name, Columns: t.Columns, PartitionBy: t.PartitionBy}
	var these []string
	for _, part := range parts {
		var folders, equal []string
		for i, name := range t.PartitionBy {
			folders = append(folders, name+"="+part.Values[i]+"/")
			equal = append(equal, name+" = "+lake.Quote(part.Values[i]))
		}
		these = append(these, "("+strings.Join(equal, " and ")+")")
		fresh.Partitions = append(fresh.Partitions, lake.Partition{Values: part.Values, Location: prefix + strings.Join(folders, ""), Source: part.Source})
	}
	where := keep
	if len(t.PartitionBy) > 0 {
		where = "(" + strings.Join(these, " or ") + ") and " + keep
	}
	query := "select " + strings.Join(append(columns, t.PartitionBy...), ", ") + " from " + t.Name + " where " + where
	if err := o.Engine.Unload(ctx, query, prefix, t.PartitionBy); err != nil {
		return err
	}
	return o.Catalog.Publish(ctx, fresh)
}

// endRuns removes all objects of a table that no partition in force holds.
func (o *Officer) endRuns(ctx context.Context, name string) (ended int, err error) {
	t, err := o.Catalog.Table(ctx, name)
	if err != nil {
		return 0, err
	}
	objects, err := o.Store.List(ctx, "warehouse/"+name+"/")
	if err != nil {
		return 0, err
	}
	for _, object := range objects {
		if inForce(t, object.Key) {
			continue
		}
		if err := o.Store.Delete(ctx, object.Key); err != nil {
			return ended, err
		}
		ended++
	}
	return ended, nil
}

func inForce(t lake.Table, key string) bool {
	for _, p := range t.Partitions {
		if strings.HasPrefix(key, p.Location) {
			return true
		}
	}
	return false
}
