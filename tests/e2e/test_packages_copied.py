"""A local package of which `dbt deps` has left a copy in dbt_packages."""

LOCAL = {
    "packages.yml": "packages: [{local: ../tools}]\n",
    "models/m.sql": "select {{ tools.one() }} as n",
    "../tools/dbt_project.yml": "name: tools\n",
    "../tools/macros/one.sql": "{% macro one() %}1{% endmacro %}",
    "dbt_packages/tools/dbt_project.yml": "name: tools\n",
    "dbt_packages/tools/macros/one.sql": "{% macro one() %}2{% endmacro %}",
}


def test_the_local_package_is_read_not_its_copy(project):
    p = project(LOCAL)
    p.run("build").ok()
    assert p.db.rows("select n from dev.m") == ["1"]


def test_two_packages_of_one_name(project):
    p = project({**LOCAL, "dbt_packages/other/dbt_project.yml": "name: tools\n"})
    p.run("parse").fails(2).says("two packages have the name 'tools'", "dbt_packages/tools", "dbt_packages/other")
