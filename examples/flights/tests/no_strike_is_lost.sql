-- What has an airport and what has none add up to all strikes, in number and in cost.
with placed as (
    select strikes, total_cost from {{ ref('strikes_by_airport') }}
    union all
    select strikes, total_cost from {{ ref('unmatched_airports') }}
),

sums as (
    select
        (select sum(strikes) from placed) as strikes,
        (select sum(total_cost) from placed) as cost,
        (select count(*) from {{ ref('stg_strikes') }}) as all_strikes,
        (select sum(total_cost) from {{ ref('damage_cost_by_species') }}) as all_cost
)

select * from sums where strikes <> all_strikes or cost <> all_cost
