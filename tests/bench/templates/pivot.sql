{{ config(materialized='table') }}
{%- set payment_methods = ['bank_transfer', 'credit_card', 'coupon', 'gift_card', 'invoice', 'cash'] -%}
{%- set measures = {'amount': 'sum', 'order_id': 'count', 'fee': 'max'} -%}

with payments as (
    select * from {{ ref('stg_payments') }}
),

pivoted as (
    select
        customer_id,
        {%- for method in payment_methods %}
        {%- for column, aggregate in measures.items() %}
        {{ aggregate }}(case when payment_method = '{{ method }}' then {{ column }} end)
            as {{ method }}_{{ column }}_{{ aggregate }}
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from payments
    {%- if var('start_date') %}
    where paid_at >= '{{ var('start_date') }}'
    {%- endif %}
    group by customer_id
)

select
    customer_id,
    {% for method in payment_methods -%}
    coalesce({{ method }}_amount_sum, 0) as {{ method | upper }},
    {% endfor -%}
    current_timestamp as computed_at
from pivoted
