{{ config(description="Opens the schema reporting to a role") }}
{# args.role names another role; the tables of the schema grant themselves, in dbt_project.yml #}
{%- set role = args.role | default('analytics') %}

{{ create_roles([role]) }};
grant usage on schema reporting to role {{ role }};
