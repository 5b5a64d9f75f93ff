{{ config(description="Opens the reporting schema to a role (-a role=NAME); its tables grant themselves") }}
{%- set role = args.role | default('analytics') %}

{{ create_roles([role]) }};
grant usage on schema reporting to role {{ role }};
