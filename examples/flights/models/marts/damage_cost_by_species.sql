-- A cost of 0 means that none was reported, so averages are over the strikes that report one.
with costs as (
    select
        species,
        count(*) as strikes,
        count(*) filter (where is_damaged) as damaging,
        count(*) filter (where total_cost > 0) as with_cost,
        sum(total_cost) as total_cost,
        max(total_cost) as highest_cost
    from {{ ref('stg_strikes') }}
    group by species
)

select
    species,
    strikes,
    damaging,
    with_cost,
    total_cost,
    round(total_cost / nullif(with_cost, 0)) as average_cost,
    highest_cost,
    round(total_cost / sum(total_cost) over (), 4) as share_of_cost
from costs
