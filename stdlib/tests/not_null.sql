{# A column has a value in every row. #}

{% test not_null(model, column_name) -%}
  {%- do return(adapter.dispatch('test_not_null', 'dbt')(model, column_name)) -%}
{%- endtest %}

{% macro default__test_not_null(model, column_name) -%}
  select {{ '*' if should_store_failures() else column_name }}
  from {{ model }}
  where {{ column_name }} is null
{%- endmacro %}
