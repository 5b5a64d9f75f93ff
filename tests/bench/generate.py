"""generate.py FOLDER MODELS: writes a project in the shape of dbt's own performance project.

Each model has a properties file of its own with two tests, and refers to up to three models before it."""

import os
import sys

PROJECT = """name: generated
version: "1.0"
config-version: 2
profile: generated
models:
  generated:
    +materialized: view
    +tags: [nightly]
"""

PROFILE = """generated:
  target: dev
  outputs:
    dev: {type: postgres, host: localhost, user: nobody, password: nothing, port: 5432, dbname: nothing, schema: public}
"""

MACRO = """{% macro cents(column) %}
  ({{ column }} / 100)::numeric(16, 2)
{% endmacro %}
"""

PER_FOLDER = 100


def model(i):
    lines = ["select 1 as id"]
    for parent in sorted({i // 2, i // 3, i - 1} - {i, -1}):
        lines += ["union all", f"select * from {{{{ ref('node_{parent}') }}}}"]
    return "\n".join(lines) + "\n"


def properties(i):
    return (f"version: 2\n\nmodels:\n  - name: node_{i}\n    columns:\n      - name: id\n"
            "        data_tests:\n          - unique\n          - not_null\n")


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def generate(folder, models):
    """Writes the project; gives its folder."""
    os.makedirs(os.path.join(folder, "macros"), exist_ok=True)
    write(os.path.join(folder, "dbt_project.yml"), PROJECT)
    write(os.path.join(folder, "profiles.yml"), PROFILE)
    write(os.path.join(folder, "macros", "cents.sql"), MACRO)
    for i in range(models):
        place = os.path.join(folder, "models", f"path_{i // PER_FOLDER}")
        if i % PER_FOLDER == 0:
            os.makedirs(place, exist_ok=True)
        write(os.path.join(place, f"node_{i}.sql"), model(i))
        write(os.path.join(place, f"node_{i}.yml"), properties(i))
    return folder


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[2].isdigit():
        sys.exit(f"usage: {sys.argv[0]} FOLDER MODELS")
    generate(sys.argv[1], int(sys.argv[2]))
