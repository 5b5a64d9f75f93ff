-- Which airport a name in the strike reports means. A name that two airports share says nothing and is left out;
-- those that no rule would find are in the seed airport_aliases.
with by_name as (
    select clean_name, min(airport) as airport
    from {{ ref('stg_airports') }}
    group by clean_name
    having count(*) = 1
)

select clean_name, airport
from by_name
where clean_name not in (select strike_name from {{ ref('airport_aliases') }})

union all

select strike_name, airport
from {{ ref('airport_aliases') }}
