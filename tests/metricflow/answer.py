"""Answers questions with MetricFlow itself: reads definitions, SQL that sets a DuckDB up, and questions as JSON; writes
what MetricFlow's own SQL finds, or what is wrong with the definitions."""
import json
import sys

import duckdb
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantic_interfaces.parsing.dir_to_model import parse_yaml_files_to_validation_ready_semantic_manifest
from metricflow_semantic_interfaces.parsing.objects import YamlConfigFile
from metricflow_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup


class Client:
    """As much of a warehouse as MetricFlow needs to write SQL for it."""

    sql_engine_type = SqlEngine.DUCKDB
    sql_plan_renderer = DuckDbSqlPlanRenderer()


asked = json.load(sys.stdin)
files = [YamlConfigFile(filepath=f"{i}.yaml", contents=text) for i, text in enumerate(asked["files"])]
manifest = parse_yaml_files_to_validation_ready_semantic_manifest(files).semantic_manifest
issues = SemanticManifestValidator().validate_semantic_manifest(manifest)
if issues.has_blocking_issues:
    sys.exit("\n".join(str(e) for e in issues.errors))
engine = MetricFlowEngine(SemanticManifestLookup(manifest), Client())
database = duckdb.connect()
for statement in asked["setup"]:
    database.execute(statement)
answers = []
for question in asked["questions"]:
    by = ["metric_time__" + question["grain"]] if question["grain"] else []
    request = MetricFlowQueryRequest.create(metric_names=[question["metric"]], group_by_names=by + question["by"])
    sql = engine.explain(request).sql_statement.sql
    cursor = database.execute(sql)
    answers.append({"sql": sql, "columns": [d[0] for d in cursor.description], "rows": cursor.fetchall()})
json.dump({"warnings": [str(w) for w in issues.warnings], "metrics": [m.name for m in manifest.metrics], "answers": answers}, sys.stdout, default=str)
