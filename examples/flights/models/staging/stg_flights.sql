select
    flight_id,
    scheduled_at,
    scheduled_at::date as flight_date,
    extract(hour from scheduled_at)::int as hour,
    origin,
    destination,
    distance_miles,
    delay_minutes,
    delay_minutes < {{ var('on_time_minutes') }} as is_on_time
from {{ ref('flights') }}
