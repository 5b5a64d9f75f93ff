{{ config(description="Opens the schema reporting to a role",
          parameters=[{'name': 'role', 'type': 'text', 'default': 'analytics', 'description': 'who may read'}]) }}
{# the tables of the schema grant themselves, in dbt_project.yml #}
{%- set role = args.role %}

{{ create_roles([role]) }};
grant usage on schema reporting to role {{ role }};
