# %% [markdown]
# # {{line .Experiment.Name}}
#
# {{line .Experiment.Hypothesis}}
#
# Readout as of **{{date .AsOf}}**, written by `verdict notebook {{.Experiment.ID}}`. Run it from top to bottom. It
#
# 1. measures the experiment again, with the engine's own query, and compares with the stored statistics;
# 2. computes effects, lifts and intervals from the statistics, and compares with the stored readout to within 1e-9;
# 3. looks deeper into *{{line .Metric.Label}}*: segments, funnel, time, novelty, outliers, identity.
#
# It needs {{if eq .Engine "athena"}}`pyathena`{{else}}`duckdb`{{end}}, `pandas`, `scipy` and `matplotlib`. Whoever looks at
# many cuts finds some that stand out by chance: the deep dives explain a readout, they do not replace it.

# %%
import json
import math
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from scipy import stats

EXPERIMENT = {{python .Experiment.ID}}
AS_OF = {{python (date .AsOf)}}
CONTROL = {{python .Experiment.Control}}
VARIANTS = {{python .Treatments}}
ALPHA = {{.Experiment.Alpha}}
START, END = {{python (date .Experiment.Start.Time)}}, {{python (date .Experiment.End)}}  # first day, day after the last
PLANNED_UNITS = {{.Experiment.PlannedUnits}}
DEFINITION = {{python .Experiment.Hash}}  # of the experiment, when this was written
METRIC = {{python .Metric.Name}}  # of the deep dives
METRICS = json.loads({{python .MetricsJSON}})
FUNNEL = {{python .Funnel}}

{{if eq .Engine "athena" -}}
# %% [markdown]
# ## Connect to Athena
#
# Credentials are those of the environment, as for any AWS tool. Every query is billed by the bytes it reads.

# %%
import pyathena

connection = pyathena.connect(schema_name={{python .Athena.Database}}, work_group={{python .Athena.Workgroup}})


def query(sql):
    cursor = connection.cursor().execute(sql)
    return pd.DataFrame(cursor.fetchall(), columns=[c[0] for c in cursor.description])
{{- else -}}
# %% [markdown]
# ## Open the lake
#
# The tables are Parquet files; the lake's catalog says which. The macros give DuckDB's functions their meaning on Athena.

# %% hidden
MACROS = r"""
{{.Local.Macros}}"""

# %%
import duckdb

LAKE = Path({{python .Local.Lake}})
connection = duckdb.connect()
connection.execute("set TimeZone = 'UTC'; set preserve_insertion_order = false")
connection.execute(MACROS)


def declare(table):
    """Makes a table of the lake's catalog readable under its name."""
    files = [LAKE / p["location"] / "*.parquet" for p in table["partitions"]]
    files = [str(f) for f in files if list(f.parent.glob(f.name))]
    keys = table.get("partition_by", [])
    columns = [(c["name"], c["type"].replace("(3)", "")) for c in table["columns"]] + [(k, "varchar") for k in keys]
    value = '"%s"' if files else "null -- %s\n"
    sql = ", ".join("cast(%s as %s) as \"%s\"" % (value % name, kind, name) for name, kind in columns)
    sql = "create or replace view %s as select %s" % (table["name"], sql)
    if files:
        types = ", hive_types = {%s}" % ", ".join(k + ": varchar" for k in keys) if keys else ""
        hive = "hive_partitioning = %s%s" % ("true" if keys else "false", types)
        sql += " from read_parquet([%s], union_by_name = true, %s)" % (
            ", ".join("'%s'" % f.replace("'", "''") for f in files), hive)
    else:
        sql += " where false"
    connection.execute(sql)


for entry in sorted((LAKE / "catalog").glob("*.json")):
    if not entry.stem.endswith("__audit"):
        declare(json.loads(entry.read_text()))


def query(sql):
    return connection.execute(sql).df()
{{- end}}

# %% [markdown]
# ## 1. Measure again
#
# The query that reduced events to sufficient statistics: one row per variant and day of first exposure, each metric's
# columns by its position.

