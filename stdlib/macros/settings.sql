{# What the configuration of a node and the flags of the command say together. #}

{# {% call set_sql_header(config) %} ... {% endcall %}: SQL that goes before the statement that builds the node. #}
{% macro set_sql_header(config) -%}
  {{- config.set('sql_header', caller()) -}}
{%- endmacro %}

{% macro should_full_refresh() -%}
  {%- set configured = config.get('full_refresh') -%}
  {%- do return(flags.FULL_REFRESH if configured is none else configured) -%}
{%- endmacro %}

{% macro should_store_failures() -%}
  {%- set configured = config.get('store_failures') -%}
  {%- do return(flags.STORE_FAILURES if configured is none else configured) -%}
{%- endmacro %}

{# True where an incremental model adds to a table that is there already. #}
{% macro is_incremental() -%}
  {%- if not execute or config.get('materialized') != 'incremental' -%}
    {%- do return(false) -%}
  {%- endif -%}
  {%- set existing = adapter.get_relation(this.database, this.schema, this.table) -%}
  {%- do return(existing is not none and existing.is_table and not should_full_refresh()) -%}
{%- endmacro %}

{% macro is_core_v2() -%}
  {%- do return(dbt_version.split('.') | first | int == 2) -%}
{%- endmacro %}
