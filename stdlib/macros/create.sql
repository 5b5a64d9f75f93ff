{# The statements that build relations. `sql` is the compiled SELECT. #}

{% macro get_create_sql(relation, sql) -%}
  {%- do return(adapter.dispatch('get_create_sql', 'dbt')(relation, sql)) -%}
{%- endmacro %}

{% macro default__get_create_sql(relation, sql) -%}
  {%- if relation.is_view -%}
    {{- get_create_view_as_sql(relation, sql) -}}
  {%- elif relation.is_table -%}
    {{- get_create_table_as_sql(false, relation, sql) -}}
  {%- elif relation.is_materialized_view -%}
    {{- get_create_materialized_view_as_sql(relation, sql) -}}
  {%- else -%}
    {%- do exceptions.raise_compiler_error("get_create_sql: cannot create " ~ relation ~ ", a " ~ relation.type) -%}
  {%- endif -%}
{%- endmacro %}


{% macro get_create_table_as_sql(temporary, relation, sql) -%}
  {%- do return(adapter.dispatch('get_create_table_as_sql', 'dbt')(temporary, relation, sql)) -%}
{%- endmacro %}

{% macro default__get_create_table_as_sql(temporary, relation, sql) -%}
  {%- do return(create_table_as(temporary, relation, sql)) -%}
{%- endmacro %}

{% macro create_table_as(temporary, relation, compiled_code, language='sql') -%}
  {%- set implementation = adapter.dispatch('create_table_as', 'dbt') -%}
  {%- if language == 'sql' -%}
    {%- do return(implementation(temporary, relation, compiled_code)) -%}
  {%- endif -%}
  {%- do return(implementation(temporary, relation, compiled_code, language)) -%}
{%- endmacro %}

{% macro default__create_table_as(temporary, relation, sql) -%}
  {%- set header = config.get('sql_header', none) -%}
  {{ header if header is not none }}
  create {{ 'temporary ' if temporary }}table {{ relation.include(database=not temporary, schema=not temporary) }}
  {%- if config.get('contract').enforced and not temporary %}
  {{ get_assert_columns_equivalent(sql) }}
  {{ get_table_columns_and_constraints() }}
  {%- set sql = get_select_subquery(sql) %}
  {%- endif %}
  as (
    {{ sql }}
  );
{%- endmacro %}


{% macro get_create_view_as_sql(relation, sql) -%}
  {%- do return(adapter.dispatch('get_create_view_as_sql', 'dbt')(relation, sql)) -%}
{%- endmacro %}

{% macro default__get_create_view_as_sql(relation, sql) -%}
  {%- do return(create_view_as(relation, sql)) -%}
{%- endmacro %}

{% macro create_view_as(relation, sql) -%}
  {%- do return(adapter.dispatch('create_view_as', 'dbt')(relation, sql)) -%}
{%- endmacro %}

{% macro default__create_view_as(relation, sql) -%}
  {%- set header = config.get('sql_header', none) -%}
  {{ header if header is not none }}
  create view {{ relation }}
  {%- if config.get('contract').enforced %}
  {{ get_assert_columns_equivalent(sql) }}
  {%- endif %} as (
    {{ sql }}
  );
{%- endmacro %}


{% macro get_create_materialized_view_as_sql(relation, sql) -%}
  {%- do return(adapter.dispatch('get_create_materialized_view_as_sql', 'dbt')(relation, sql)) -%}
{%- endmacro %}

{% macro default__get_create_materialized_view_as_sql(relation, sql) -%}
  {%- do not_for_this_adapter('get_create_materialized_view_as_sql') -%}
{%- endmacro %}


{# A new relation beside the one it will replace. #}
{% macro get_create_intermediate_sql(relation, sql) -%}
  {%- do return(adapter.dispatch('get_create_intermediate_sql', 'dbt')(relation, sql)) -%}
{%- endmacro %}

{% macro default__get_create_intermediate_sql(relation, sql) -%}
  {%- set intermediate = make_intermediate_relation(relation) -%}
  {{ get_drop_sql(intermediate) }};
  {{ get_create_sql(intermediate, sql) }}
{%- endmacro %}


{# Moves a relation to the name of its backup. #}
{% macro get_create_backup_sql(relation) -%}
  {%- do return(adapter.dispatch('get_create_backup_sql', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__get_create_backup_sql(relation) -%}
  {%- set backup = make_backup_relation(relation, relation.type) -%}
  {{ get_drop_sql(backup) }};
  {{ get_rename_sql(relation, backup.identifier) }}
{%- endmacro %}


{# Fails for a macro that an adapter has to provide and this one does not. #}
{% macro not_for_this_adapter(name) -%}
  {%- do exceptions.raise_not_implemented(name ~ ' is not available on ' ~ adapter.type()) -%}
{%- endmacro %}
