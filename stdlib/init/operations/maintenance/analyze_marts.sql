{{ config(description='Refreshes the statistics of the marts') }}
analyze {{ ref('customers') }};
