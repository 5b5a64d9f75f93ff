"""Where the project, its profile and its settings come from."""
import pytest

MODEL = {"models/one.sql": "select 1 as n"}


@pytest.mark.san
def test_dbt_project_file(project):
    p = project(MODEL)
    p.run("run").ok()
    assert p.db.relations() == ["one view"]


def test_dex_project_file_comes_before_dbts(project):
    p = project({**MODEL, "dex_project.yml": "name: shop\nprofile: shop\nmodels:\n  +materialized: table\n"})
    p.run("run").ok()
    assert p.db.relations() == ["one table"]


def test_a_project_needs_no_more_than_a_name(project):
    p = project({**MODEL, "dbt_project.yml": "name: shop\n"})
    p.run("run --profile shop").ok()
    assert p.db.relations() == ["one view"]


def test_project_folder_by_option_and_environment(project):
    p = project(MODEL)
    p.run("run", "--project-dir", p.dir, cwd="/").ok()
    assert p.exists("target/run_results.json")
    p.write({"models/two.sql": "select 2 as n"})
    p.run("run", cwd="/", env={"DBT_PROJECT_DIR": p.dir}).ok()
    assert p.db.relations() == ["one view", "two view"]


def test_messages_name_files_as_the_user_would(project):
    p = project({"models/one.sql": "select * from {{ ref('two') }}"})
    p.run("run").fails(2).says("models/one.sql")
    p.run("run --project-dir project", cwd=p.scratch).fails(2).says("project/models/one.sql")


def test_paths_of_the_project_file(project):
    p = project({
        "dbt_project.yml": """
            name: shop
            profile: shop
            model-paths: [sql]
            seed-paths: [data]
            test-paths: [checks]
            macro-paths: [helpers]
            target-path: out
            """,
        "sql/one.sql": "select {{ two() }} as n from {{ ref('numbers') }}",
        "data/numbers.csv": "n\n1\n",
        "checks/fine.sql": "select 1 from {{ ref('one') }} where n <> 2",
        "helpers/two.sql": "{% macro two() %}2{% endmacro %}",
        "models/ignored.sql": "select wrong",
    })
    p.run("build").ok()
    assert p.db.relations() == ["numbers table", "one view"]
    assert p.exists("out/run_results.json") and p.exists("out/compiled/shop/sql/one.sql")
    assert not p.exists("target")


def test_target_path_by_option(project):
    p = project(MODEL)
    p.run("run --target-path elsewhere").ok()
    assert p.exists("elsewhere/manifest.json") and not p.exists("target")
    p.run("run", "--target-path", p.scratch + "/absolute").ok()
    assert p.exists("../absolute/run_results.json")


def schema_profile(project, schema):
    return project.profile(schema=schema)


def test_order_of_profiles(project):
    """--profiles-dir, then DBT_PROFILES_DIR, then the project's folder, then ~/.dbt."""
    p = project(MODEL, profile=False)
    homes = [("../home/.dbt", "of_home"), (".", "of_project"), ("../variable", "of_variable"), ("../option", "of_option")]
    commands = ["run", "run", "run", "run --profiles-dir ../option"]
    env = {}
    for (folder, schema), command in zip(homes, commands):
        p.write({folder + "/profiles.yml": schema_profile(p, schema)})
        if schema == "of_variable":
            env["DBT_PROFILES_DIR"] = p.path("../variable")
        p.run(command, env=env).ok()
        assert p.db.relations(schema) == ["one view"]


def test_env_var_in_profile(project):
    p = project(MODEL)
    p.write({"profiles.yml": p.profile(schema="{{ env_var('SCHEMA_NAME') }}",
                                       port="{{ env_var('PORT_NUMBER') | as_number }}",
                                       user="{{ env_var('DB_USER', 'postgres') }}")})
    port = str(p.db.server.port)
    p.run("run", env={"SCHEMA_NAME": "from_env", "PORT_NUMBER": port}).ok()
    assert p.db.relations("from_env") == ["one view"]
    p.run("run", env={"PORT_NUMBER": port}).fails(2).says("SCHEMA_NAME", "profiles.yml")


def test_targets(project):
    p = project(MODEL)
    prod = p.profile(schema="prod").split("dev:\n", 2)[1]
    p.write({"profiles.yml": p.profile() + "    prod:\n" + prod})
    p.run("run --target prod").ok().says("target prod")
    p.run("run", env={"DBT_TARGET": "prod"}).ok().says("target prod")
    assert p.db.relations("prod") == ["one view"]
    assert p.db.relations("dev") == []
    p.run("run").ok().says("target dev")
    assert p.db.relations("dev") == ["one view"]


def test_profile_by_option_and_environment(project):
    p = project(MODEL)
    p.write({"profiles.yml": p.profile() + p.profile(schema="other").replace("shop:", "second:", 1)})
    p.run("run --profile second").ok()
    assert p.db.relations("other") == ["one view"]
    p.write({"models/two.sql": "select 2 as n"})
    p.run("run", env={"DBT_PROFILE": "second"}).ok()
    assert p.db.relations("other") == ["one view", "two view"]


