"""Seeds: CSV files through COPY, with the corners of CSV and of types."""
import pytest


@pytest.mark.san
def test_types(project):
    p = project({"seeds/types.csv": (
        "i,big,f,b,d,ts,t,empty,mixed\n"
        "1,9223372036854775807,1.5,true,2024-01-31,2024-01-31T10:11:12,abc,,1\n"
        "-2,1,2e3,False,2023-12-01,2024-02-01T00:00:00,,,x\n")})
    p.run("seed").ok().says("2 rows")
    kinds = p.db.rows("select column_name || ' ' || data_type from information_schema.columns "
                      "where table_name = 'types' order by ordinal_position")
    assert kinds[0] == "i integer" and kinds[3] == "b boolean" and kinds[4] == "d date"
    assert kinds[5] == "ts timestamp without time zone" and kinds[6] == "t text" and kinds[8] == "mixed text"
    assert p.db.rows("select i, big, f::float, b, d, t, empty, mixed from dev.types order by i") == [
        "-2|1|2000|f|2023-12-01|NULL|NULL|x", "1|9223372036854775807|1.5|t|2024-01-31|abc|NULL|1"]


@pytest.mark.san
@pytest.mark.parametrize("text, rows", [
    ('a,b\n"x, y","say ""hi"""\n', ['x, y|say "hi"']),
    ('a,b\n"two\nlines",z\n', ["two", "lines|z"]),
    ("a,b\r\nx,y\r\n", ["x|y"]),
    ("a,b\nx,y", ["x|y"]),
    ("\ufeffa,b\nx,y\n", ["x|y"]),
    ("a,b\nback\\slash,\\N\n", ["back\\slash|\\N"]),
    ("a,b\nü,日本\n", ["ü|日本"]),
    ("a,b\n\tx, y \n", ["\tx| y "]),
    ("a\nx\n\ny\n", ["x", "NULL", "y"]),
    ("a,b\nnull,x\n", ["NULL|x"]),
])
def test_corners_of_csv(project, text, rows):
    p = project({"seeds/s.csv": text.encode()})
    p.run("seed").ok()
    assert p.db.rows("select * from dev.s") == rows
    assert p.db.rows("select string_agg(attname, ',' order by attnum) from pg_attribute "
                     "where attrelid = 'dev.s'::regclass and attnum > 0")[0] in ("a,b", "a")


def test_a_column_twice(project):
    p = project({"seeds/s.csv": "id,id,n\n1,2,3\n"})
    p.run("seed").ok()
    assert p.db.rows("select id, id_2, n from dev.s") == ["1|2|3"], "as dbt names them"


def test_only_a_header(project):
    p = project({"seeds/s.csv": "a,b\n", "models/m.sql": "select count(*) as n from {{ ref('s') }}"})
    p.run("build").ok()
    assert p.db.rows("select * from dev.m") == ["0"]


def test_settings_of_a_seed(project):
    p = project({
        "seeds/zips.csv": "zip|Name\n01234|x\n",
        "seeds/codes.csv": "Code,n\nA,1\n",
        "seeds/all.yml": """
            seeds:
              - name: zips
                config: {delimiter: '|', column_types: {zip: varchar(5)}, schema: lookup, alias: postal}
              - name: codes
                config: {quote_columns: false}
            """,
    })
    p.run("seed").ok()
    assert p.db.rows('select zip, "Name" from dev_lookup.postal') == ["01234|x"]
    assert p.db.rows("select code from dev.codes") == ["A"]


@pytest.mark.san
def test_again_and_full_refresh(project):
    p = project({"seeds/s.csv": "n\n1\n2\n", "models/v.sql": "select sum(n) as n from {{ ref('s') }}"})
    p.run("build").ok()
    before = p.db.rows("select 'dev.s'::regclass::oid")
    p.write({"seeds/s.csv": "n\n5\n"})
    p.run("seed").ok()
    assert p.db.rows("select * from dev.v") == ["5"], "the view on it stays"
    assert p.db.rows("select 'dev.s'::regclass::oid") == before, "the table is emptied, not made anew"
    p.write({"seeds/s.csv": "n,m\n6,x\n"})
    p.run("seed --full-refresh").ok()
    assert p.db.rows("select n, m from dev.s") == ["6|x"]
    assert p.db.rows("select 'dev.s'::regclass::oid") != before


def test_new_columns_need_a_full_refresh(project):
    p = project({"seeds/s.csv": "n\n1\n"})
    p.run("seed").ok()
    p.write({"seeds/s.csv": "n,m\n2,x\n"})
    p.run("seed").fails(1)
    assert p.db.rows("select * from dev.s") == ["1"], "what was there is untouched"


def test_a_bad_value_leaves_the_old_table(project):
    p = project({"seeds/s.csv": "n\n1\n", "seeds/s.yml": "seeds:\n  - name: s\n    config: {column_types: {n: integer}}\n"})
    p.run("seed").ok()
    p.write({"seeds/s.csv": "n\n7\nnot a number\n"})
    p.run("seed").fails(1).says("not a number")
    assert p.db.rows("select * from dev.s") == ["1"]


def test_many_rows(project):
    rows = "".join(f"{i},name {i},{i / 7:.3f}\n" for i in range(50000))
    p = project({"seeds/s.csv": "n,name,f\n" + rows})
    p.run("seed").ok().says("50,000 rows")
    assert p.db.rows("select count(*), sum(n), max(length(name)) from dev.s") == ["50000|1249975000|10"]


def test_hooks_and_tests_on_seeds(project):
    p = project({
        "seeds/s.csv": "n\n1\n",
        "seeds/s.yml": """
            seeds:
              - name: s
                config:
                  post_hook: "alter table {{ this }} add column added int default 3"
                columns: [{name: n, tests: [unique, not_null]}, {name: added, tests: [not_null]}]
            """,
    })
    result = p.run("build").ok()
    assert p.db.rows("select n, added from dev.s") == ["1|3"]
    assert result.order[0] == "s" and len(result.order) == 4
