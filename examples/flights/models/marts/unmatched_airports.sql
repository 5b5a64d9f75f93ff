-- What strikes_by_airport could not place: should be empty.
select
    s.airport_name,
    s.state,
    count(*) as strikes,
    sum(s.total_cost) as total_cost
from {{ ref('stg_strikes') }} as s
left join {{ ref('strike_airports') }} as n on n.clean_name = s.clean_name
where n.airport is null
group by s.airport_name, s.state
