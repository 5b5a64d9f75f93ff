select
    a.airport,
    a.name,
    a.city,
    a.state,
    count(*) as strikes,
    count(*) filter (where s.is_damaged) as damaging,
    round(count(*) filter (where s.is_damaged)::numeric / count(*), 3) as damaging_share,
    count(*) filter (where s.time_of_day <> 'day') as in_the_dark,
    sum(s.total_cost) as total_cost,
    min(s.strike_date) as first_strike,
    max(s.strike_date) as last_strike
from {{ ref('stg_strikes') }} as s
join {{ ref('strike_airports') }} as n on n.clean_name = s.clean_name
join {{ ref('stg_airports') }} as a on a.airport = n.airport
group by a.airport, a.name, a.city, a.state
