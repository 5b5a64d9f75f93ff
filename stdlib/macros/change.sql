{# Dropping, renaming, emptying and replacing relations. The get_..._sql macros return text; the others run it. #}

{% macro get_drop_sql(relation) -%}
  {%- do return(adapter.dispatch('get_drop_sql', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__get_drop_sql(relation) -%}
  {%- if relation.is_view -%}
    {{- drop_view(relation) -}}
  {%- elif relation.is_table -%}
    {{- drop_table(relation) -}}
  {%- elif relation.is_materialized_view -%}
    {{- drop_materialized_view(relation) -}}
  {%- else -%}
    drop {{ relation.type }} if exists {{ relation }} cascade
  {%- endif -%}
{%- endmacro %}

{% macro drop_table(relation) -%}
  {%- do return(adapter.dispatch('drop_table', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__drop_table(relation) -%}
  drop table if exists {{ relation.render() }} cascade
{%- endmacro %}

{% macro drop_view(relation) -%}
  {%- do return(adapter.dispatch('drop_view', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__drop_view(relation) -%}
  drop view if exists {{ relation.render() }} cascade
{%- endmacro %}

{% macro drop_materialized_view(relation) -%}
  {%- do return(adapter.dispatch('drop_materialized_view', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__drop_materialized_view(relation) -%}
  drop materialized view if exists {{ relation.render() }} cascade
{%- endmacro %}

{# Call adapter.drop_relation instead: it keeps the relation cache right, and ends here. #}
{% macro drop_relation(relation) -%}
  {%- do return(adapter.dispatch('drop_relation', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__drop_relation(relation) -%}
  {%- call statement('drop_relation', auto_begin=false) -%} {{- get_drop_sql(relation) -}} {%- endcall -%}
{%- endmacro %}

{% macro drop_relation_if_exists(relation) -%}
  {%- if relation is not none -%} {%- do adapter.drop_relation(relation) -%} {%- endif -%}
{%- endmacro %}

{% macro get_drop_backup_sql(relation) -%}
  {%- do return(adapter.dispatch('get_drop_backup_sql', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__get_drop_backup_sql(relation) -%}
  {{- get_drop_sql(make_backup_relation(relation, relation.type)) -}}
{%- endmacro %}


{# `new_name` is an identifier alone. #}
{% macro get_rename_sql(relation, new_name) -%}
  {%- do return(adapter.dispatch('get_rename_sql', 'dbt')(relation, new_name)) -%}
{%- endmacro %}

{% macro default__get_rename_sql(relation, new_name) -%}
  {%- if relation.is_view -%}
    {{- get_rename_view_sql(relation, new_name) -}}
  {%- elif relation.is_table -%}
    {{- get_rename_table_sql(relation, new_name) -}}
  {%- elif relation.is_materialized_view -%}
    {{- get_rename_materialized_view_sql(relation, new_name) -}}
  {%- else -%}
    {%- do exceptions.raise_compiler_error("get_rename_sql: cannot rename " ~ relation ~ ", a " ~ relation.type) -%}
  {%- endif -%}
{%- endmacro %}

{% macro get_rename_table_sql(relation, new_name) -%}
  {%- do return(adapter.dispatch('get_rename_table_sql', 'dbt')(relation, new_name)) -%}
{%- endmacro %}

{% macro default__get_rename_table_sql(relation, new_name) -%}
  {%- do not_for_this_adapter('get_rename_table_sql') -%}
{%- endmacro %}

{% macro get_rename_view_sql(relation, new_name) -%}
  {%- do return(adapter.dispatch('get_rename_view_sql', 'dbt')(relation, new_name)) -%}
{%- endmacro %}

{% macro default__get_rename_view_sql(relation, new_name) -%}
  {%- do not_for_this_adapter('get_rename_view_sql') -%}
{%- endmacro %}

{% macro get_rename_materialized_view_sql(relation, new_name) -%}
  {%- do return(adapter.dispatch('get_rename_materialized_view_sql', 'dbt')(relation, new_name)) -%}
{%- endmacro %}

{% macro default__get_rename_materialized_view_sql(relation, new_name) -%}
  {%- do not_for_this_adapter('get_rename_materialized_view_sql') -%}
{%- endmacro %}

{% macro get_rename_intermediate_sql(relation) -%}
  {%- do return(adapter.dispatch('get_rename_intermediate_sql', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__get_rename_intermediate_sql(relation) -%}
  {{- get_rename_sql(make_intermediate_relation(relation), relation.identifier) -}}
{%- endmacro %}

{# Call adapter.rename_relation instead: it keeps the relation cache right, and ends here. #}
{% macro rename_relation(from_relation, to_relation) -%}
  {%- do return(adapter.dispatch('rename_relation', 'dbt')(from_relation, to_relation)) -%}
{%- endmacro %}

{% macro default__rename_relation(from_relation, to_relation) -%}
  {%- call statement('rename_relation') -%}
    alter table {{ from_relation.render() }} rename to {{ adapter.quote_as_configured(to_relation.identifier, 'identifier') }}
  {%- endcall -%}
{%- endmacro %}


{% macro truncate_relation(relation) -%}
  {%- do return(adapter.dispatch('truncate_relation', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__truncate_relation(relation) -%}
  {%- call statement('truncate_relation') -%} truncate table {{ relation.render() }} {%- endcall -%}
{%- endmacro %}


{# Puts `target_relation` in the place of `existing_relation`: in one statement where the adapter can, else by
   way of an intermediate name and a backup. #}
{% macro get_replace_sql(existing_relation, target_relation, sql) -%}
  {%- do return(adapter.dispatch('get_replace_sql', 'dbt')(existing_relation, target_relation, sql)) -%}
{%- endmacro %}

{% macro default__get_replace_sql(existing_relation, target_relation, sql) -%}
  {%- set in_place = existing_relation.can_be_replaced and existing_relation.type == target_relation.type -%}
  {%- if in_place and target_relation.is_view -%}
    {{- get_replace_view_sql(target_relation, sql) -}}
  {%- elif in_place and target_relation.is_table -%}
    {{- get_replace_table_sql(target_relation, sql) -}}
  {%- elif in_place and target_relation.is_materialized_view -%}
    {{- get_replace_materialized_view_sql(target_relation, sql) -}}
  {%- else -%}
    {%- if target_relation.can_be_renamed %}
    {{ get_create_intermediate_sql(target_relation, sql) }};
    {%- endif %}
    {{ get_create_backup_sql(existing_relation) if existing_relation.can_be_renamed else get_drop_sql(existing_relation) }};
    {{ get_rename_intermediate_sql(target_relation) if target_relation.can_be_renamed else get_create_sql(target_relation, sql) }}
    {%- if existing_relation.can_be_renamed -%} ;
    {{ get_drop_backup_sql(existing_relation) }}
    {%- endif %}
  {%- endif -%}
{%- endmacro %}

{% macro get_replace_view_sql(relation, sql) -%}
  {%- do return(adapter.dispatch('get_replace_view_sql', 'dbt')(relation, sql)) -%}
{%- endmacro %}

{% macro default__get_replace_view_sql(relation, sql) -%}
  {%- do not_for_this_adapter('get_replace_view_sql') -%}
{%- endmacro %}

{% macro get_replace_table_sql(relation, sql) -%}
  {%- do return(adapter.dispatch('get_replace_table_sql', 'dbt')(relation, sql)) -%}
{%- endmacro %}

{% macro default__get_replace_table_sql(relation, sql) -%}
  {%- do not_for_this_adapter('get_replace_table_sql') -%}
{%- endmacro %}

{% macro get_replace_materialized_view_sql(relation, sql) -%}
  {%- do return(adapter.dispatch('get_replace_materialized_view_sql', 'dbt')(relation, sql)) -%}
{%- endmacro %}

{% macro default__get_replace_materialized_view_sql(relation, sql) -%}
  {%- do not_for_this_adapter('get_replace_materialized_view_sql') -%}
{%- endmacro %}

{% macro handle_existing_table(full_refresh, old_relation) -%}
  {%- do return(adapter.dispatch('handle_existing_table', 'dbt')(full_refresh, old_relation)) -%}
{%- endmacro %}

{% macro default__handle_existing_table(full_refresh, old_relation) -%}
  {%- do log('dropping ' ~ old_relation ~ ', which is a ' ~ old_relation.type) -%}
  {%- do adapter.drop_relation(old_relation) -%}
{%- endmacro %}


{# A table or view copied as it is, where the database can do that without copying data. #}
{% macro can_clone_table() -%}
  {%- do return(adapter.dispatch('can_clone_table', 'dbt')()) -%}
{%- endmacro %}

{% macro default__can_clone_table() -%}
  {%- do return(false) -%}
{%- endmacro %}

{% macro create_or_replace_clone(this_relation, defer_relation) -%}
  {%- do return(adapter.dispatch('create_or_replace_clone', 'dbt')(this_relation, defer_relation)) -%}
{%- endmacro %}

{% macro default__create_or_replace_clone(this_relation, defer_relation) -%}
  create or replace table {{ this_relation.render() }} clone {{ defer_relation.render() }}
{%- endmacro %}
