{%- macro quoted(name, quote='"') -%}
{{ quote }}{{ name | replace(quote, quote ~ quote) }}{{ quote }}
{%- endmacro -%}

{%- macro cast_to(expression, type='text') -%}
cast({{ expression }} as {{ type }})
{%- endmacro -%}

{%- macro hash_of(columns) -%}
{%- set all = namespace(parts=[]) -%}
{%- for column in columns -%}
    {%- set all.parts = all.parts + ["coalesce(" ~ cast_to(quoted(column)) ~ ", '')"] -%}
{%- endfor -%}
md5({{ all.parts | join(" || '-' || ") }})
{%- endmacro -%}

{%- macro date_part_of(part, column) -%}
{%- if part == 'week' -%}
date_trunc('week', {{ quoted(column) }})
{%- elif part in ('month', 'quarter', 'year') -%}
date_trunc('{{ part }}', {{ quoted(column) }})
{%- else -%}
{{ cast_to(quoted(column), type='date') }}
{%- endif -%}
{%- endmacro -%}

{%- macro in_cte(name) -%}
{{ quoted(name) }} as (
    {{ caller() }}
)
{%- endmacro -%}

{%- macro union_of(relations, columns) -%}
{%- for relation in relations -%}
select
    '{{ relation }}' as source_relation,
    {%- for column in columns %}
    {{ quoted(column) }}{{ "," if not loop.last }}
    {%- endfor %}
from {{ ref(relation) }}
{% if not loop.last %}union all{% endif %}
{% endfor -%}
{%- endmacro -%}

{{ config(materialized='table') }}
{%- set columns = ['id', 'customer', 'amount', 'currency', 'ordered_at', 'shipped_at', 'state', 'note'] -%}
{%- set counter = namespace(n=0) -%}

with {% call in_cte('unioned') %}{{ union_of(['orders_eu', 'orders_us', 'orders_apac'], columns) }}{% endcall %},

{% call in_cte('keyed') -%}
select
    {{ hash_of(['id', 'customer', 'currency']) }} as order_key,
    {%- for part in ['day', 'week', 'month', 'quarter', 'year'] %}
    {{ date_part_of(part, 'ordered_at') }} as ordered_{{ part }},
    {{ date_part_of(part, 'shipped_at') }} as shipped_{{ part }},
    {%- endfor %}
    {%- for column in columns %}
    {%- set counter.n = counter.n + 1 %}
    {{ cast_to(quoted(column), type='numeric(18, 2)' if column == 'amount' else 'text') }} as {{ quoted('c' ~ counter.n) }}
    {{- "," if not loop.last }}
    {%- endfor %}
from unioned
{%- endcall %}

select * from keyed
