"""Every message to the server fails in its turn: the line is cut there. Whatever the message was, the program ends in
order, says what happened, leaves nothing half built, and the next run works."""
import pytest

from proxy import Proxy

FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: 'create table if not exists public.starts (n int)'\n"
                       "on-run-end: 'select 1'\n",
    "seeds/s.csv": "n\n1\n2\n",
    "models/a.sql": "{{ config(materialized='table', pre_hook='select 1', post_hook=['create index on {{ this }} (n)', 'lua: h.run', "
                    "{'sql': 'vacuum {{ this }}', 'transaction': false}]) }} select n, {{ var('v', 1) }} as v from {{ ref('s') }}",
    "models/b.sql": "{% set x = run_query('select 1') if execute %} select n, v from {{ ref('a') }}",
    "models/all.yml": "models: [{name: a, columns: [{name: n, data_tests: [unique]}]}]\n",
    "hooks/h.lua": "return { run = function(hook) for row in hook:rows('select n from ' .. hook.this) do assert(row.n) end end }\n",
}
STEP = 4  # every so many messages; the steps of all parameters together are all of them


def run_until(p, limit, more=()):
    proxy = Proxy(p.db.server, limit)
    try:
        p.write({"profiles.yml": p.profile(host="127.0.0.1", port=proxy.port, sslmode="disable", retries=0, threads=1)})
        return p.run("build", *more, timeout=30), proxy
    finally:
        proxy.close()


@pytest.mark.san
@pytest.mark.parametrize("first", range(1, STEP + 1))
def test_the_line_is_cut_at_each_message(project, first):
    p = project(FILES)
    p.run("build").ok()
    limit, cut = first, True
    while cut:
        result, proxy = run_until(p, limit, ["--vars", "v: 2"])
        cut = proxy.cut
        if not cut:
            result.ok()
            break
        assert result.status in (0, 1, 2), result
        if result.status == 0:
            assert proxy.count == limit, "only the farewell is lost without harm"
        else:
            text = result.stdout + result.stderr
            assert "server closed the connection" in text or "could not receive" in text or "connection" in text, result
        p.db.wait_for_nobody()
        assert p.db.rows("select relname from pg_class where relname like '%\\_\\_dbt%'") == [], result
        v = p.db.rows("select distinct v from dev.a")
        assert v in (["1"], ["2"])
        # the view goes with the table that it read, when that was built anew
        assert v == ["2"] or "b view" in p.db.relations()
        limit += STEP
        assert limit < 400
    p.write({"profiles.yml": p.profile()})
    p.run("build", "--vars", "v: 3").ok()
    assert p.db.rows("select distinct v from dev.b") == ["3"]
