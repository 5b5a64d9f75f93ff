{{ config(
    pre_hook = [
        {"sql": "vacuum {{ ref('flights') }}", "transaction": false},
        "set local work_mem = '64MB'",
    ],
    post_hook = [
        {"sql": "create index concurrently if not exists on_time_hour on {{ this }} (hour, on_time_share)",
         "transaction": false, "name": "index"},
        {"sql": "analyze {{ this }}", "transaction": false, "name": "analyze"},
    ]) }}

select
    f.origin as airport,
    a.name,
    a.state,
    f.hour,
    count(*) as flights,
    count(*) filter (where f.is_on_time) as on_time,
    round(count(*) filter (where f.is_on_time)::numeric / count(*), 3) as on_time_share,
    round(avg(f.delay_minutes), 1) as average_delay,
    percentile_cont(0.5) within group (order by f.delay_minutes) as median_delay
from {{ ref('stg_flights') }} as f
join {{ ref('stg_airports') }} as a on a.airport = f.origin
group by f.origin, a.name, a.state, f.hour