# %%
MEASURE = r"""
{{.Measure}}
"""
measured = query(MEASURE)
statistics = query(r"""
select *
from fact_experiment_statistic
where experiment_id = {{text .Experiment.ID}}
    and as_of = {{day .AsOf}}
""")
assert len(statistics), "there are no statistics as of %s: run `verdict run --as-of %s` first" % (AS_OF, AS_OF)


# Who is who is as it is known now. Of a day before the last, ids may have been recognised since as one person's: what then
# differs is counted. Of the last, nothing may.
LATEST = bool(query(r"""
select max(as_of) = {{day .AsOf}} as latest
from fact_experiment_results
where experiment_id = {{text .Experiment.ID}}
""").latest[0])
differ = []


def agree(same, what):
    assert same or not LATEST, what
    if not same:
        differ.append(what)


def near(a, b):
    """Equal to within 1e-9: of the number, or absolutely below 1."""
    return a == b or (math.isfinite(a) and math.isfinite(b) and abs(a - b) <= 1e-9 * max(1.0, abs(a), abs(b)))


compared = 0
fresh = measured.set_index(["variant", "exposure_date"])
for i, metric in enumerate(METRICS):
    if not metric["recomputed"]:
        continue
    kept = statistics[statistics.metric == metric["name"]].set_index(["variant", "exposure_date"])
    agree(set(kept.index) == set(fresh.index), "%s: other cells than stored" % metric["name"])
    for name in fresh.columns:
        part = re.fullmatch("([a-z]+)%d_(mean|ss|sp)" % i, name)  # y0_mean is stored as mean_y, y0_ss as yy, yd0_sp as yd
        if not part:
            continue
        column = {"mean": "mean_" + part[1], "ss": 2 * part[1], "sp": part[1]}[part[2]]
        for cell, value in fresh[name].items():
            agree(cell in kept.index and near(value, kept.loc[cell, column]), (metric["name"], cell, name))
            compared += 1
if differ:
    print("%d of %d figures are others than those stored: ids have been recognised since as one person's." % (len(differ), compared))
else:
    print("%d figures of %d cells are those stored." % (compared, len(measured)))

# %% [markdown]
# ## 2. Recompute the readout
#
# Moments of days add up; an arm is an estimate and the variance of one unit; a contrast is two arms. Formulas and their
# sources are in docs/methods.md. `FINAL_Z` was solved from the plan, before any data (`shared/stats`, FinalZ).

# %%
GOAL_ALPHA = {{.Rule.Alpha}}  # ALPHA, shared among goal metrics and variants
SEQUENTIAL_ALPHA = {{.Rule.AlphaSeq}}  # what the running rule may spend of it
FINAL_Z = {{.Rule.FinalZ}}
BURN_IN = 100  # fewest units of an arm
NOW = min(AS_OF, END)  # the planned end is one look, whenever it is taken
AT_END = AS_OF >= END


def merge(cells):
    """Adds moments up: the parallel variance of Chan, Golub and LeVeque."""
    sum_ = dict(n=0, mean_y=0.0, mean_d=0.0, yy=0.0, yd=0.0, dd=0.0)
    for c in cells.itertuples():
        n = sum_["n"] + c.units
        if not n:
            continue
        dy, dd = c.mean_y - sum_["mean_y"], c.mean_d - sum_["mean_d"]
        weight = sum_["n"] * c.units / n
        sum_ = dict(
            n=n, mean_y=sum_["mean_y"] + dy * c.units / n, mean_d=sum_["mean_d"] + dd * c.units / n,
            yy=sum_["yy"] + c.yy + dy * dy * weight, yd=sum_["yd"] + c.yd + dy * dd * weight, dd=sum_["dd"] + c.dd + dd * dd * weight)
    return sum_


def arm(family, m):
    """Units, estimate, variance of one unit."""
    n = m["n"]
    if n < 2:
        return n, m["mean_y"], math.nan
    if family == "proportion":
        return n, m["mean_y"], m["mean_y"] * (1 - m["mean_y"])
    if family == "mean":
        return n, m["mean_y"], m["yy"] / (n - 1)
    if m["mean_d"] == 0:
        return n, math.nan, math.nan
    ratio = m["mean_y"] / m["mean_d"]  # by the delta method
    return n, ratio, max(0.0, m["yy"] - 2 * ratio * m["yd"] + ratio**2 * m["dd"]) / (m["mean_d"] ** 2 * (n - 1))


