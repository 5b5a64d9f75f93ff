{# For materializations of a project's own that load seeds through SQL. The built-in one streams the file
   through COPY and does not call these. #}

{% macro create_csv_table(model, agate_table) -%}
  {%- do return(adapter.dispatch('create_csv_table', 'dbt')(model, agate_table)) -%}
{%- endmacro %}

{% macro default__create_csv_table(model, agate_table) -%}
  {%- set types = model['config'].get('column_types', {}) or {} -%}
  {%- set quote_columns = model['config'].get('quote_columns', none) -%}
  {%- set columns = [] -%}
  {%- for name in agate_table.column_names -%}
    {%- set type = types.get(name) or adapter.convert_type(agate_table, loop.index0) -%}
    {%- do columns.append(adapter.quote_seed_column(name, quote_columns) ~ ' ' ~ type) -%}
  {%- endfor -%}
  {%- set text = 'create table ' ~ this.render() ~ ' (' ~ columns | join(', ') ~ ')' -%}
  {%- call statement('_') -%} {{- text -}} {%- endcall -%}
  {%- do return(text) -%}
{%- endmacro %}

{% macro reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
  {%- do return(adapter.dispatch('reset_csv_table', 'dbt')(model, full_refresh, old_relation, agate_table)) -%}
{%- endmacro %}

{% macro default__reset_csv_table(model, full_refresh, old_relation, agate_table) -%}
  {%- if full_refresh -%}
    {%- do adapter.drop_relation(old_relation) -%}
    {%- do return(create_csv_table(model, agate_table)) -%}
  {%- endif -%}
  {%- do adapter.truncate_relation(old_relation) -%}
  {%- do return('truncate table ' ~ old_relation.render()) -%}
{%- endmacro %}

{% macro get_csv_sql(create_or_truncate_sql, insert_sql) -%}
  {%- do return(adapter.dispatch('get_csv_sql', 'dbt')(create_or_truncate_sql, insert_sql)) -%}
{%- endmacro %}

{% macro default__get_csv_sql(create_or_truncate_sql, insert_sql) -%}
  {{ create_or_truncate_sql }};
  {{ insert_sql }}
{%- endmacro %}

{% macro get_binding_char() -%}
  {%- do return(adapter.dispatch('get_binding_char', 'dbt')()) -%}
{%- endmacro %}

{% macro default__get_binding_char() -%}
  {%- do return('%s') -%}
{%- endmacro %}

{% macro get_batch_size() -%}
  {%- do return(adapter.dispatch('get_batch_size', 'dbt')()) -%}
{%- endmacro %}

{# A statement can have at most 65,535 parameters; the rows of a batch are cut to that. #}
{% macro default__get_batch_size() -%}
  {%- do return(10000) -%}
{%- endmacro %}

{% macro get_seed_column_quoted_csv(model, column_names) -%}
  {%- set quote_columns = model['config'].get('quote_columns', none) -%}
  {%- set quoted = [] -%}
  {%- for name in column_names -%} {%- do quoted.append(adapter.quote_seed_column(name, quote_columns)) -%} {%- endfor -%}
  {%- do return(quoted | join(', ')) -%}
{%- endmacro %}

{# Inserts the rows; returns the first statement. #}
{% macro load_csv_rows(model, agate_table) -%}
  {%- do return(adapter.dispatch('load_csv_rows', 'dbt')(model, agate_table)) -%}
{%- endmacro %}

{% macro default__load_csv_rows(model, agate_table) -%}
  {%- set names = agate_table.column_names -%}
  {%- set head = 'insert into ' ~ this.render() ~ ' (' ~ get_seed_column_quoted_csv(model, names) ~ ') values ' -%}
  {%- set tuple = '(' ~ ([get_binding_char()] * (names | length)) | join(', ') ~ ')' -%}
  {%- set most = [get_batch_size(), 65535 // ([names | length, 1] | max)] | min -%}
  {%- set statements = [] -%}
  {%- for chunk in agate_table.rows | batch(most) -%}
    {%- set bindings = [] -%}
    {%- for row in chunk -%} {%- do bindings.extend(row) -%} {%- endfor -%}
    {%- set text = head ~ ([tuple] * (chunk | length)) | join(', ') -%}
    {%- do adapter.add_query(text, bindings=bindings, abridge_sql_log=true) -%}
    {%- if loop.first -%} {%- do statements.append(text) -%} {%- endif -%}
  {%- endfor -%}
  {%- do return(statements | first) -%}
{%- endmacro %}
