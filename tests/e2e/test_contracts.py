"""Contracts: columns and types that are promised, constraints, and what a broken promise leaves behind."""
import pytest


def contract(columns, more="", kind="table", sql="select 1 as id, 'x'::text as name"):
    return {"models/m.sql": f"{{{{ config(materialized='{kind}') }}}} {sql}",
            "models/m.yml": f"""
        models:
          - name: m
            config: {{contract: {{enforced: true}}}}
            {more}
            columns: {columns}
        """}


COLUMNS = "[{name: id, data_type: integer}, {name: name, data_type: text}]"


@pytest.mark.san
@pytest.mark.parametrize("kind", ["table", "view", "incremental"])
def test_a_kept_contract(project, kind):
    p = project(contract(COLUMNS, kind=kind, sql="select 'x'::text as name, 1 as id"))
    for _ in range(2):
        p.run("run").ok()
    columns = p.db.rows("select string_agg(attname, ' ' order by attnum) from pg_attribute"
                        " where attrelid = 'dev.m'::regclass and attnum > 0")
    assert columns == ["name id" if kind == "view" else "id name"], "a table has the order of the contract"


@pytest.mark.san
@pytest.mark.parametrize("kind", ["table", "view", "incremental"])
def test_a_broken_contract(project, kind):
    p = project(contract(COLUMNS, kind=kind))
    p.run("run").ok()
    before = p.db.rows("select oid from pg_class where relname = 'm'")
    p.write(contract("[{name: id, data_type: bigint}, {name: nick, data_type: text}]", kind=kind))
    result = p.run("run").fails()
    result.says("| column_name | definition_type | contract_type | mismatch_reason       |",
                "| id          | INTEGER         | LONGINTEGER   | data type mismatch    |",
                "| name        | TEXT            |               | missing in contract   |",
                "| nick        |                 | TEXT          | missing in definition |", "models/m.sql")
    assert p.db.rows("select oid from pg_class where relname = 'm'") == before
    assert p.db.relations() == ["m view" if kind == "view" else "m table"]


def test_constraints(project):
    p = project({"models/parent.sql": "{{ config(materialized='table') }} select 1 as id",
                 "models/parent.yml": """
                    models:
                      - name: parent
                        config: {contract: {enforced: true}}
                        columns: [{name: id, data_type: integer, constraints: [{type: primary_key}]}]
                    """,
                 **contract("""
              - {name: id, data_type: integer, constraints: [{type: not_null}, {type: foreign_key, to: ref('parent'), to_columns: [id]}]}
              - {name: name, data_type: text, constraints: [{type: check, expression: "name <> ''"}]}""",
                            "constraints: [{type: unique, columns: [id, name], name: both_unique}, {type: custom, expression: 'unique (name)'}]")})
    for _ in range(2):
        assert p.run("run").ok().order == ["parent", "m"]
    assert p.db.rows("select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'dev.m'::regclass order by 1") == [
        "CHECK ((name <> ''::text))", "FOREIGN KEY (id) REFERENCES dev.parent(id)", "UNIQUE (id, name)", "UNIQUE (name)"]
    assert p.db.rows("select attnotnull from pg_attribute where attrelid = 'dev.m'::regclass and attname = 'id'") == ["t"]
    p.write({"models/m.sql": "{{ config(materialized='table') }} select 1 as id, ''::text as name"})
    p.run("run", "--select", "m").fails().says("violates check constraint")
    assert p.db.rows("select name from dev.m") == ["x"]


def test_quoted_names_and_sizes(project):
    p = project(contract("[{name: Id, quote: true, data_type: 'numeric(10,2)'}, {name: name, data_type: varchar}]",
                         sql="select 1.5::numeric(6,1) as \"Id\", 'x'::varchar(3) as name"))
    p.run("run").ok()
    assert p.db.rows("select attname, format_type(atttypid, atttypmod) from pg_attribute"
                     " where attrelid = 'dev.m'::regclass and attnum > 0 order by attnum") == [
        "Id|numeric(10,2)", "name|character varying"]


def test_incremental_contracts_check_later_runs(project):
    p = project(contract(COLUMNS, kind="incremental", sql="select 1 as id, {{ var('name') }} as name"))
    p.run("run", "--vars", '{name: "\'a\'::text"}').ok()
    p.run("run", "--vars", '{name: "7"}').fails().says("| name        | INTEGER         | TEXT          | data type mismatch |")
    assert p.db.rows("select * from dev.m") == ["1|a"]


def test_what_is_refused(project):
    p = project(contract("[]"))
    p.run("parse").fails(2).says("enforces a contract, and no columns are described", "models/m.yml:2")
    p.write(contract("[{name: id}, {name: name, data_type: text}]"))
    p.run("run").fails().says("a contract needs the data_type of every column: it is missing for id")
    p.write(contract(COLUMNS, "constraints: [{type: uniqe, columns: [id]}]"))
    p.run("parse").fails(2).says("has the type 'uniqe'", "unique")
    key = "constraints: [{type: primary_key}]"
    p.write(contract(f"[{{name: id, data_type: integer, {key}}}, {{name: name, data_type: text, {key}}}]"))
    p.run("parse").fails(2).says("2 columns have a primary key of their own: id, name")
    p.write(contract(f"[{{name: id, data_type: integer, {key}}}, {{name: name, data_type: text}}]",
                     "constraints: [{type: primary_key, columns: [id]}]"))
    p.run("parse").fails(2).says("a primary key is declared for the model and for its column 'id'")


def test_constraints_of_a_view_warn(project):
    columns = "[{name: id, data_type: integer, constraints: [{type: not_null%s}]}, {name: name, data_type: text}]"
    p = project(contract(columns % "", kind="view"))
    p.run("run").ok().says("model 'm' is a view, which has no constraints")
    p.write(contract(columns % ", warn_unsupported: false", kind="view"))
    assert "no constraints" not in p.run("run").ok().stdout


def test_names_of_types(project):
    columns = "[{name: id, data_type: integer}, {name: name, data_type: string}]"
    p = project(contract(columns))
    p.run("run").ok()
    p.write({"models/m.sql": "{{ config(materialized='table', contract={'alias_types': false}) }} select 1 as id, 'x'::text as name"})
    p.run("run").fails().says('type "string" does not exist')
