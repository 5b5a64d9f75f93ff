-- Every flight is in one row of the mart.
with counted as (
    select
        (select sum(flights) from {{ ref('on_time_by_airport_hour') }}) as in_mart,
        (select count(*) from {{ ref('stg_flights') }}) as in_file
)

select * from counted where in_mart <> in_file
