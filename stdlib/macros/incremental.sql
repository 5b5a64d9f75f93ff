{# What an incremental model does with the rows of its query: strategies, merging, changed columns. #}

{# Each strategy is a macro get_incremental_<name>_sql of one dict: target_relation, temp_relation, unique_key,
   dest_columns, incremental_predicates. A project adds a strategy by defining such a macro. #}

{% macro get_incremental_append_sql(arg_dict) -%}
  {%- do return(adapter.dispatch('get_incremental_append_sql', 'dbt')(arg_dict)) -%}
{%- endmacro %}

{% macro default__get_incremental_append_sql(arg_dict) -%}
  {%- do return(get_insert_into_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['dest_columns'])) -%}
{%- endmacro %}

{% macro get_incremental_delete_insert_sql(arg_dict) -%}
  {%- do return(adapter.dispatch('get_incremental_delete_insert_sql', 'dbt')(arg_dict)) -%}
{%- endmacro %}

{% macro default__get_incremental_delete_insert_sql(arg_dict) -%}
  {%- do return(get_delete_insert_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'],
    arg_dict['dest_columns'], arg_dict['incremental_predicates'])) -%}
{%- endmacro %}

{% macro get_incremental_merge_sql(arg_dict) -%}
  {%- do return(adapter.dispatch('get_incremental_merge_sql', 'dbt')(arg_dict)) -%}
{%- endmacro %}

{% macro default__get_incremental_merge_sql(arg_dict) -%}
  {%- do return(get_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['unique_key'],
    arg_dict['dest_columns'], arg_dict['incremental_predicates'])) -%}
{%- endmacro %}

{% macro get_incremental_insert_overwrite_sql(arg_dict) -%}
  {%- do return(adapter.dispatch('get_incremental_insert_overwrite_sql', 'dbt')(arg_dict)) -%}
{%- endmacro %}

{% macro default__get_incremental_insert_overwrite_sql(arg_dict) -%}
  {%- do return(get_insert_overwrite_merge_sql(arg_dict['target_relation'], arg_dict['temp_relation'],
    arg_dict['dest_columns'], arg_dict['incremental_predicates'])) -%}
{%- endmacro %}

{% macro get_incremental_microbatch_sql(arg_dict) -%}
  {%- do return(adapter.dispatch('get_incremental_microbatch_sql', 'dbt')(arg_dict)) -%}
{%- endmacro %}

{% macro default__get_incremental_microbatch_sql(arg_dict) -%}
  {%- do not_for_this_adapter('the strategy microbatch') -%}
{%- endmacro %}

{% macro get_incremental_default_sql(arg_dict) -%}
  {%- do return(adapter.dispatch('get_incremental_default_sql', 'dbt')(arg_dict)) -%}
{%- endmacro %}

{% macro default__get_incremental_default_sql(arg_dict) -%}
  {%- do return(get_incremental_append_sql(arg_dict)) -%}
{%- endmacro %}