def test_threads_of_profile_option_and_environment(project):
    p = project(MODEL, threads=3)
    p.run("run").ok().says("3 threads")
    p.run("run", env={"DBT_THREADS": "2"}).ok().says("2 threads")
    p.run("run --threads 1", env={"DBT_THREADS": "2"}).ok().says("1 thread\n")


@pytest.mark.san
def test_libpq_keys(project):
    sql = "select current_setting('{}') as v"
    p = project({"models/path.sql": sql.format("search_path"), "models/role.sql": "select current_user::text as v",
                 "models/application.sql": sql.format("application_name"),
                 "dbt_project.yml": "name: shop\nprofile: shop\nmodels: {+materialized: table}\n"})
    p.db.role("builder")
    p.db.sql(f"grant create on database {p.db.name} to builder")
    p.write({"profiles.yml": p.profile(search_path='"a b", c', role="builder", application_name="my app",
                                       keepalives_idle=30, connect_timeout=5, sslmode="disable")})
    p.run("run").ok()
    assert p.db.rows("select v from dev.path union all select v from dev.role union all "
                     "select v from dev.application") == ['"a b", c', "builder", "my app"]
    p.write({"profiles.yml": p.profile(host="127.0.0.1", sslmode="require")})
    p.run("run").fails(2).says("SSL")


def test_password_over_tcp(project):
    p = project(MODEL)
    p.write({"profiles.yml": p.profile(host="127.0.0.1")})
    p.run("run").ok()
    p.write({"profiles.yml": p.profile(host="localhost", password=None, **{"pass": "correct-horse"})})
    p.run("run").ok()


def test_variables(project):
    p = project({
        "dbt_project.yml": """
            name: shop
            profile: shop
            vars:
              colour: red
              size: 1
              shop: {size: 2}
            models:
              +materialized: "{{ var('kind', 'view') }}"
            """,
        "models/one.sql": "select '{{ var('colour') }}' as colour, {{ var('size') }} as size, '{{ var('none', 'x') }}' as x",
    })
    p.run("run").ok()
    assert p.db.rows("select * from dev.one") == ["red|2|x"]
    p.run("run", "--vars", "{colour: blue, size: 3, kind: table}").ok()
    assert p.db.rows("select * from dev.one") == ["blue|3|x"]
    assert p.db.relations() == ["one table"]
    p.run("run", "--vars", '{"size": 4}').ok()
    assert p.db.rows("select * from dev.one") == ["red|4|x"]


def test_env_var_in_templates(project):
    p = project({"models/one.sql": "select '{{ env_var('FRUIT') }}' as a, '{{ env_var('NOT_SET', 'none') }}' as b"})
    p.run("run", env={"FRUIT": "pear"}).ok()
    assert p.db.rows("select * from dev.one") == ["pear|none"]
    p.run("run").fails(2).says("FRUIT", "models/one.sql")


def test_secrets_are_shown_nowhere(project):
    p = project({"models/one.sql": "select 1 as n",
                 "dbt_project.yml": """
                     name: shop
                     profile: shop
                     on-run-start: "select '{{ target.name }}' as a, '{{ env_var('DBT_ENV_SECRET_TOKEN', '') }}'"
                     """})
    secret = "s3cr3t-0123"
    p.write({"profiles.yml": p.profile(application_name="{{ env_var('DBT_ENV_SECRET_NAME') }}")})
    result = p.run("run --log-level debug", env={"DBT_ENV_SECRET_NAME": secret, "DBT_ENV_SECRET_TOKEN": secret})
    assert secret not in result.stdout + result.stderr
    for name in "run_results.json", "hook_results.json", "manifest.json":
        if p.exists("target", name):
            assert secret not in p.read("target", name)


def test_packages(project):
    p = project({
        "packages.yml": "packages:\n  - local: shared/tools\n  - {package: acme/numbers, version: 1.0.0}\n",
        "shared/tools/dbt_project.yml": "name: tools\nmodels:\n  tools:\n    +materialized: table\n",
        "shared/tools/models/base.sql": "select {{ tools.seven() }} as n",
        "shared/tools/macros/seven.sql": "{% macro seven() %}{{ numbers.number() }}{% endmacro %}",
        "dbt_packages/numbers/dbt_project.yml": "name: numbers\n",
        "dbt_packages/numbers/macros/number.sql": "{% macro number() %}7{% endmacro %}",
        "models/top.sql": "select n, {{ tools.seven() }} as m from {{ ref('tools', 'base') }}",
        "models/same.sql": "select n from {{ ref('base') }}",
    })
    p.run("run").ok()
    assert p.db.rows("select n, m from dev.top union all select n, 0 from dev.same") == ["7|7", "7|0"]
    assert p.db.relations() == ["base table", "same view", "top view"]


def test_no_node_is_no_failure(project):
    p = project({})
    p.run("build").ok().says("nothing to do")
    assert p.artifact("run_results")["results"] == []
