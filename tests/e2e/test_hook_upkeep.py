"""Ready-made hooks that look after the database: privileges, statistics and room, relations that nobody owns."""
import pytest


@pytest.fixture
def roles(db):
    names = [f"{word}_{db.name}" for word in ("reader", "writer", "stranger")]
    for name in names:
        db.sql(f'create role "{name}"')
    yield names
    for name in names:
        db.sql(f'drop owned by "{name}"; drop role "{name}"')


PRIVILEGES = """select coalesce(r.rolname, 'public') || ' ' || lower(a.privilege_type) from pg_class c,
  aclexplode(c.relacl) a left join pg_roles r on r.oid = a.grantee
  where c.oid = 'dev.%s'::regclass and a.grantee <> c.relowner order by 1"""


def test_grants(project, roles):
    reader, writer, stranger = roles
    p = project({"models/m.sql": "{{ config(materialized='incremental', post_hook={'lua': 'grants.apply', 'args': "
                                 "{'select': [var('reader'), 'public'], 'insert': var('writer'), 'only': var('only', false)}}) }} select 1 as n"})
    names = f"reader: {reader}, writer: {writer}"
    p.run("run", "--vars", f"{{{names}}}").ok()
    granted = sorted(["public select", f"{reader} select", f"{writer} insert"])
    assert sorted(p.db.rows(PRIVILEGES % "m")) == granted
    p.db.sql(f'grant delete on dev.m to "{stranger}"; grant update on dev.m to "{reader}"; grant insert on dev.m to public')
    p.run("run", "--vars", f"{{{names}}}").ok()
    assert len(p.db.rows(PRIVILEGES % "m")) == 6, "without `only` nothing is taken away"
    p.run("run", "--vars", f"{{{names}, only: true}}").ok()
    assert sorted(p.db.rows(PRIVILEGES % "m")) == granted
    p.run("run", "--vars", f"{{reader: {reader}, writer: nobody_of_that_name}}").fails(1).says(
        "there is no role 'nobody_of_that_name' to grant insert to", "models/m.sql:1")


def test_grants_of_schemas(project, roles):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\non-run-end: {lua: grants.schemas, args: "
                                    f"{{to: {roles[0]}, schemas: [dev, marts]}}}}\n",
                 "models/a.sql": "select 1 as n", "models/b.sql": "{{ config(schema='marts') }} select 1 as n",
                 "macros/s.sql": "{% macro generate_schema_name(name, node) %}{{ name or target.schema }}{% endmacro %}"})
    p.run("run").ok()
    p.db.sql("create table marts.later (n int)")
    seen = "select has_table_privilege('%s', '%s', 'select') and has_schema_privilege('%s', '%s', 'usage')"
    for table in "dev.a", "marts.b", "marts.later":
        assert p.db.rows(seen % (roles[0], table, roles[0], table.split(".")[0])) == ["t"], table
        assert p.db.rows(seen % (roles[1], table, roles[1], table.split(".")[0])) == ["f"], table
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\non-run-end: 'lua: grants.schemas'\n"})
    p.run("run").fails(1).says("grants.schemas needs `to`")


def test_analyze_and_vacuum(project):
    p = project({"models/t.sql": "{{ config(materialized='table', post_hook=['lua: analyze.run']) }} select 1 as n",
                 "models/v.sql": "{{ config(post_hook=['lua: analyze.run']) }} select 1 as n",
                 "models/i.sql": "{{ config(materialized='incremental', post_hook={'lua': 'analyze.vacuum', "
                                 "'transaction': false}) }} select 1 as n"})
    p.run("run").ok()
    assert p.db.rows("select relname from pg_class where relname in ('t', 'i') and reltuples = 1 order by 1") == ["i", "t"]
    p.write({"models/i.sql": "{{ config(materialized='table', post_hook='lua: analyze.vacuum') }} select 1 as n"})
    p.run("run").fails(1).says("VACUUM cannot run inside a transaction block", "models/i.sql:1")


ORPHANS = {
    "dbt_project.yml": "name: shop\nprofile: shop\non-run-end: {lua: orphans.drop, args: {dry_run: \"{{ var('dry', true) }}\","
                       " keep: [legacy_%]}}\n",
    "models/a.sql": "{{ config(materialized='table', alias='a_named') }} select 1 as n",
    "models/b.sql": "select n from {{ ref('a') }}",
    "models/off.sql": "{{ config(enabled=false) }} select 1 as n",
    "models/s.yml": "sources: [{name: src, schema: dev, tables: [{name: t, identifier: incoming}]}]\n",
    "seeds/seed.csv": "n\n1\n",
}
LEFT = """create table dev.incoming (n int); create table dev.legacy_one (n int); create table dev.dex_notes (n int);
  create table dev.off (n int); create view dev.over_off as select * from dev.off;
  create materialized view dev.over_both as select o.n from dev.over_off o, dev.off p;
  create view dev.top as select * from dev.over_both; create table public.elsewhere (n int)"""


def dry(is_dry):
    return {"dbt_project.yml": ORPHANS["dbt_project.yml"].replace("\"{{ var('dry', true) }}\"", is_dry)}


def test_orphans(project):
    p = project({**ORPHANS, **dry("true")})
    p.run("build").ok()
    p.db.sql(LEFT)
    before = p.db.relations()
    result = p.run("run").ok().says("would drop table dev.off", "would drop view dev.top",
                                    "would drop materialized view dev.over_both")
    assert "incoming" not in result.stdout and "would drop view dev.b" not in result.stdout
    assert p.db.relations() == before
    p.write(dry("false"))
    p.run("run").ok().says("drops table dev.off")
    assert p.db.relations() == ["a_named table", "b view", "dex_notes table", "incoming table", "legacy_one table", "seed table"]
    assert p.db.relations("public") == ["elsewhere table"]


def test_orphans_that_others_stand_on_stay(project):
    p = project({**ORPHANS, **dry("false")})
    p.run("build").ok()
    p.db.sql("create table dev.off (n int); create table dev.off2 (n int);"
             "create view public.theirs as select * from dev.off")
    p.run("run").fails(1).says("cannot drop table dev.off because other objects depend on it", "theirs", "dbt_project.yml:3")
    assert "off2 table" in p.db.relations(), "all or nothing"
