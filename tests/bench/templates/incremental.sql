{{
    config(
        materialized='incremental',
        unique_key=['event_id', 'event_date'],
        incremental_strategy='delete+insert',
        on_schema_change='append_new_columns',
        tags=['events', 'hourly'],
        meta={'owner': 'data', 'tier': 1}
    )
}}

{% set lookback = var('lookback_days') %}
{% set event_types = ['page_view', 'click', 'purchase', 'refund', 'signup'] %}
{% set is_full = not is_incremental() %}

with source_events as (

    select
        event_id,
        event_type,
        user_id,
        session_id,
        occurred_at,
        cast(occurred_at as date) as event_date,
        payload
    from {{ source('app', 'events') }}
    {% if is_incremental() %}
    where occurred_at >= (
        select coalesce(max(occurred_at), '1900-01-01')
               - interval '{{ lookback }} days'
        from {{ this }}
    )
    {% endif %}

),

users as (

    select * from {{ ref('dim_users') }}
    {% if target.name != 'prod' %}
    where user_id % 10 = 0 -- {{ target.name }} runs on a sample
    {% endif %}

),
sessions as (

    select
        sessions.id as sessions_id,
        sessions.user_id,
        sessions.started_at,
        sessions.ended_at,
        extract(epoch from sessions.ended_at - sessions.started_at) as seconds,
        row_number() over (
            partition by sessions.user_id
            order by sessions.started_at desc
        ) as recency
    from {{ ref('stg_sessions') }} as sessions
    {% if is_incremental() %}
    where sessions.started_at >= current_date - {{ lookback }}
    {% endif %}

),
orders as (

    select
        orders.id as orders_id,
        orders.user_id,
        orders.started_at,
        orders.ended_at,
        extract(epoch from orders.ended_at - orders.started_at) as seconds,
        row_number() over (
            partition by orders.user_id
            order by orders.started_at desc
        ) as recency
    from {{ ref('stg_orders') }} as orders
    {% if is_incremental() %}
    where orders.started_at >= current_date - {{ lookback }}
    {% endif %}

),
devices as (

    select
        devices.id as devices_id,
        devices.user_id,
        devices.started_at,
        devices.ended_at,
        extract(epoch from devices.ended_at - devices.started_at) as seconds,
        row_number() over (
            partition by devices.user_id
            order by devices.started_at desc
        ) as recency
    from {{ ref('stg_devices') }} as devices
    {% if is_incremental() %}
    where devices.started_at >= current_date - {{ lookback }}
    {% endif %}

),
campaigns as (

    select
        campaigns.id as campaigns_id,
        campaigns.user_id,
        campaigns.started_at,
        campaigns.ended_at,
        extract(epoch from campaigns.ended_at - campaigns.started_at) as seconds,
        row_number() over (
            partition by campaigns.user_id
            order by campaigns.started_at desc
        ) as recency
    from {{ ref('stg_campaigns') }} as campaigns
    {% if is_incremental() %}
    where campaigns.started_at >= current_date - {{ lookback }}
    {% endif %}

),
{# one row for each event, with what is known of its user #}
enriched as (

    select
        source_events.event_id,
        source_events.event_date,
        source_events.event_type,
        source_events.user_id,
        users.country,
        users.plan,
        {% for name in event_types %}
        case when source_events.event_type = '{{ name }}' then 1 else 0 end as is_{{ name }},
        {% endfor %}
        sessions.sessions_id,
        orders.orders_id,
        devices.devices_id,
        campaigns.campaigns_id,
        source_events.payload ->> 'attribute_00' as attribute_00,
        source_events.payload ->> 'attribute_01' as attribute_01,
        source_events.payload ->> 'attribute_02' as attribute_02,
        source_events.payload ->> 'attribute_03' as attribute_03,
        source_events.payload ->> 'attribute_04' as attribute_04,
        source_events.payload ->> 'attribute_05' as attribute_05,
        source_events.payload ->> 'attribute_06' as attribute_06,
        source_events.payload ->> 'attribute_07' as attribute_07,
        source_events.payload ->> 'attribute_08' as attribute_08,
        source_events.payload ->> 'attribute_09' as attribute_09,
        source_events.payload ->> 'attribute_10' as attribute_10,
        source_events.payload ->> 'attribute_11' as attribute_11,
        source_events.payload ->> 'attribute_12' as attribute_12,
        source_events.payload ->> 'attribute_13' as attribute_13,
        source_events.payload ->> 'attribute_14' as attribute_14,
        source_events.payload ->> 'attribute_15' as attribute_15,
        source_events.payload ->> 'attribute_16' as attribute_16,
        source_events.payload ->> 'attribute_17' as attribute_17,
        source_events.payload ->> 'attribute_18' as attribute_18,
        source_events.payload ->> 'attribute_19' as attribute_19,
        source_events.payload ->> 'attribute_20' as attribute_20,
        source_events.payload ->> 'attribute_21' as attribute_21,
        source_events.payload ->> 'attribute_22' as attribute_22,
        source_events.payload ->> 'attribute_23' as attribute_23,
        source_events.payload ->> 'attribute_24' as attribute_24,
        source_events.payload ->> 'attribute_25' as attribute_25,
        source_events.payload ->> 'attribute_26' as attribute_26,
        source_events.payload ->> 'attribute_27' as attribute_27,
        source_events.payload ->> 'attribute_28' as attribute_28,
        source_events.payload ->> 'attribute_29' as attribute_29,
        source_events.payload ->> 'attribute_30' as attribute_30,
        source_events.payload ->> 'attribute_31' as attribute_31,
        source_events.payload ->> 'attribute_32' as attribute_32,
        source_events.payload ->> 'attribute_33' as attribute_33,
        source_events.payload ->> 'attribute_34' as attribute_34,
        source_events.payload ->> 'attribute_35' as attribute_35,
        source_events.payload ->> 'attribute_36' as attribute_36,
        source_events.payload ->> 'attribute_37' as attribute_37,
        source_events.payload ->> 'attribute_38' as attribute_38,
        source_events.payload ->> 'attribute_39' as attribute_39,
        {{ 'true' if is_full else 'false' }} as loaded_by_full_refresh,
        '{{ invocation_id }}' as invocation_id
    from source_events
    left join users
        on users.user_id = source_events.user_id
    left join sessions
        on sessions.user_id = source_events.user_id
        and sessions.recency = 1
    left join orders
        on orders.user_id = source_events.user_id
        and orders.recency = 1
    left join devices
        on devices.user_id = source_events.user_id
        and devices.recency = 1
    left join campaigns
        on campaigns.user_id = source_events.user_id
        and campaigns.recency = 1

),

daily as (

    select
        event_date,
        user_id,
        {% for name in event_types %}
        sum(is_{{ name }}) as {{ name }}_count{{ "," if not loop.last }}
        {% endfor %}
    from enriched
    group by event_date, user_id

)

select
    enriched.*,
    {% for name in event_types %}
    daily.{{ name }}_count{% if not loop.last %},{% endif %}
    {% endfor %}
from enriched
left join daily
    on daily.event_date = enriched.event_date
    and daily.user_id = enriched.user_id
{% if is_incremental() %}
where enriched.event_id not in (
    select event_id from {{ this }} where event_date < current_date - {{ lookback }}
)
{% endif %}
