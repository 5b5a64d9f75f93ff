"""Under Airflow, systemd, cron and pipes."""
import os
import subprocess

import pytest

from program import BINARY, Result

FILES = {"models/a.sql": "{{ config(materialized='table') }} select 1 as n",
         "models/b.sql": "select '{{ run_started_at.tzinfo }}' as zone, n from {{ ref('a') }}"}


def test_closed_streams(project):
    p = project(FILES)
    for closed in ("<&-", "<&- 2>&-", "<&- >&- 2>&-"):
        done = subprocess.run(["sh", "-c", f'exec "{BINARY}" run {closed}'], cwd=p.dir, env=p.env, timeout=60,
                              capture_output=True)
        assert p.db.rows("select n from dev.b") == ["1"]
        assert done.returncode == 0 or ">&-" in closed


def test_a_reader_that_leaves(project):
    p = project(FILES)
    done = subprocess.run(["bash", "-c", f'"{BINARY}" run | head -n 1; exit ${{PIPESTATUS[0]}}'], cwd=p.dir, env=p.env,
                          timeout=60, capture_output=True, text=True)
    assert done.stdout.startswith("dex-lua") and "defect" not in done.stderr
    assert sorted(p.db.relations()) == ["a table", "b view"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", ":America/New_York", "Nowhere/At_All", ""])
def test_zones(project, zone):
    p = project(FILES)
    p.run("run", env={"TZ": zone}).ok()
    assert p.db.rows("select zone from dev.b") == ["UTC"]
    assert p.artifact("run_results")["metadata"]["generated_at"].endswith("Z")


def test_lines_come_when_they_are_made(project):
    p = project({"models/a.sql": FILES["models/a.sql"], "models/slow.sql":
                 "select pg_sleep(100)::text as n from {{ ref('a') }}", "models/slow.yml":
                 "models: [{name: slow, config: {materialized: table}}]"})
    running = p.start("run", stdout=subprocess.PIPE)
    assert any(b"ok     model   dev.a" in line for line in iter(running.process.stdout.readline, b""))
    running.process.stdout.close()
    running.process.terminate()
    running.finish()


def test_read_only_project(project):
    """Another user, who may read the project and write elsewhere."""
    if os.getuid() != 0:
        pytest.skip("needs root, to become another user")
    p = project(FILES)
    out = p.scratch + "/out"
    os.makedirs(out)
    os.chown(out, 65534, 65534)
    process = subprocess.run([BINARY, "run", "--target-path", out], cwd=p.dir, env=p.env, capture_output=True,
                             text=True, user=65534, group=65534, extra_groups=[], timeout=60)
    Result(p, ["run"], process.returncode, process.stdout, process.stderr).ok()
    assert os.path.exists(out + "/run_results.json") and not p.exists("target") and not p.exists("logs")
