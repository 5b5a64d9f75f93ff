{# PostgreSQL: building, renaming and dropping relations. #}

{% macro postgres__create_table_as(temporary, relation, sql) -%}
  {%- set header = config.get('sql_header', none) -%}
  {%- set kind = 'temporary ' if temporary else 'unlogged ' if config.get('unlogged', default=false) else '' -%}
  {%- set enforced = config.get('contract').enforced -%}
  {{ header if header is not none }}
  create {{ kind }}table {{ relation }}
  {%- if enforced %}
  {{ get_assert_columns_equivalent(sql) }}
  {%- endif %}
  {%- if enforced and not temporary %}
  {{ get_table_columns_and_constraints() }};
  insert into {{ relation }} ({{ adapter.dispatch('get_column_names', 'dbt')() }})
  {%- set sql = get_select_subquery(sql) %}
  {%- else %} as
  {%- endif %} (
    {{ sql }}
  );
{%- endmacro %}

{% macro postgres__get_replace_view_sql(relation, sql) -%}
  {%- set header = config.get('sql_header', none) -%}
  {{ header if header is not none }}
  create or replace view {{ relation }}
  {%- if config.get('contract').enforced %}
  {{ get_assert_columns_equivalent(sql) }}
  {%- endif %} as (
    {{ sql }}
  );
{%- endmacro %}

{# A unique constraint is an index, whose name is taken in the whole schema. #}
{% macro postgres__release_constraint_names(relation, constraints) -%}
  {%- set names = [] -%}
  {%- for constraint in constraints if constraint.name -%}
    {%- do names.append("'" ~ escape_single_quotes(constraint.name) ~ "'") -%}
  {%- endfor -%}
  {%- if names -%}
    {%- set found = run_query("select conname from pg_catalog.pg_constraint where conrelid = '"
      ~ escape_single_quotes(relation.render()) ~ "'::regclass and contype in ('p', 'u') and lower(conname) in ("
      ~ names | join(', ') | lower ~ ")") -%}
    {%- for row in found -%}
      {%- do run_query('alter table ' ~ relation ~ ' rename constraint ' ~ adapter.quote(row[0]) ~ ' to '
        ~ adapter.quote('dex_' ~ local_md5(row[0] ~ relation))) -%}
    {%- endfor -%}
  {%- endif -%}
{%- endmacro %}

{# There is no `create or replace table`: the old one is dropped in the same transaction. #}
{% macro postgres__get_replace_table_sql(relation, sql) -%}
  {{ drop_table(relation) }};
  {{ get_create_table_as_sql(false, relation, sql) }}
{%- endmacro %}

{% macro postgres__get_rename_table_sql(relation, new_name) -%}
  alter table {{ relation }} rename to {{ adapter.quote_as_configured(new_name, 'identifier') }}
{%- endmacro %}

{% macro postgres__get_rename_view_sql(relation, new_name) -%}
  alter view {{ relation }} rename to {{ adapter.quote_as_configured(new_name, 'identifier') }}
{%- endmacro %}

{% macro postgres__drop_table(relation) -%}
  drop table if exists {{ relation }} cascade
{%- endmacro %}

{% macro postgres__drop_view(relation) -%}
  drop view if exists {{ relation }} cascade
{%- endmacro %}


{# An identifier has at most 63 bytes, which may be fewer characters; the suffix stays whole, the name before it
   is cut. #}
{% macro postgres__make_relation_with_suffix(base_relation, suffix, dstring) -%}
  {%- if dstring -%}
    {%- set suffix = suffix ~ modules.datetime.datetime.now().strftime('%H%M%S%f') -%}
  {%- endif -%}
  {%- set room = base_relation.relation_max_name_length() - suffix | length -%}
  {%- if room < 0 -%}
    {%- do exceptions.raise_compiler_error("the suffix '" ~ suffix ~ "' is longer than a name may be") -%}
  {%- endif -%}
  {%- do return(base_relation.with_suffix(suffix)) -%}
{%- endmacro %}

{% macro postgres__make_intermediate_relation(base_relation, suffix) -%}
  {%- do return(postgres__make_relation_with_suffix(base_relation, suffix, dstring=false)) -%}
{%- endmacro %}

{# Temporary tables have a schema of the session's own. #}
{% macro postgres__make_temp_relation(base_relation, suffix) -%}
  {%- set relation = postgres__make_relation_with_suffix(base_relation, suffix, dstring=true) -%}
  {%- do return(relation.incorporate(path={'database': none, 'schema': none})) -%}
{%- endmacro %}

{% macro postgres__make_backup_relation(base_relation, backup_relation_type, suffix) -%}
  {%- set relation = postgres__make_relation_with_suffix(base_relation, suffix, dstring=false) -%}
  {%- do return(relation.incorporate(type=backup_relation_type)) -%}
{%- endmacro %}
