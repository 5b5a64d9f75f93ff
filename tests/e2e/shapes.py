"""What is wrong with artifacts, by dbt's JSON schemas (schemas/artifacts.txt) and a real validator."""
import functools
import os

import jsonschema

from schemas import notation

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemas")
# dbt has no schema for this one.
OURS = """
GraphSummary: *_invocation_id=text *linked={GraphNode} with_test_edges={GraphNode}

GraphNode: *name=text *type=text succ=[int]
"""
ROOTS = {"manifest": "WritableManifest", "run_results": "RunResultsArtifact", "catalog": "CatalogArtifact",
         "sources": "FreshnessExecutionResultArtifact", "semantic_manifest": "MetricFlowSemanticManifest",
         "graph_summary": "GraphSummary"}


@functools.cache
def validator(name):
    with open(os.path.join(FOLDER, "artifacts.txt"), encoding="utf-8") as file:
        return jsonschema.Draft202012Validator(notation.schema(file.read() + "\n\n" + OURS, ROOTS[name]))


def mismatches(name, content):
    """What a validator says of an artifact of that name: place and sentence."""
    return [f"{error.json_path}: {error.message[:200]}" for error in validator(name).iter_errors(content)]


def manifest_mismatches(manifest):
    """The same for a manifest, and what no schema can say."""
    found = mismatches("manifest", manifest)
    for group in "nodes", "sources", "macros":
        for unique_id, node in manifest[group].items():
            if node["unique_id"] != unique_id:
                found.append(f"{unique_id} is called {node['unique_id']}")
    ids = {unique_id for group in ("nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries",
                                   "unit_tests", "functions") for unique_id in manifest[group]}
    for name in "parent_map", "child_map":
        for unique_id, others in manifest[name].items():
            found += [f"{name} of {unique_id} names {other}, which is not there" for other in [unique_id, *others]
                      if other not in ids]
    return found


def run_results_mismatches(run_results):
    """What is wrong with run results."""
    return mismatches("run_results", run_results)