{% macro get_insert_into_sql(target_relation, temp_relation, dest_columns) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  insert into {{ target_relation }} ({{ columns }}) (
    select {{ columns }} from {{ temp_relation }}
  )
{%- endmacro %}


{% macro get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {%- do return(adapter.dispatch('get_delete_insert_merge_sql', 'dbt')(target, source, unique_key, dest_columns, incremental_predicates)) -%}
{%- endmacro %}

{% macro default__get_delete_insert_merge_sql(target, source, unique_key, dest_columns, incremental_predicates) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- if unique_key -%}
    {%- set keys = unique_key if unique_key is string else unique_key | join(', ') -%}
    delete from {{ target }} as DBT_INTERNAL_DEST
    where ({{ keys }}) in (select distinct {{ keys }} from {{ source }} as DBT_INTERNAL_SOURCE)
    {%- for predicate in incremental_predicates or [] %}
      and {{ predicate }}
    {%- endfor %};
  {% endif -%}
  insert into {{ target }} ({{ columns }}) (
    select {{ columns }} from {{ source }}
  )
{%- endmacro %}


{% macro get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {#- `predicates` is the argument's older name -#}
  {%- do return(adapter.dispatch('get_merge_sql', 'dbt')(target, source, unique_key, dest_columns,
    kwargs.get('predicates', incremental_predicates))) -%}
{%- endmacro %}

{% macro default__get_merge_sql(target, source, unique_key, dest_columns, incremental_predicates=none) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {%- set header = config.get('sql_header', none) -%}
  {%- set conditions = [] + (incremental_predicates or []) -%}
  {%- if unique_key is string and unique_key -%}
    {%- do conditions.append(get_merge_unique_key_match('DBT_INTERNAL_SOURCE.' ~ unique_key, 'DBT_INTERNAL_DEST.' ~ unique_key)) -%}
  {%- elif unique_key -%}
    {%- for key in unique_key -%}
      {%- do conditions.append('DBT_INTERNAL_SOURCE.' ~ key ~ ' = DBT_INTERNAL_DEST.' ~ key) -%}
    {%- endfor -%}
  {%- else -%}
    {%- do conditions.append('false') -%}
  {%- endif -%}
  {{ header if header is not none }}
  merge into {{ target }} as DBT_INTERNAL_DEST
  using {{ source }} as DBT_INTERNAL_SOURCE
  on ({{ conditions | join(') and (') }})
  {%- if unique_key %}
  when matched then update set
    {% for name in get_merge_update_columns(config.get('merge_update_columns'), config.get('merge_exclude_columns'), dest_columns) -%}
      {{ name }} = DBT_INTERNAL_SOURCE.{{ name }} {{- ', ' if not loop.last }}
    {%- endfor %}
  {%- endif %}
  when not matched then insert ({{ columns }})
  values ({{ columns }})
{%- endmacro %}

{% macro get_merge_unique_key_match(source_unique_key, target_unique_key) -%}
  {%- do return(adapter.dispatch('get_merge_unique_key_match', 'dbt')(source_unique_key, target_unique_key)) -%}
{%- endmacro %}

{% macro default__get_merge_unique_key_match(source_unique_key, target_unique_key) -%}
  {%- do return(equals(source_unique_key, target_unique_key) | trim) -%}
{%- endmacro %}

{# The columns that a merge updates, quoted. #}
{% macro get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) -%}
  {%- do return(adapter.dispatch('get_merge_update_columns', 'dbt')(merge_update_columns, merge_exclude_columns, dest_columns)) -%}
{%- endmacro %}

{% macro default__get_merge_update_columns(merge_update_columns, merge_exclude_columns, dest_columns) -%}
  {%- if merge_update_columns and merge_exclude_columns -%}
    {%- do exceptions.raise_compiler_error('set merge_update_columns or merge_exclude_columns, not both') -%}
  {%- elif merge_update_columns -%}
    {%- do return(merge_update_columns) -%}
  {%- endif -%}
  {%- set excluded = (merge_exclude_columns or []) | map('lower') | list -%}
  {%- set names = [] -%}
  {%- for column in dest_columns if column.column | lower not in excluded -%} {%- do names.append(column.quoted) -%} {%- endfor -%}
  {%- do return(names) -%}
{%- endmacro %}


{% macro get_insert_overwrite_merge_sql(target, source, dest_columns, predicates, include_sql_header=false) -%}
  {%- do return(adapter.dispatch('get_insert_overwrite_merge_sql', 'dbt')(target, source, dest_columns, predicates, include_sql_header)) -%}
{%- endmacro %}

{% macro default__get_insert_overwrite_merge_sql(target, source, dest_columns, predicates, include_sql_header) -%}
  {%- set columns = get_quoted_csv(dest_columns | map(attribute='name')) -%}
  {{ config.get('sql_header', '') or '' if include_sql_header }}
  merge into {{ target }} as DBT_INTERNAL_DEST
  using {{ source }} as DBT_INTERNAL_SOURCE
  on false
  when not matched by source {{- ' and ' ~ predicates | join(' and ') if predicates }} then delete
  when not matched then insert ({{ columns }})
  values ({{ columns }})
{%- endmacro %}


{# on_schema_change: what happens when the query has other columns than the table. #}

{% macro incremental_validate_on_schema_change(on_schema_change, default='ignore') -%}
  {%- if on_schema_change in ['sync_all_columns', 'append_new_columns', 'fail', 'ignore'] -%}
    {%- do return(on_schema_change) -%}
  {%- endif -%}
  {%- do log("on_schema_change is not one of sync_all_columns, append_new_columns, fail, ignore: '" ~ on_schema_change
    ~ "'; using " ~ default) -%}
  {%- do return(default) -%}
{%- endmacro %}

{% macro check_for_schema_changes(source_relation, target_relation) -%}
  {%- do return(adapter.dispatch('check_for_schema_changes', 'dbt')(source_relation, target_relation)) -%}
{%- endmacro %}

{% macro default__check_for_schema_changes(source_relation, target_relation) -%}
  {%- set source_columns = adapter.get_columns_in_relation(source_relation) -%}
  {%- set target_columns = adapter.get_columns_in_relation(target_relation) -%}
  {%- set added = diff_columns(source_columns, target_columns) -%}
  {%- set removed = diff_columns(target_columns, source_columns) -%}
  {%- set retyped = diff_column_data_types(source_columns, target_columns) -%}
  {%- do return({
    'schema_changed': (added or removed or retyped) | length > 0,
    'source_not_in_target': added,
    'target_not_in_source': removed,
    'source_columns': source_columns,
    'target_columns': target_columns,
    'new_target_types': retyped,
  }) -%}
{%- endmacro %}

{% macro sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) -%}
  {%- do return(adapter.dispatch('sync_column_schemas', 'dbt')(on_schema_change, target_relation, schema_changes_dict)) -%}
{%- endmacro %}

{% macro default__sync_column_schemas(on_schema_change, target_relation, schema_changes_dict) -%}
  {%- set all_columns = on_schema_change == 'sync_all_columns' -%}
  {%- set added = schema_changes_dict['source_not_in_target'] -%}
  {%- set removed = schema_changes_dict['target_not_in_source'] if all_columns else [] -%}
  {%- if added or removed -%}
    {%- do alter_relation_add_remove_columns(target_relation, added or none, removed or none) -%}
  {%- endif -%}
  {%- for change in schema_changes_dict['new_target_types'] if all_columns -%}
    {%- do alter_column_type(target_relation, change['column_name'], change['new_type']) -%}
  {%- endfor -%}
  {%- do log('on_schema_change (' ~ on_schema_change ~ ') of ' ~ target_relation ~ ': added '
    ~ added | map(attribute='name') | join(', ') ~ '; removed ' ~ removed | map(attribute='name') | join(', ')
    ~ '; new types ' ~ schema_changes_dict['new_target_types']) -%}
{%- endmacro %}

{# Returns the columns to insert; {} when nothing was looked at. #}
{% macro process_schema_changes(on_schema_change, source_relation, target_relation) -%}
  {%- do return(adapter.dispatch('process_schema_changes', 'dbt')(on_schema_change, source_relation, target_relation)) -%}
{%- endmacro %}

{% macro default__process_schema_changes(on_schema_change, source_relation, target_relation) -%}
  {%- if on_schema_change == 'ignore' -%} {%- do return({}) -%} {%- endif -%}
  {%- set changes = check_for_schema_changes(source_relation, target_relation) -%}
  {%- if changes['schema_changed'] and on_schema_change == 'fail' -%}
    {%- do exceptions.raise_compiler_error('The columns of the query are not those of ' ~ target_relation
      ~ ': only in the query: [' ~ changes['source_not_in_target'] | map(attribute='name') | join(', ')
      ~ '], only in the table: [' ~ changes['target_not_in_source'] | map(attribute='name') | join(', ')
      ~ '], other types: ' ~ changes['new_target_types']
      ~ '. Rebuild it with --full-refresh, or set on_schema_change to append_new_columns or sync_all_columns.') -%}
  {%- elif changes['schema_changed'] -%}
    {%- do sync_column_schemas(on_schema_change, target_relation, changes) -%}
  {%- endif -%}
  {%- do return(changes['source_columns']) -%}
{%- endmacro %}
