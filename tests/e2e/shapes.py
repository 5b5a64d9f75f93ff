"""The shapes of dbt's artifacts, as its JSON schemas for manifest version 12 and run results version 6 fix them: which
fields there are and which of them are required (*), of which type (? lets it be null). Nothing else may stand there."""

COMMON = """*database:text? *schema:text *name:text *resource_type:text *package_name:text *path:text
  *original_file_path:text *unique_id:text *fqn:texts *alias:text *checksum:checksum config:map tags:texts
  description:text columns:columns meta:map group:text? docs:map patch_path:text? build_path:text?
  unrendered_config:map created_at:number config_call_dict:map unrendered_config_call_dict:map relation_name:text?
  raw_code:text doc_blocks:texts """
COMPILED = """language:text refs:refs sources:lists metrics:lists functions:lists depends_on:depends compiled_path:text?
  compiled:bool compiled_code:text? extra_ctes_injected:bool extra_ctes:ctes _pre_injected_sql:text? contract:map"""

SHAPES = {
    "seed": COMMON + " root_path:text? depends_on:macro_depends defer_relation:map?",
    "model": COMMON + COMPILED + """ access:text constraints:list version:version latest_version:version
      deprecation_date:text? defer_relation:map? primary_key:texts time_spine:map?""",
    "snapshot": COMMON + COMPILED + " defer_relation:map?",
    "test": COMMON + COMPILED + """ column_name:text? file_key_name:text? attached_node:text? test_metadata:metadata_of_test""",
    "operation": COMMON + COMPILED + " index:number?",
    "analysis": COMMON + COMPILED,
    "source": """*database:text? *schema:text *name:text *resource_type:text *package_name:text *path:text
      *original_file_path:text *unique_id:text *fqn:texts *source_name:text *source_description:text *loader:text
      *identifier:text quoting:map loaded_at_field:text? loaded_at_query:text? freshness:map? external:map?
      description:text columns:columns meta:map source_meta:map tags:texts config:map patch_path:text?
      unrendered_config:map relation_name:text? created_at:number unrendered_database:text? unrendered_schema:text?
      doc_blocks:texts""",
    "macro": """*name:text *resource_type:text *package_name:text *path:text *original_file_path:text *unique_id:text
      *macro_sql:text depends_on:macro_depends description:text meta:map docs:map config:map patch_path:text?
      arguments:arguments created_at:number supported_languages:texts?""",
    "checksum": "*name:text *checksum:text",
    "ref": "*name:text package:text? version:version",
    "cte": "*id:text *sql:text",
    "depends": "macros:texts nodes:texts",
    "macro_depends": "macros:texts",
    "metadata_of_test": "name:text kwargs:map namespace:text?",
    "argument": "*name:text type:text? description:text",
    "column": """*name:text description:text meta:map data_type:text? constraints:list quote:bool? config:map tags:texts
      granularity:text? doc_blocks:texts dimension:map? entity:map?""",
    "manifest": """*metadata:manifest_metadata *nodes:map *sources:map *macros:map *docs:map *exposures:map *metrics:map
      *groups:map *selectors:map *disabled:map *parent_map:map? *child_map:map? *group_map:map? *saved_queries:map
      *semantic_models:map *unit_tests:map functions:map""",
    "manifest_metadata": """dbt_schema_version:text dbt_version:text generated_at:text invocation_id:text?
      invocation_started_at:text? env:map project_name:text? project_id:text? user_id:text?
      send_anonymous_usage_stats:bool? adapter_type:text? quoting:map? run_started_at:text?""",
    "run_results": "*metadata:results_metadata *results:list *elapsed_time:number args:map",
    "results_metadata": """*dbt_schema_version:text dbt_version:text generated_at:text invocation_id:text?
      invocation_started_at:text? env:map""",
    "result": """*status:text *timing:timings *thread_id:text *execution_time:number *adapter_response:map *message:text?
      *failures:number? *unique_id:text *compiled:bool? *compiled_code:text? *relation_name:text? batch_results:map?
      overload_results:list?""",
    "timing": "*name:text started_at:text? completed_at:text?",
}

STATUSES = {"success", "error", "skipped", "partial success", "no-op", "reused", "pass", "fail", "warn",
            "runtime error"}


def is_list_of(value, test):
    return isinstance(value, list) and all(test(item) for item in value)


def is_text(value):
    return isinstance(value, str)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


SIMPLE = {
    "text": is_text,
    "number": is_number,
    "bool": lambda v: isinstance(v, bool),
    "map": lambda v: isinstance(v, dict),
    "list": lambda v: isinstance(v, list),
    "texts": lambda v: is_list_of(v, is_text),
    "lists": lambda v: is_list_of(v, lambda item: is_list_of(item, is_text)),
    "version": lambda v: v is None or is_text(v) or is_number(v),
}
LISTS = {"refs": "ref", "ctes": "cte", "timings": "timing", "arguments": "argument"}


def mismatches(name, value, where):
    """What is wrong with a value of a shape, as a list of texts."""
    if not isinstance(value, dict):
        return [f"{where} is no mapping: {value!r}"]
    found, known = [], set()
    for word in SHAPES[name].split():
        key, kind = word.split(":")
        required, key = key.startswith("*"), key.lstrip("*")
        known.add(key)
        if key not in value:
            found += [f"{where} lacks {key}"] if required else []
            continue
        v, optional, kind = value[key], kind.endswith("?"), kind.rstrip("?")
        place = f"{where}.{key}"
        if v is None and (optional or kind == "version"):
            continue
        if kind in SIMPLE:
            found += [] if SIMPLE[kind](v) else [f"{place} is no {kind}: {v!r}"]
        elif kind in LISTS:
            found += [m for i, item in enumerate(v) for m in mismatches(LISTS[kind], item, f"{place}[{i}]")]
        elif kind == "columns":
            found += [m for column in v.values() for m in mismatches("column", column, f"{place}.{column['name']}")]
        else:
            found += mismatches(kind, v, place)
    return found + [f"{where} has an unknown field {key}" for key in value if key not in known]


def manifest_mismatches(manifest):
    """What is wrong with a manifest."""
    found = mismatches("manifest", manifest, "manifest")
    for group in "nodes", "sources", "macros":
        for unique_id, node in manifest[group].items():
            found += mismatches(node["resource_type"], node, unique_id)
            if node["unique_id"] != unique_id:
                found.append(f"{unique_id} is called {node['unique_id']}")
    ids = set(manifest["nodes"]) | set(manifest["sources"]) | set(manifest["exposures"])
    for name in "parent_map", "child_map":
        for unique_id, others in manifest[name].items():
            found += [f"{name} of {unique_id} names {other}, which is not there" for other in [unique_id, *others]
                      if other not in ids]
    return found


def run_results_mismatches(run_results):
    """What is wrong with run results."""
    found = mismatches("run_results", run_results, "run_results")
    for result in run_results["results"]:
        found += mismatches("result", result, result.get("unique_id"))
        if result["status"] not in STATUSES:
            found.append(f"{result['unique_id']} has the status {result['status']}")
    return found
