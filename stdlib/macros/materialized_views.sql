{# Changing materialized views. #}

{% macro get_alter_materialized_view_as_sql(relation, configuration_changes, sql, existing_relation, backup_relation, intermediate_relation) -%}
  {%- do return(adapter.dispatch('get_alter_materialized_view_as_sql', 'dbt')(relation, configuration_changes, sql, existing_relation, backup_relation, intermediate_relation)) -%}
{%- endmacro %}

{% macro default__get_alter_materialized_view_as_sql(relation, configuration_changes, sql, existing_relation, backup_relation, intermediate_relation) -%}
  {%- do not_for_this_adapter('get_alter_materialized_view_as_sql') -%}
{%- endmacro %}

{# none when nothing changed #}
{% macro get_materialized_view_configuration_changes(existing_relation, new_config) -%}
  {%- do return(adapter.dispatch('get_materialized_view_configuration_changes', 'dbt')(existing_relation, new_config)) -%}
{%- endmacro %}

{% macro default__get_materialized_view_configuration_changes(existing_relation, new_config) -%}
  {%- do not_for_this_adapter('get_materialized_view_configuration_changes') -%}
{%- endmacro %}

{% macro refresh_materialized_view(relation) -%}
  {%- do return(adapter.dispatch('refresh_materialized_view', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__refresh_materialized_view(relation) -%}
  {%- do not_for_this_adapter('refresh_materialized_view') -%}
{%- endmacro %}