def pooled(family, a, b):
    """The variance of one unit of both arms together."""
    (na, ma, va), (nb, mb, vb) = a, b
    n = na + nb
    if family == "proportion":
        p = (na * ma + nb * mb + 0.5) / (n + 1)
        return p * (1 - p)
    return (na * va + nb * vb) / n + na * nb / n**2 * (mb - ma) ** 2


def compare(family, control, treatment):
    """The contrast of two arms, or None where there is none."""
    a, b = arm(family, control), arm(family, treatment)
    if not (math.isfinite(a[2]) and math.isfinite(b[2])):
        return None
    least, variances = pooled(family, a, b), []
    for n, mean, variance in (a, b):
        sparse = family == "proportion" and min(n * mean, n - n * mean) < 10
        variances.append((max(variance, least) if variance == 0 or sparse else variance) / n)
    va, vb = variances
    if va + vb == 0:
        return None
    df = (va + vb) ** 2 / (va**2 / (a[0] - 1) + vb**2 / (b[0] - 1))
    return dict(n=a[0] + b[0], units=(a[0], b[0]), control=a[1], treatment=b[1], va=va, vb=vb, df=df,
                effect=b[1] - a[1], se=math.sqrt(va + vb), lift=(b[1] - a[1]) / abs(a[1]) if a[1] else math.nan)


def absolute(c, critical):
    return c["effect"] - critical * c["se"], c["effect"] + critical * c["se"]


def relative(c, critical):
    """The interval of the lift by Fieller's theorem, the whole line where it is not bounded."""
    m, q2, sign = c["control"], critical**2, math.copysign(1, c["control"])
    a = m * m - q2 * c["va"]
    b = sign * (c["effect"] * m + q2 * c["va"])
    k = c["effect"] ** 2 - q2 * (c["va"] + c["vb"])
    if a <= 0:
        return -math.inf, math.inf
    s = b + math.copysign(math.sqrt(max(0.0, b * b - a * k)), b)
    return (0.0, 0.0) if s == 0 else tuple(sorted((k / s, s / a)))


def tune(alpha):
    """rho^2 of the normal mixture that is narrowest at the planned units."""
    target = -2 * math.log(alpha)
    u = target + math.sqrt(2 * target)
    for _ in range(6):
        u -= (u - math.log1p(u) - target) * (1 + u) / u
    return u / PLANNED_UNITS


def two_sided(n, rho2, alpha):
    q = rho2 * n
    return math.sqrt((q + 1) / q * (math.log1p(q) - 2 * math.log(alpha)))


def one_sided(n, alpha):
    """Where the one-sided mixture reaches 1/alpha, by Newton's method from the right."""
    rho2 = tune(2 * alpha)
    q, z = rho2 * n, two_sided(n, rho2, alpha)
    s = math.sqrt(q / (q + 1))
    for _ in range(50):
        x = s * z
        log_e = math.log(2) + 0.5 * (x * x - math.log1p(q)) + stats.norm.logcdf(x)
        step = (log_e + math.log(alpha)) / (s * (x + math.exp(stats.norm.logpdf(x) - stats.norm.logcdf(x))))
        z -= step
        if abs(step) < 1e-13 * abs(z):
            break
    return z


def critical_value(role, n):
    """How many standard errors wide the interval of the rule in force is, to each side."""
    if role == "guardrail":
        return one_sided(n, ALPHA)
    if role != "goal":
        return two_sided(n, tune(ALPHA), ALPHA)
    running = two_sided(n, tune(SEQUENTIAL_ALPHA), SEQUENTIAL_ALPHA)
    return min(running, FINAL_Z) if AT_END else running


def readout(role, family, control, treatment):
    """What the engine says of two arms' moments, or None when it says nothing."""
    c = compare(family, control, treatment)
    if c is None:
        return None
    if min(c["units"]) < BURN_IN:
        critical = fixed = math.inf
        whole = (-math.inf, math.inf)
        effect, lift, fixed_lift = whole, whole, whole
    else:
        critical = critical_value(role, c["n"])
        effect, lift = absolute(c, critical), relative(c, critical)
        fixed_lift = relative(c, stats.t.isf(ALPHA / 2, c["df"]))
    return dict(
        units_control=c["units"][0], units_treatment=c["units"][1], mean_control=c["control"], mean_treatment=c["treatment"],
        effect=c["effect"], effect_low=effect[0], effect_high=effect[1], lift=c["lift"], lift_low=lift[0], lift_high=lift[1],
        fixed_lift_low=fixed_lift[0], fixed_lift_high=fixed_lift[1])


