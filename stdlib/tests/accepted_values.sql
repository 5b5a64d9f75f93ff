{# A column has only the values of a list. Nulls do not count. `quote: false` writes them as they are, for
   numbers and booleans. #}

{% test accepted_values(model, column_name, values, quote=true) -%}
  {%- do return(adapter.dispatch('test_accepted_values', 'dbt')(model, column_name, values, quote)) -%}
{%- endtest %}

{% macro default__test_accepted_values(model, column_name, values, quote=true) -%}
  {%- set literals = [] -%}
  {%- for item in values -%}
    {%- do literals.append("'" ~ item ~ "'" if quote else item | string) -%}
  {%- endfor -%}
  with all_values as (
    select {{ column_name }} as value_field, count(*) as n_records
    from {{ model }}
    group by {{ column_name }}
  )
  select *
  from all_values
  where value_field not in ({{ literals | join(', ') }})
{%- endmacro %}
