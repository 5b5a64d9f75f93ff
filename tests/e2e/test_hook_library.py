"""The ready-made hooks of stdlib/hooks."""
import hashlib
import hmac
import json
import os

from test_hook_events import web  # noqa: F401

MODELS = {"models/a.sql": "select 1 as n",
          "models/b.sql": "{{ config(materialized='table') }} select 1 / (n - {{ var('bad', 0) }}) as n from {{ ref('a') }}"}


def end(hook):
    return {"dbt_project.yml": f"name: shop\nprofile: shop\non-run-end: {hook}\n", **MODELS}


def test_webhook(project, web):  # noqa: F811
    p = project(end("{lua: notify.webhook, args: {url_env: URL, secret_env: KEY}}"))
    key = "k" * 70
    p.run("run", "--vars", "bad: 1", env={"URL": web.url + "/x", "KEY": key}).fails(1)
    _, _, headers, body = web.seen[0]
    assert headers["X-Signature-256"] == "sha256=" + hmac.new(key.encode(), body.encode(), hashlib.sha256).hexdigest()
    told = json.loads(body)
    assert (told["command"], told["total"], told["failed"]) == ("run", 2, 1)
    assert told["failures"] == [{"node": "model.shop.b", "status": "error"}]
    p.run("run").fails(1).says("the environment variable KEY is not set")
    p.run("run", env={"URL": web.url + "/missing", "KEY": "k"}).fails(1).says("answered with status 404")


def test_slack(project, web):  # noqa: F811
    p = project(end("{lua: notify.slack, args: {url_env: URL, only: failures}}"))
    p.run("run", env={"URL": web.url}).ok()
    assert web.seen == []
    p.run("run", "--vars", "bad: 1", env={"URL": web.url}).fails(1)
    assert json.loads(web.seen[0][3]) == {"text": "run on dev: 1 of 2 failed\n- model.shop.b: error"}


def test_notify_timing_and_target(project):
    p = project(end("[{lua: notify.postgres, args: {channel: c}}, 'lua: timing.report']"))
    p.run("run").ok().says("2 nodes took", "model.shop.a")
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\non-run-start: {lua: guard.target, args: {allow: [prod]}}\n"})
    p.run("run").fails(1).says("this does not run on target dev")
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\non-run-start: {lua: guard.target, args: {deny: [prod]}}\n"})
    p.run("run").ok()


def test_freshness_and_stamp(project):
    p = project({"models/s.yml": "sources: [{name: src, schema: public, tables: [{name: t}]}]\n", "models/m.sql": """
        {{ config(materialized='table', post_hook='lua: stamp.comment', pre_hook={'lua': 'guard.fresh',
          'args': {'source': ['src', 't'], 'column': 'at', 'hours': 2, 'skip': var('skip', false)}}) }}
        select * from {{ source('src', 't') }}"""})
    p.db.sql("create table public.t (at timestamptz)")
    p.run("run").fails(1).says("has no rows")
    p.db.sql("insert into public.t values (now() - interval '3 hours')")
    p.run("run").fails(1).says("3.0 hours old, more than 2")
    assert p.run("run", "--vars", "skip: true").statuses == {"m": "skipped"}
    p.db.sql("insert into public.t values (now())")
    p.run("run").ok()
    assert p.db.rows("select obj_description('dev.m'::regclass)")[0].startswith("model.shop.m, built by run ")


def test_each_is_short_and_in_the_page():
    root = os.path.join(os.path.dirname(__file__), "../../stdlib")
    with open(os.path.join(root, "README.md"), encoding="utf-8") as file:
        page = file.read()
    for name in os.listdir(os.path.join(root, "hooks")):
        with open(os.path.join(root, "hooks", name), encoding="utf-8") as file:
            assert len(file.readlines()) <= 80, name
        assert f"`{name[:-4]}." in page, name
