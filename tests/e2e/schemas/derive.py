"""Writes artifacts.txt anew from the classes that dbt makes its published JSON schemas of. Run with a Python that has
dbt-core: python derive.py > artifacts.txt. What it writes is expanded again and has to be equal to where it came from.
"""
import os
import re
import sys
import textwrap

from dbt.artifacts.schemas.catalog import CatalogArtifact
from dbt.artifacts.schemas.freshness import FreshnessExecutionResultArtifact
from dbt.artifacts.schemas.manifest import WritableManifest
from dbt.artifacts.schemas.run import RunResultsArtifact
from dbt.version import __version__
from metricflow_semantic_interfaces.implementations.semantic_manifest import PydanticSemanticManifest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import notation  # noqa: E402

ROOTS = WritableManifest, RunResultsArtifact, CatalogArtifact, FreshnessExecutionResultArtifact
REST = {"title", "description", "default", "$id", "$schema", "propertyNames", "format"}
NAMES = {"string": "text", "integer": "int", "number": "number", "boolean": "bool", "null": "null"}
objects = {}


def plain(schema, within):
    """A schema without what says nothing about values, and with its references filled in."""
    if "$ref" in schema:
        return plain(within[schema["$ref"].split("/")[-1]], within)
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return plain(schema["allOf"][0], within)
    found = {k: v for k, v in schema.items() if k not in REST and k != "definitions"}
    if "enum" in found:
        return {"anyOf": [{"type": "null"} if v is None else {"const": v} for v in found["enum"]]} \
            if len(found["enum"]) > 1 else {"const": found["enum"][0]}
    for key in "items", "additionalProperties":
        if isinstance(found.get(key), dict):
            found[key] = plain(found[key], within)
    for key in "anyOf", "prefixItems":
        if key in found:
            found[key] = [plain(one, within) for one in found[key]]
    if "properties" in found:
        found["properties"] = {k: plain(v, within) for k, v in found["properties"].items()}
        found.setdefault("required", [])
        found.setdefault("additionalProperties", True)
        found["name"] = schema["title"]
    if found.get("type") == "object" and "properties" not in found:
        found.setdefault("additionalProperties", {})
    if found.get("type") == "array":
        found.setdefault("items", {})
        if "prefixItems" in found:
            del found["items"]
    return found


def word(schema):
    """The type of a schema, in the notation."""
    if not schema:
        return "any"
    if "const" in schema:
        return f"'{schema['const']}'"
    if "anyOf" in schema:
        rest = [word(one) for one in schema["anyOf"] if one != {"type": "null"}]
        return "|".join(rest) + ("?" if len(rest) < len(schema["anyOf"]) else "")
    if "prefixItems" in schema:
        return "<" + " ".join(map(word, schema["prefixItems"])) + ">"
    if schema["type"] == "array":
        return f"[{word(schema['items'])}]"
    if "properties" in schema:
        return named(schema)
    if schema["type"] == "object":
        inner = schema["additionalProperties"]
        return "{" + word({} if inner is True else inner) + "}"
    return f"~{schema['pattern']}~" if "pattern" in schema else NAMES[schema["type"]]


def named(schema):
    name = schema["name"]
    words = [("*" if k in schema["required"] else "") + f"{k}={word(v)}" for k, v in schema["properties"].items()]
    text = " ".join(words + ([] if schema["additionalProperties"] is False else ["..."]))
    assert objects.setdefault(name, text) == text, f"two objects are called {name}"
    return name


def wrapped(words):
    """In lines; a blank inside of a type separates nothing."""
    kept = re.sub(r"'[^']*'|<[^>]*>", lambda m: m.group(0).replace(" ", "\0"), words)
    lines = textwrap.wrap(kept, 116, break_on_hyphens=False, break_long_words=False, fix_sentence_endings=False)
    return "\n".join(lines).replace("\0", " ")


def without_names(schema):
    """For the comparison: alternatives in one order, null at their end."""
    if isinstance(schema, list):
        return [without_names(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {k: without_names(v) for k, v in schema.items() if k != "name" or not isinstance(v, str)}
    if "anyOf" in found:
        flat = []
        for one in found["anyOf"]:
            flat += one["anyOf"] if "anyOf" in one else [one]
        found["anyOf"] = sorted((one for one in flat), key=repr)
    if "required" in found:
        found["required"] = sorted(found["required"])
    return {k: found[k] for k in sorted(found)}


def main():
    plains = [plain(root.json_schema(), {}) for root in ROOTS]
    pydantic = PydanticSemanticManifest.schema()
    for one in [pydantic, *pydantic["definitions"].values()]:
        if "title" in one:
            one["title"] = one["title"].replace("Pydantic", "MetricFlow")
        for name, kind in one.get("properties", {}).items():  # pydantic's schemas do not say which of them may be null
            if name not in one.get("required", []) and "default" not in kind:
                one["properties"][name] = {"anyOf": [kind, {"type": "null"}]}
    plains.append(plain(pydantic, pydantic["definitions"]))
    for one in plains:
        named(one)
    text = "\n\n".join(f"{name}:\n" + textwrap.indent(wrapped(words), "  ") for name, words in objects.items())
    read = notation.definitions(text)

    def expand(schema):
        if isinstance(schema, list):
            return [expand(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return expand(read[schema["$ref"].split("/")[-1]])
        return {k: expand(v) for k, v in schema.items()}

    for one in plains:
        mine, its = without_names(expand(read[one["name"]])), without_names(one)
        assert mine == its, one["name"]
    print(f"# The objects of dbt's artifacts, in the notation of notation.py. Derived by derive.py from the classes of\n"
          f"# dbt-core {__version__} that its published JSON schemas are made of, and from MetricFlow's.\n\n{text}")


main()
