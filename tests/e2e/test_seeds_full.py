"""Seeds in full: bad cells, changed headers, settings, a million rows, a project's own materialization."""
import resource

import pytest


@pytest.mark.san
@pytest.mark.parametrize("text, line, row", [
    ('n,t\n1,x\nno,"m\nn"\n', 3, 2),
    ('n,t\n1,"x\ny"\nno,"m\nn"\n3,z\n', 4, 2),
    ('n,t\n1,"x\ny"\nnull,null\nno,z\n', 5, 3),
])
def test_a_bad_cell_is_named_by_row_and_column(project, text, line, row):
    p = project({"seeds/s.csv": text.encode(), "seeds/s.yml":
                 "seeds: [{name: s, config: {column_types: {n: integer}}}]\n"})
    p.run("seed").fails(1).says(f'row {row}, column n: invalid input syntax for type integer: "no"', f"seeds/s.csv:{line}")
    assert p.db.relations("dev") == []


def test_a_changed_header(project):
    p = project({"seeds/s.csv": "a,b\n1,x\n"})
    p.run("seed").ok()
    p.write({"seeds/s.csv": "a,c\n2,y\n"})
    p.run("seed").fails(1).says("the file has a column 'c' and the table has not", "dex-lua seed --full-refresh --select s")
    assert p.db.rows("select * from dev.s") == ["1|x"]
    p.run("seed --full-refresh").ok()
    assert p.db.rows("select a, c from dev.s") == ["2|y"]
    p.write({"seeds/s.csv": "a\n3\n"})
    p.run("seed").ok()
    assert p.db.rows("select a, c from dev.s") == ["3|NULL"], "a column that the file lost is empty, as in dbt"


def test_a_type_for_a_column_that_is_not_there(project):
    p = project({"seeds/s.csv": "code,n\n01,1\n", "seeds/s.yml":
                 "seeds: [{name: s, config: {column_types: {code: text, cod: text}}}]\n"})
    p.run("seed").ok().says("`column_types` names columns that the file has not: cod", "did you mean 'code'?")
    assert p.db.rows("select * from dev.s") == ["01|1"]


def test_parquet_is_refused(project):
    p = project({"seeds/s.parquet": b"PAR1", "models/m.sql": "select * from {{ ref('s') }}"})
    result = p.run("build").fails(1).says("seed 's' is a Parquet file", "seeds/s.parquet", "write it as CSV")
    assert result.statuses == {"s": "error", "m": "skipped"}


def test_an_own_materialization(project):
    p = project({"seeds/s.csv": "a,b\n1,x\n2,\n", "macros/seed.sql": """
        {% materialization seed, default %}
          {% set t = load_agate_table() %}
          {% do run_query(create_csv_table(model, t)) if false %}
          {% set sql = create_csv_table(model, t) %}
          {% do load_csv_rows(model, t) %}
          {% call noop_statement('main', 'CUSTOM ' ~ (t.rows | length), 'CUSTOM', 2) %}{{ sql }}{% endcall %}
          {{ return({'relations': [this.incorporate(type='table')]}) }}
        {% endmaterialization %}
        """})
    result = p.run("seed").ok()
    assert result.result("s")["message"] == "CUSTOM 2"
    assert p.db.rows("select a, b from dev.s order by a") == ["1|x", "2|NULL"]


def test_a_million_rows_in_constant_memory(project):
    p = project({"seeds/s.csv": "n,name,f\n" + "".join(f"{i},name {i},{i}.5\n" for i in range(1000000))})
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    p.run("seed", timeout=240).ok().says("1,000,000 rows")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak <= max(before, 200 * 1024), f"{peak} kB"
    assert p.db.rows("select count(*), sum(n), pg_typeof(min(f)) from dev.s") == ["1000000|499999500000|double precision"]
