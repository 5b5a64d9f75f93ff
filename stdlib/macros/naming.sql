{# Where a node is built. A project that defines one of these three decides for all its nodes. `node` is the
   node being named; at that time it has no database, schema or alias yet. #}

{% macro generate_database_name(custom_database_name=none, node=none) -%}
  {%- do return(adapter.dispatch('generate_database_name', 'dbt')(custom_database_name, node)) -%}
{%- endmacro %}

{% macro default__generate_database_name(custom_database_name=none, node=none) -%}
  {{- target.database if custom_database_name is none else custom_database_name -}}
{%- endmacro %}


{% macro generate_schema_name(custom_schema_name=none, node=none) -%}
  {%- do return(adapter.dispatch('generate_schema_name', 'dbt')(custom_schema_name, node)) -%}
{%- endmacro %}

{% macro default__generate_schema_name(custom_schema_name, node) -%}
  {{- target.schema -}}
  {%- if custom_schema_name is not none -%} _{{ custom_schema_name | trim }} {%- endif -%}
{%- endmacro %}

{# For projects whose production schemas have plain names: call it from an own generate_schema_name. #}
{% macro generate_schema_name_for_env(custom_schema_name, node) -%}
  {%- if custom_schema_name is not none and target.name == 'prod' -%}
    {{- custom_schema_name | trim -}}
  {%- else -%}
    {{- target.schema -}}
  {%- endif -%}
{%- endmacro %}


{% macro generate_alias_name(custom_alias_name=none, node=none) -%}
  {%- do return(adapter.dispatch('generate_alias_name', 'dbt')(custom_alias_name, node)) -%}
{%- endmacro %}

{% macro default__generate_alias_name(custom_alias_name=none, node=none) -%}
  {%- if custom_alias_name -%}
    {{- custom_alias_name | trim -}}
  {%- elif node.version -%}
    {{- node.name -}} _v {{- node.version | replace('.', '_') -}}
  {%- else -%}
    {{- node.name -}}
  {%- endif -%}
{%- endmacro %}


{# The name under which the latest version of a versioned model can be found without its version. #}
{% macro generate_latest_version_pointer_alias(custom_alias_name=none, node=none) -%}
  {%- do return(adapter.dispatch('generate_latest_version_pointer_alias', 'dbt')(custom_alias_name, node)) -%}
{%- endmacro %}

{% macro default__generate_latest_version_pointer_alias(custom_alias_name=none, node=none) -%}
  {{- custom_alias_name | trim if custom_alias_name else node.name -}}
{%- endmacro %}
