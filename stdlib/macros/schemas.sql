{# Schemas and the catalogue. #}

{% macro create_schema(relation) -%}
  {%- do return(adapter.dispatch('create_schema', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__create_schema(relation) -%}
  {%- call statement('create_schema') -%}
    create schema if not exists {{ relation.without_identifier() }}
  {%- endcall -%}
{%- endmacro %}

{% macro drop_schema(relation) -%}
  {%- do return(adapter.dispatch('drop_schema', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__drop_schema(relation) -%}
  {%- call statement('drop_schema') -%}
    drop schema if exists {{ relation.without_identifier() }} cascade
  {%- endcall -%}
{%- endmacro %}

{% macro drop_schema_named(schema_name) -%}
  {%- do return(adapter.dispatch('drop_schema_named', 'dbt')(schema_name)) -%}
{%- endmacro %}

{% macro default__drop_schema_named(schema_name) -%}
  {%- do adapter.drop_schema(api.Relation.create(schema=schema_name)) -%}
{%- endmacro %}

{% macro list_schemas(database) -%}
  {%- do return(adapter.dispatch('list_schemas', 'dbt')(database)) -%}
{%- endmacro %}

{% macro default__list_schemas(database) -%}
  {%- do return(run_query("select distinct schema_name from " ~ information_schema_name(database)
    ~ ".schemata where catalog_name ilike " ~ string_literal(escape_single_quotes(database)))) -%}
{%- endmacro %}

{# A table whose first value is the number of schemas of that name. #}
{% macro check_schema_exists(information_schema, schema) -%}
  {%- do return(adapter.dispatch('check_schema_exists', 'dbt')(information_schema, schema)) -%}
{%- endmacro %}

{% macro default__check_schema_exists(information_schema, schema) -%}
  {%- do return(run_query("select count(*) from " ~ information_schema.replace(information_schema_view='SCHEMATA')
    ~ " where catalog_name = " ~ string_literal(escape_single_quotes(information_schema.database))
    ~ " and schema_name = " ~ string_literal(escape_single_quotes(schema)))) -%}
{%- endmacro %}

{% macro information_schema_name(database) -%}
  {%- do return(adapter.dispatch('information_schema_name', 'dbt')(database)) -%}
{%- endmacro %}

{% macro default__information_schema_name(database) -%}
  {{- database ~ '.' if database -}} INFORMATION_SCHEMA
{%- endmacro %}


{# Rows of (database, name, schema, type): table, view, materialized_view, function. #}
{% macro list_relations_without_caching(schema_relation) -%}
  {%- do return(adapter.dispatch('list_relations_without_caching', 'dbt')(schema_relation)) -%}
{%- endmacro %}

{% macro default__list_relations_without_caching(schema_relation) -%}
  {%- do not_for_this_adapter('list_relations_without_caching') -%}
{%- endmacro %}

{% macro list_function_relations_without_caching(schema_relation) -%}
  {%- do return(adapter.dispatch('list_function_relations_without_caching', 'dbt')(schema_relation)) -%}
{%- endmacro %}

{% macro default__list_function_relations_without_caching(schema_relation) -%}
  {%- do not_for_this_adapter('list_function_relations_without_caching') -%}
{%- endmacro %}

{# Rows of (dependent schema, dependent name, referenced schema, referenced name): which views read what. #}
{% macro get_relations() -%}
  {%- do return(adapter.dispatch('get_relations', 'dbt')()) -%}
{%- endmacro %}

{% macro default__get_relations() -%}
  {%- do not_for_this_adapter('get_relations') -%}
{%- endmacro %}

{% macro get_catalog(information_schema, schemas) -%}
  {%- do return(adapter.dispatch('get_catalog', 'dbt')(information_schema, schemas)) -%}
{%- endmacro %}

{% macro default__get_catalog(information_schema, schemas) -%}
  {%- do not_for_this_adapter('get_catalog') -%}
{%- endmacro %}

{% macro get_catalog_relations(information_schema, relations) -%}
  {%- do return(adapter.dispatch('get_catalog_relations', 'dbt')(information_schema, relations)) -%}
{%- endmacro %}

{% macro default__get_catalog_relations(information_schema, relations) -%}
  {%- do not_for_this_adapter('get_catalog_relations') -%}
{%- endmacro %}

{% macro get_catalog_for_single_relation(relation) -%}
  {%- do return(adapter.dispatch('get_catalog_for_single_relation', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__get_catalog_for_single_relation(relation) -%}
  {%- do not_for_this_adapter('get_catalog_for_single_relation') -%}
{%- endmacro %}

{% macro get_relation_last_modified(information_schema, relations) -%}
  {%- do return(adapter.dispatch('get_relation_last_modified', 'dbt')(information_schema, relations)) -%}
{%- endmacro %}

{% macro default__get_relation_last_modified(information_schema, relations) -%}
  {%- do not_for_this_adapter('get_relation_last_modified') -%}
{%- endmacro %}
