{# Contracts: the columns that a properties file promises, checked and built. #}

{% macro get_table_columns_and_constraints() -%}
  {%- do return(adapter.dispatch('get_table_columns_and_constraints', 'dbt')()) -%}
{%- endmacro %}

{% macro default__get_table_columns_and_constraints() -%}
  {%- do return(table_columns_and_constraints()) -%}
{%- endmacro %}

{# (column type constraint, ..., table constraint, ...) #}
{% macro table_columns_and_constraints() -%}
  {%- set columns = adapter.render_raw_columns_constraints(raw_columns=model['columns']) -%}
  {%- set constraints = adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
  (
    {{ (columns + constraints) | join(',\n    ') }}
  )
{%- endmacro %}

{# Lets a table that is about to be replaced give the names of its constraints to its successor. #}
{% macro release_constraint_names(relation, constraints) -%}
  {%- do return(adapter.dispatch('release_constraint_names', 'dbt')(relation, constraints)) -%}
{%- endmacro %}

{% macro default__release_constraint_names(relation, constraints) -%}
{%- endmacro %}

{% macro get_assert_columns_equivalent(sql) -%}
  {%- do return(adapter.dispatch('get_assert_columns_equivalent', 'dbt')(sql)) -%}
{%- endmacro %}

{% macro default__get_assert_columns_equivalent(sql) -%}
  {%- do return(assert_columns_equivalent(sql)) -%}
{%- endmacro %}

{# Fails when a query's columns are not those of the properties file: same names, same types, none missing. #}
{% macro assert_columns_equivalent(sql) -%}
  {%- if not model['columns'] -%}
    {%- do exceptions.raise_contract_error([], []) -%}
  {%- endif -%}
  {%- set built = format_columns(get_column_schema_from_query(sql, config.get('sql_header', none))) -%}
  {%- set promised = format_columns(get_column_schema_from_query(get_empty_schema_sql(model['columns']))) -%}
  {%- set known = {} -%}
  {%- for column in promised -%} {%- do known.update({column['name']: column['formatted']}) -%} {%- endfor -%}
  {%- set matching = [] -%}
  {%- for column in built if known.get(column['name']) == column['formatted'] -%}
    {%- do matching.append(column) -%}
  {%- endfor -%}
  {%- if matching | length != built | length or built | length != promised | length -%}
    {%- do exceptions.raise_contract_error(promised, built) -%}
  {%- endif -%}
{%- endmacro %}

{% macro format_columns(columns) -%}
  {%- set formatted = [] -%}
  {%- for column in columns -%}
    {%- do formatted.append(adapter.dispatch('format_column', 'dbt')(column)) -%}
  {%- endfor -%}
  {%- do return(formatted) -%}
{%- endmacro %}

{% macro default__format_column(column) -%}
  {%- do return({'name': column.name, 'data_type': column.dtype,
                 'formatted': column.column | lower ~ ' ' ~ column.dtype}) -%}
{%- endmacro %}

{# The promised columns' names in the order of the properties file. #}
{% macro default__get_column_names() -%}
  {%- for column in model['columns'].values() -%}
    {{ adapter.quote(column['name']) if column.get('quote') else column['name'] }}{{ ', ' if not loop.last }}
  {%- endfor -%}
{%- endmacro %}

{# The query with its columns in that order. #}
{% macro get_select_subquery(sql) -%}
  {%- do return(adapter.dispatch('get_select_subquery', 'dbt')(sql)) -%}
{%- endmacro %}

{% macro default__get_select_subquery(sql) -%}
  select {{ adapter.dispatch('get_column_names', 'dbt')() }}
  from (
    {{ sql }}
  ) as model_subq
{%- endmacro %}
