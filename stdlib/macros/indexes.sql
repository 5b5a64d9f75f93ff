{# The `indexes` setting: [{columns: [...], unique: true, type: hash}, ...]. #}

{% macro create_indexes(relation) -%}
  {%- do return(adapter.dispatch('create_indexes', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__create_indexes(relation) -%}
  {%- for index in config.get('indexes', default=[]) or [] -%}
    {%- set statement_text = get_create_index_sql(relation, index) -%}
    {%- if statement_text -%} {%- do run_query(statement_text) -%} {%- endif -%}
  {%- endfor -%}
{%- endmacro %}

{% macro get_create_index_sql(relation, index_dict) -%}
  {%- do return(adapter.dispatch('get_create_index_sql', 'dbt')(relation, index_dict)) -%}
{%- endmacro %}

{% macro default__get_create_index_sql(relation, index_dict) -%}
  {%- do return(none) -%}
{%- endmacro %}

{% macro get_drop_index_sql(relation, index_name) -%}
  {%- do return(adapter.dispatch('get_drop_index_sql', 'dbt')(relation, index_name)) -%}
{%- endmacro %}

{% macro default__get_drop_index_sql(relation, index_name) -%}
  {%- do not_for_this_adapter('get_drop_index_sql') -%}
{%- endmacro %}

{# Rows of (name, method, unique, column_names). #}
{% macro get_show_indexes_sql(relation) -%}
  {%- do return(adapter.dispatch('get_show_indexes_sql', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__get_show_indexes_sql(relation) -%}
  {%- do not_for_this_adapter('get_show_indexes_sql') -%}
{%- endmacro %}
