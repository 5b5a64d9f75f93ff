{# Names beside a relation's own, and finding relations. #}

{% macro make_intermediate_relation(base_relation, suffix='__dbt_tmp') -%}
  {%- do return(adapter.dispatch('make_intermediate_relation', 'dbt')(base_relation, suffix)) -%}
{%- endmacro %}

{% macro default__make_intermediate_relation(base_relation, suffix) -%}
  {%- do return(default__make_temp_relation(base_relation, suffix)) -%}
{%- endmacro %}


{% macro make_temp_relation(base_relation, suffix='__dbt_tmp') -%}
  {%- if suffix == '__dbt_tmp' and model.batch -%}
    {#- the batches of one model run side by side -#}
    {%- set suffix = suffix ~ '_' ~ model.batch.id -%}
  {%- endif -%}
  {%- do return(adapter.dispatch('make_temp_relation', 'dbt')(base_relation, suffix)) -%}
{%- endmacro %}

{% macro default__make_temp_relation(base_relation, suffix) -%}
  {%- do return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix})) -%}
{%- endmacro %}


{% macro make_backup_relation(base_relation, backup_relation_type, suffix='__dbt_backup') -%}
  {%- do return(adapter.dispatch('make_backup_relation', 'dbt')(base_relation, backup_relation_type, suffix)) -%}
{%- endmacro %}

{% macro default__make_backup_relation(base_relation, backup_relation_type, suffix) -%}
  {%- do return(base_relation.incorporate(path={'identifier': base_relation.identifier ~ suffix},
                                          type=backup_relation_type)) -%}
{%- endmacro %}


{# The relation of that name if it exists, else none. #}
{% macro load_cached_relation(relation) -%}
  {%- do return(adapter.get_relation(relation.database, relation.schema, relation.identifier)) -%}
{%- endmacro %}

{# The old name of load_cached_relation. #}
{% macro load_relation(relation) -%}
  {%- do return(load_cached_relation(relation)) -%}
{%- endmacro %}


{# [whether it exists, the relation] #}
{% macro get_or_create_relation(database, schema, identifier, type) -%}
  {%- do return(adapter.dispatch('get_or_create_relation', 'dbt')(database, schema, identifier, type)) -%}
{%- endmacro %}

{% macro default__get_or_create_relation(database, schema, identifier, type) -%}
  {%- set found = adapter.get_relation(database=database, schema=schema, identifier=identifier) -%}
  {%- if found -%}
    {%- do return([true, found]) -%}
  {%- endif -%}
  {%- do return([false, api.Relation.create(database=database, schema=schema, identifier=identifier, type=type)]) -%}
{%- endmacro %}
