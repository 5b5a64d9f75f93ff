{{ config(materialized='view', tags=['nightly']) }}

select
    id as customer_id,
    trim(first_name) as first_name,
    lower(email) as email,
    created_at
from {{ source('shop', 'customers') }}
where not deleted