def arm_cells(metric, variant):
    """The cells of a variant whose units have all lived through the metric's window."""
    last = pd.Timestamp(NOW) - pd.Timedelta(days=1 + metric["window_days"])
    s = statistics[(statistics.metric == metric["name"]) & (statistics.variant == variant)]
    return merge(s[pd.to_datetime(s.exposure_date) <= last].sort_values("exposure_date"))


stored = query(r"""
select *
from fact_experiment_results
where experiment_id = {{text .Experiment.ID}}
    and as_of = {{day .AsOf}}
""").set_index(["metric", "variant"])
assert len(stored), "there is no readout as of %s" % AS_OF
assert set(stored.definition) == {DEFINITION}, "the experiment's definition has changed since this readout: write the notebook anew"

rows = []
for metric in METRICS:
    if not metric["recomputed"]:
        print("%s is not recomputed here: its kind is %s." % (metric["name"], metric["kind"]))
        continue
    for variant in VARIANTS:
        want = stored.loc[(metric["name"], variant)]
        got = readout(metric["role"], metric["family"], arm_cells(metric, CONTROL), arm_cells(metric, variant))
        if got is None:
            assert want.status != "ok", (metric["name"], variant)
            continue
        for name, value in got.items():
            if name in ("lift", "mean_control", "mean_treatment") and not math.isfinite(value):
                value = 0.0  # as stored: the status tells
            assert near(value, want[name]), (metric["name"], variant, name, value, want[name])
        rows.append(dict(metric=metric["name"], role=metric["role"], variant=variant, **got))
result = pd.DataFrame(rows)
assert len(result) or not (stored.status == "ok").any(), "nothing was recomputed"
print("%d lines of the readout are met to within 1e-9%s." % (len(result), "" if len(result) else ": no arm has units enough yet"))
result

# %%
def forest(frame, labels, title, low="lift_low", high="lift_high"):
    """Lifts with their intervals; an interval without bounds has no line."""
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(frame) + 1.2))
    for y, (_, r) in enumerate(frame.iterrows()):
        if math.isfinite(r[low]) and math.isfinite(r[high]):
            axes.plot([100 * r[low], 100 * r[high]], [y, y], color="tab:blue", lw=2)
        axes.plot(100 * r.lift, y, "o", color="tab:blue")
    axes.axvline(0, color="grey", lw=1)
    axes.set_yticks(range(len(frame)), labels)
    axes.invert_yaxis()
    axes.set_xlabel("lift in %, with the interval of the rule in force")
    axes.set_title(title)
    plt.show()


if len(result):
    forest(result, result.metric + ", " + result.variant, {{python .Experiment.Name}})

# %% [markdown]
# ## 3. Look deeper into {{line .Metric.Label}}
#
# All queries below start from one value per unit. First, that these values are the readout's. Intervals are those of a
# secondary metric: valid at every look, not corrected for the number of cuts.
{{- if not .DeepDives}}
#
# Left out: deep dives know metrics of kind conversion, retention, mean and ratio over whole days, and this one is {{.Metric.Kind}}.
{{- else}}

# %%
UNIT = r"""
{{sql "unit.sql"}}
"""
unit = query(UNIT)
chosen = next(m for m in METRICS if m["name"] == METRIC)


def moments(frame):
    """The moments of unit values, as one cell."""
    y, d = frame.y.astype(float), frame.d.astype(float)
    dy, dd = y - y.mean(), d - d.mean()
    return dict(n=len(frame), mean_y=y.mean(), mean_d=d.mean(), yy=(dy * dy).sum(), yd=(dy * dd).sum(), dd=(dd * dd).sum())


