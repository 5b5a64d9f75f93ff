{# The columns of relations and of queries. #}

{% macro get_columns_in_relation(relation) -%}
  {%- do return(adapter.dispatch('get_columns_in_relation', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__get_columns_in_relation(relation) -%}
  {%- do not_for_this_adapter('get_columns_in_relation') -%}
{%- endmacro %}

{# Rows of (name, type, size, precision, scale) as Column objects. #}
{% macro sql_convert_columns_in_relation(table) -%}
  {%- set columns = [] -%}
  {%- for row in table -%} {%- do columns.append(api.Column(*row)) -%} {%- endfor -%}
  {%- do return(columns) -%}
{%- endmacro %}

{% macro get_list_of_column_names(columns) -%}
  {%- do return(columns | map(attribute='name') | list) -%}
{%- endmacro %}


{# The same columns as a query, and no rows: planned, not scanned. #}
{% macro get_empty_subquery_sql(select_sql, select_sql_header=none) -%}
  {%- do return(adapter.dispatch('get_empty_subquery_sql', 'dbt')(select_sql, select_sql_header)) -%}
{%- endmacro %}

{% macro default__get_empty_subquery_sql(select_sql, select_sql_header=none) -%}
  {{ select_sql_header if select_sql_header is not none }}
  select * from (
    {{ select_sql }}
  ) as __dbt_sbq where false limit 0
{%- endmacro %}

{# A query with the columns of a properties file, each with its data_type. #}
{% macro get_empty_schema_sql(columns) -%}
  {%- do return(adapter.dispatch('get_empty_schema_sql', 'dbt')(columns)) -%}
{%- endmacro %}

{% macro default__get_empty_schema_sql(columns) -%}
  {%- set untyped = columns.values() | rejectattr('data_type') | map(attribute='name') | list -%}
  {%- if untyped -%} {%- do exceptions.column_type_missing(column_names=untyped) -%} {%- endif -%}
  {%- set items, unbounded = [], [] -%}
  {%- for column in columns.values() -%}
    {%- if column['data_type'].strip() | lower in ('numeric', 'decimal', 'number') -%}
      {%- do unbounded.append(column['name']) -%}
    {%- endif -%}
    {%- set name = adapter.quote(column['name']) if column.get('quote') else column['name'] -%}
    {%- do items.append(cast('null', column['data_type']) ~ ' as ' ~ name) -%}
  {%- endfor -%}
  {%- if unbounded -%}
    {%- do exceptions.warn('numeric columns without precision and scale may be rounded when built: ' ~ unbounded | join(', ')) -%}
  {%- endif -%}
  select {{ items | join(', ') }}
{%- endmacro %}

{% macro get_column_schema_from_query(select_sql, select_sql_header=none) -%}
  {%- do return(adapter.get_column_schema_from_query(get_empty_subquery_sql(select_sql, select_sql_header))) -%}
{%- endmacro %}

{# The names alone. #}
{% macro get_columns_in_query(select_sql) -%}
  {%- do return(adapter.dispatch('get_columns_in_query', 'dbt')(select_sql)) -%}
{%- endmacro %}

{% macro default__get_columns_in_query(select_sql) -%}
  {%- call statement('get_columns_in_query', fetch_result=true, auto_begin=false) -%}
    {{ get_empty_subquery_sql(select_sql) }}
  {%- endcall -%}
  {%- do return(load_result('get_columns_in_query').table.columns | map(attribute='name') | list) -%}
{%- endmacro %}


{# Changes a column's type by way of a new column: works for every pair of types that can be assigned. #}
{% macro alter_column_type(relation, column_name, new_column_type) -%}
  {%- do return(adapter.dispatch('alter_column_type', 'dbt')(relation, column_name, new_column_type)) -%}
{%- endmacro %}

{% macro default__alter_column_type(relation, column_name, new_column_type) -%}
  {%- set old, new = adapter.quote(column_name), adapter.quote(column_name ~ '__dbt_alter') -%}
  {%- call statement('alter_column_type') -%}
    alter table {{ relation }} add column {{ new }} {{ new_column_type }};
    update {{ relation }} set {{ new }} = {{ old }};
    alter table {{ relation }} drop column {{ old }} cascade;
    alter table {{ relation }} rename column {{ new }} to {{ old }}
  {%- endcall -%}
{%- endmacro %}

{% macro alter_relation_add_remove_columns(relation, add_columns=none, remove_columns=none) -%}
  {%- do return(adapter.dispatch('alter_relation_add_remove_columns', 'dbt')(relation, add_columns, remove_columns)) -%}
{%- endmacro %}

{% macro default__alter_relation_add_remove_columns(relation, add_columns, remove_columns) -%}
  {%- set actions = [] -%}
  {%- for column in add_columns or [] -%}
    {%- do actions.append('add column ' ~ column.quoted ~ ' ' ~ column.expanded_data_type) -%}
  {%- endfor -%}
  {%- for column in remove_columns or [] -%}
    {%- do actions.append('drop column ' ~ column.quoted) -%}
  {%- endfor -%}
  {%- do run_query('alter ' ~ relation.type ~ ' ' ~ relation.render() ~ ' ' ~ actions | join(', ')) -%}
{%- endmacro %}


{# "a", "b" #}
{% macro get_quoted_csv(column_names) -%}
  {%- set quoted = [] -%}
  {%- for name in column_names -%} {%- do quoted.append(adapter.quote(name)) -%} {%- endfor -%}
  {%- do return(quoted | join(', ')) -%}
{%- endmacro %}

{# The columns of the first list whose names are not in the second. #}
{% macro diff_columns(source_columns, target_columns) -%}
  {%- set known = target_columns | map(attribute='column') | list -%}
  {%- set more = [] -%}
  {%- for column in source_columns if column.name not in known -%} {%- do more.append(column) -%} {%- endfor -%}
  {%- do return(more) -%}
{%- endmacro %}

{# [{column_name, new_type}] for columns that both lists have with types that do not fit. #}
{% macro diff_column_data_types(source_columns, target_columns) -%}
  {%- do return(adapter.dispatch('diff_column_data_types', 'dbt')(source_columns, target_columns)) -%}
{%- endmacro %}

{% macro default__diff_column_data_types(source_columns, target_columns) -%}
  {%- set changed = [] -%}
  {%- for column in source_columns -%}
    {%- for existing in target_columns if existing.name == column.name -%}
      {%- if column.expanded_data_type != existing.expanded_data_type and not column.can_expand_to(existing) -%}
        {%- do changed.append({'column_name': existing.name, 'new_type': column.expanded_data_type}) -%}
      {%- endif -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- do return(changed) -%}
{%- endmacro %}
