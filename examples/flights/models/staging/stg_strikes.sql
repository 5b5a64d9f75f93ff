-- The file's headers have spaces and a dollar sign; from here on they are names.
select
    "Airport Name" as airport_name,
    {{ clean_airport_name('"Airport Name"') }} as clean_name,
    "Origin State" as state,
    "Flight Date" as strike_date,
    "Aircraft Make Model" as aircraft,
    "Aircraft Airline Operator" as operator,
    lower("Phase of flight") as phase,
    "Wildlife Species" as species,
    lower("Wildlife Size") as size,
    lower("Time of day") as time_of_day,
    "Speed IAS in knots" as speed_knots,
    lower("Effect Amount of damage") as damage,
    "Effect Amount of damage" <> 'None' as is_damaged,
    "Cost Repair" as repair_cost,
    "Cost Other" as other_cost,
    "Cost Total $" as total_cost
from {{ ref('wildlife_strikes') }}
