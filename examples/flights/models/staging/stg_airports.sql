select
    iata as airport,
    name,
    city,
    state,
    latitude,
    longitude,
    {{ clean_airport_name('name') }} as clean_name
from {{ ref('airports') }}