def cut(frame, by):
    """A readout for each value of a column of a query that gives moments."""
    out = []
    for value, part in frame.groupby(by, sort=True):
        arms = {v: merge(part[part.variant == v]) for v in [CONTROL] + VARIANTS}
        for variant in VARIANTS:
            r = readout("secondary", chosen["family"], arms[CONTROL], arms[variant])
            if r is not None:
                out.append(dict([(by, value), ("variant", variant)], **r))
    return pd.DataFrame(out, columns=out[0].keys() if out else [by, "variant", "lift", "lift_low", "lift_high"])


def show(frame, by, title):
    if len(frame):
        forest(frame, frame[by].astype(str) + ", " + frame.variant, title)
    return frame


if chosen["recomputed"] and len(unit):
    for variant in [CONTROL] + VARIANTS:
        fresh, kept = moments(unit[unit.variant == variant]), arm_cells(chosen, variant)
        for name in fresh:
            agree(near(fresh[name], kept[name]), (variant, name, fresh[name], kept[name]))
    if not differ:
        print("The values of %d units add up to the statistics." % len(unit))

# %% [markdown]
# ### Segments
#
# `{{line .Segment}}`, as a unit last said it at or before its first exposure. Another: `verdict notebook --segment EXPRESSION`,
# SQL over `fact_event` as `e`.

# %%
segment = query(r"""
{{sql "segment.sql"}}
""")
show(cut(segment, "segment"), "segment", "By segment")

# %% [markdown]
# ### Funnel
#
# Events in order, within the window after first exposure. Other steps: `verdict notebook --funnel EVENT,EVENT`.

# %%
funnel = query(r"""
{{sql "funnel.sql"}}
""")
funnel = funnel.pivot_table(index="position", columns="variant", values="units")
share = (funnel / funnel.iloc[:1].max()).reindex(range(1 + len(FUNNEL)), fill_value=0.0)  # a step that nobody came to has no row
share.index = ["exposed"] + FUNNEL
if len(funnel):
    share.plot.bar(rot=30, title="Share of exposed units that came this far")
    plt.show()
share

# %% [markdown]
# ### Time
#
# The lift at each readout so far. Intervals are valid at every look, so their narrowing may be watched.

# %%
over_time = query(r"""
{{sql "time.sql"}}
""")
figure, axes = plt.subplots(figsize=(8, 4))
for variant, part in over_time.groupby("variant"):
    day = pd.to_datetime(part.as_of)
    bounded = part[(part.lift_low > -1e300) & (part.lift_high < 1e300)]
    axes.plot(day, 100 * part.lift, marker="o", label=variant)
    axes.fill_between(pd.to_datetime(bounded.as_of), 100 * bounded.lift_low, 100 * bounded.lift_high, alpha=0.2)
axes.axhline(0, color="grey", lw=1)
axes.set_ylabel("lift in %")
if len(over_time):
    axes.legend()
figure.autofmt_xdate()
plt.show()

# %% [markdown]
# ### Novelty
#
# The effect on each day of a unit's life in the experiment, the same units on every day.

# %%
novelty = query(r"""
{{sql "novelty.sql"}}
""")
show(cut(novelty, "day_of_life"), "day_of_life", "By day since first exposure")

# %% [markdown]
# ### Outliers
#
# The largest values, and the readout when the largest share of all values is set to the value at its edge. A verdict
# that turns here hangs on few units: give the metric a `cap`.

# %%
outliers = query(r"""
{{sql "outliers.sql"}}
""")
largest = unit.nlargest(10, "y")[["unit_id", "variant", "y"]]
print(largest.to_string(index=False))
show(cut(outliers, "share"), "share", "With this share of the largest values winsorized")

# %% [markdown]
# ### Identity
#
# Under `resolved`, the readout's rule, ids of one person are one unit and who saw several variants is left out. Under
# `first_touch` and `last_touch` they count for the first or last variant; under `strict` every id is a unit of its own.

# %%
identity = query(r"""
{{sql "identity.sql"}}
""")
rules = cut(identity, "rule")
signs = {(low > 0) - (high < 0) for low, high in zip(rules.lift_low, rules.lift_high)}
print("The rules of identity agree on the direction." if len(signs) <= 1 else "The direction DEPENDS on the rule of identity.")
show(rules, "rule", "By rule of identity")
{{- end}}
