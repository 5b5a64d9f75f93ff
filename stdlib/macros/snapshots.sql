{# Snapshots: how the rows of a query become the versions of a table. A strategy says which rows changed. #}

{# Each strategy is a macro snapshot_<name>_strategy, or package.<name>. It returns a dict: unique_key, updated_at,
   row_changed, scd_id and hard_deletes, the middle ones as SQL over the aliases that it is given. #}
{% macro strategy_dispatch(name) -%}
  {%- set parts = name.split('.', 1) -%}
  {%- if parts | length == 1 -%}
    {%- set package, where = context, 'the project' -%}
  {%- elif parts[0] in context -%}
    {%- set package, where = context[parts[0]], "package '" ~ parts[0] ~ "'" -%}
  {%- else -%}
    {%- do exceptions.raise_compiler_error("the strategy '" ~ name ~ "' is of a package that is not there: '" ~ parts[0] ~ "'") -%}
  {%- endif -%}
  {%- set macro_name = 'snapshot_' ~ parts[-1] ~ '_strategy' -%}
  {%- if macro_name not in package -%}
    {%- do exceptions.raise_compiler_error("there is no snapshot strategy '" ~ parts[-1] ~ "': " ~ where ~ " has no macro "
      ~ macro_name ~ "; timestamp and check are built in") -%}
  {%- endif -%}
  {%- do return(package[macro_name]) -%}
{%- endmacro %}

{% macro snapshot_timestamp_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) -%}
  {%- set key, updated_at = config.get('unique_key'), config.get('updated_at') -%}
  {%- set hard_deletes = adapter.get_hard_deletes_behavior(config) -%}
  {%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
  {%- do return({
    'unique_key': key,
    'updated_at': updated_at,
    'row_changed': '(' ~ snapshotted_rel ~ '.' ~ names.dbt_valid_from ~ ' < ' ~ current_rel ~ '.' ~ updated_at ~ ')',
    'scd_id': snapshot_hash_arguments(api.Relation.scd_args(key, updated_at)),
    'invalidate_hard_deletes': hard_deletes == 'invalidate',
    'hard_deletes': hard_deletes,
  }) -%}
{%- endmacro %}

{% macro snapshot_check_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) -%}
  {%- set key, updated_at = config.get('unique_key'), config.get('updated_at') or snapshot_get_time() -%}
  {%- set hard_deletes = adapter.get_hard_deletes_behavior(config) -%}
  {%- set column_added, columns = snapshot_check_all_get_existing_columns(node, target_exists, config.get('check_cols')) -%}
  {%- set changes = [] -%}
  {%- for column in columns if not column_added -%}
    {%- set old, new = snapshotted_rel ~ '.' ~ column, current_rel ~ '.' ~ column -%}
    {%- do changes.append(old ~ ' != ' ~ new ~ ' or (' ~ old ~ ' is null) != (' ~ new ~ ' is null)') -%}
  {%- endfor -%}
  {%- do return({
    'unique_key': key,
    'updated_at': updated_at,
    'row_changed': '(' ~ (get_true_sql() | trim if column_added else changes | join(' or ')) ~ ')',
    'scd_id': snapshot_hash_arguments(api.Relation.scd_args(key, updated_at)),
    'invalidate_hard_deletes': hard_deletes == 'invalidate',
    'hard_deletes': hard_deletes,
  }) -%}
{%- endmacro %}

{# (whether the query has a checked column that the snapshot lacks, those that both have, quoted) #}
{% macro snapshot_check_all_get_existing_columns(node, target_exists, check_cols_config) -%}
  {%- if not target_exists -%} {%- do return((false, [])) -%} {%- endif -%}
  {%- set wanted = node['compiled_code'] -%}
  {%- if check_cols_config is not string and check_cols_config -%}
    {#- in its own line, for the query may end with a comment -#}
    {%- set wanted = 'select ' ~ check_cols_config | join(', ') ~ ' from (\n' ~ wanted ~ '\n) subq' -%}
  {%- elif check_cols_config != 'all' -%}
    {%- do exceptions.raise_compiler_error("check_cols must be a list of columns or 'all', not '" ~ check_cols_config ~ "'") -%}
  {%- endif -%}
  {%- set target = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) -%}
  {%- set existing = adapter.get_columns_in_relation(target) | map(attribute='name') | list -%}
  {%- set both, added = [], [] -%}
  {%- for name in get_columns_in_query(wanted) -%}
    {%- do both.append(adapter.quote(name)) if name in existing else added.append(name) -%}
  {%- endfor -%}
  {%- do return((added | length > 0, both)) -%}
{%- endmacro %}


{% macro snapshot_hash_arguments(args) -%}
  {%- do return(adapter.dispatch('snapshot_hash_arguments', 'dbt')(args)) -%}
{%- endmacro %}

{% macro default__snapshot_hash_arguments(args) -%}
  md5({% for arg in args -%}
    coalesce(cast({{ arg }} as varchar ), '') {{- " || '|' || " if not loop.last }}
  {%- endfor %})
{%- endmacro %}

{% macro snapshot_string_as_time(timestamp) -%}
  {%- do return(adapter.dispatch('snapshot_string_as_time', 'dbt')(timestamp)) -%}
{%- endmacro %}

{% macro default__snapshot_string_as_time(timestamp) -%}
  {%- do not_for_this_adapter('snapshot_string_as_time') -%}
{%- endmacro %}

{% macro get_true_sql() -%}
  {%- do return(adapter.dispatch('get_true_sql', 'dbt')()) -%}
{%- endmacro %}

{% macro default__get_true_sql() -%}
  true
{%- endmacro %}


{# The names of the columns that a snapshot adds; `snapshot_meta_column_names` changes them. #}
{% macro get_snapshot_table_column_names() -%}
  {%- set names = {} -%}
  {%- for name in ['dbt_valid_to', 'dbt_valid_from', 'dbt_scd_id', 'dbt_updated_at', 'dbt_is_deleted'] -%}
    {%- do names.update({name: name}) -%}
  {%- endfor -%}
  {%- do return(names) -%}
{%- endmacro %}

{# Null, or dbt_valid_to_current; the type is that of updated_at. #}
{% macro get_dbt_valid_to_current(strategy, columns) -%}
  coalesce(nullif({{ strategy.updated_at }}, {{ strategy.updated_at }}), {{ config.get('dbt_valid_to_current') or 'null' }})
  as {{ columns.dbt_valid_to }}
{%- endmacro %}

{# A key of several columns is dbt_unique_key_1, dbt_unique_key_2, ... #}
{% macro unique_key_fields(unique_key) -%}
  {%- if unique_key | is_list -%}
    {%- for key in unique_key -%} {{ key }} as dbt_unique_key_{{ loop.index }} {{- ', ' if not loop.last }} {%- endfor -%}
  {%- else -%}
    {{ unique_key }} as dbt_unique_key
  {%- endif -%}
{%- endmacro %}

{% macro unique_key_join_on(unique_key, identifier, from_identifier) -%}
  {%- if unique_key | is_list -%}
    {%- for key in unique_key -%}
      {%- set name = '.dbt_unique_key_' ~ loop.index -%}
      {{ equals(identifier ~ name, from_identifier ~ name) | trim }} {{- ' and ' if not loop.last }}
    {%- endfor -%}
  {%- else -%}
    {{ identifier }}.dbt_unique_key = {{ from_identifier }}.dbt_unique_key
  {%- endif -%}
{%- endmacro %}

{% macro unique_key_is_null(unique_key, identifier) -%}
  {{ identifier }}.dbt_unique_key {{- '_1' if unique_key | is_list }} is null
{%- endmacro %}

{% macro unique_key_is_not_null(unique_key, identifier) -%}
  {{ identifier }}.dbt_unique_key {{- '_1' if unique_key | is_list }} is not null
{%- endmacro %}


{# The first version of every row. #}
{% macro build_snapshot_table(strategy, sql) -%}
  {%- do return(adapter.dispatch('build_snapshot_table', 'dbt')(strategy, sql)) -%}
{%- endmacro %}

{% macro default__build_snapshot_table(strategy, sql) -%}
  {%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
  select *,
    {{ strategy.scd_id }} as {{ names.dbt_scd_id }},
    {{ strategy.updated_at }} as {{ names.dbt_updated_at }},
    {{ strategy.updated_at }} as {{ names.dbt_valid_from }},
    {{ get_dbt_valid_to_current(strategy, names) }}
    {%- if strategy.hard_deletes == 'new_record' -%} ,
    'False' as {{ names.dbt_is_deleted }}
    {%- endif %}
  from (
    {{ sql }}
  ) sbq
{%- endmacro %}

{# What changed since the last snapshot: rows to insert, and versions to end, by dbt_change_type. #}
{% macro snapshot_staging_table(strategy, source_sql, target_relation) -%}
  {%- do return(adapter.dispatch('snapshot_staging_table', 'dbt')(strategy, source_sql, target_relation)) -%}
{%- endmacro %}

{% macro default__snapshot_staging_table(strategy, source_sql, target_relation) -%}
  {%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
  {%- set key, now = strategy.unique_key, snapshot_get_time() -%}
  {%- set ends, marks = strategy.hard_deletes in ['invalidate', 'new_record'], strategy.hard_deletes == 'new_record' -%}
  {%- set current = config.get('dbt_valid_to_current') -%}
  {%- set is_current -%}
    {%- if current -%}
      ({{ equals(names.dbt_valid_to | trim, current | trim) | trim }} or {{ names.dbt_valid_to }} is null)
    {%- else -%}
      {{ names.dbt_valid_to }} is null
    {%- endif -%}
  {%- endset -%}
  {%- set reappeared = "snapshotted_data." ~ names.dbt_is_deleted ~ " = 'True'" -%}
  {%- set changed = strategy.row_changed ~ (' or ' ~ reappeared if marks else '') -%}
  {%- set joined = unique_key_join_on(key, 'snapshotted_data', 'source_data') -%}
  {%- set gone -%}
    {{ unique_key_is_null(key, 'source_data') }}
    {%- if marks %} and not ({{ reappeared }} and snapshotted_data.{{ names.dbt_valid_to }} {{ '= ' ~ current if current else 'is null' }}) {%- endif -%}
  {%- endset -%}
  with snapshot_query as (
    {{ source_sql }}
  ),
  snapshotted_data as (
    select *, {{ unique_key_fields(key) }}
    from {{ target_relation }}
    where {{ is_current }}
  ),
  insertions_source_data as (
    select *, {{ unique_key_fields(key) }},
      {{ strategy.updated_at }} as {{ names.dbt_updated_at }},
      {{ strategy.updated_at }} as {{ names.dbt_valid_from }},
      {{ get_dbt_valid_to_current(strategy, names) }},
      {{ strategy.scd_id }} as {{ names.dbt_scd_id }}
    from snapshot_query
  ),
  updates_source_data as (
    select *, {{ unique_key_fields(key) }},
      {{ strategy.updated_at }} as {{ names.dbt_updated_at }},
      {{ strategy.updated_at }} as {{ names.dbt_valid_from }},
      {{ strategy.updated_at }} as {{ names.dbt_valid_to }}
    from snapshot_query
  ),
  {%- if ends %}
  deletes_source_data as (
    select *, {{ unique_key_fields(key) }} from snapshot_query
  ),
  {%- endif %}
  insertions as (
    select 'insert' as dbt_change_type, source_data.* {{- ", 'False' as " ~ names.dbt_is_deleted if marks }}
    from insertions_source_data as source_data
    left outer join snapshotted_data on {{ joined }}
    where {{ unique_key_is_null(key, 'snapshotted_data') }}
      or ({{ unique_key_is_not_null(key, 'snapshotted_data') }} and ({{ changed }}))
  ),
  updates as (
    select 'update' as dbt_change_type, source_data.*, snapshotted_data.{{ names.dbt_scd_id }}
      {{- ', snapshotted_data.' ~ names.dbt_is_deleted if marks }}
    from updates_source_data as source_data
    join snapshotted_data on {{ joined }}
    where ({{ changed }})
  )
  {%- if ends %},
  deletes as (
    select 'delete' as dbt_change_type, source_data.*, {{ now }} as {{ names.dbt_updated_at }},
      {{ now }} as {{ names.dbt_valid_from }}, {{ now }} as {{ names.dbt_valid_to }},
      snapshotted_data.{{ names.dbt_scd_id }}
      {{- ', snapshotted_data.' ~ names.dbt_is_deleted if marks }}
    from snapshotted_data
    left join deletes_source_data as source_data on {{ joined }}
    where {{ gone }}
  )
  {%- endif %}
  {%- if marks %},
  deletion_records as (
    {{ snapshot_deletion_records(strategy, source_sql, target_relation, names, joined, gone) }}
  )
  {%- endif %}
  select * from insertions
  union all
  select * from updates
  {%- if ends %}
  union all
  select * from deletes
  {%- endif %}
  {%- if marks %}
  union all
  select * from deletion_records
  {%- endif %}
{%- endmacro %}

{# With hard_deletes new_record: a last version of each row that is gone, marked as deleted. #}
{% macro snapshot_deletion_records(strategy, source_sql, target_relation, names, joined, gone) -%}
  {%- set kept = get_list_of_column_names(get_columns_in_relation(target_relation)) -%}
  select 'insert' as dbt_change_type,
    {%- for name in get_columns_in_query(source_sql) %}
    {{ 'snapshotted_data' if name in kept else 'source_data' }}.{{ adapter.quote(name) }},
    {%- endfor %}
    {%- if strategy.unique_key | is_list %}
      {%- for key in strategy.unique_key %}
    snapshotted_data.{{ key }} as dbt_unique_key_{{ loop.index }},
      {%- endfor %}
    {%- else %}
    snapshotted_data.dbt_unique_key as dbt_unique_key,
    {%- endif %}
    {{ snapshot_get_time() }} as {{ names.dbt_updated_at }},
    {{ snapshot_get_time() }} as {{ names.dbt_valid_from }},
    snapshotted_data.{{ names.dbt_valid_to }} as {{ names.dbt_valid_to }},
    {{ snapshot_hash_arguments([names.dbt_scd_id, snapshot_get_time()]) }} as {{ names.dbt_scd_id }},
    'True' as {{ names.dbt_is_deleted }}
  from snapshotted_data
  left join deletes_source_data as source_data on {{ joined }}
  where {{ gone }}
{%- endmacro %}

{# Builds the table of changes and returns it. #}
{% macro build_snapshot_staging_table(strategy, sql, target_relation) -%}
  {%- set staging = make_temp_relation(target_relation) -%}
  {%- set changes = snapshot_staging_table(strategy, sql, target_relation) -%}
  {%- call statement('build_snapshot_staging_relation') -%}
    {{ create_table_as(true, staging, changes) }}
  {%- endcall -%}
  {%- do return(staging) -%}
{%- endmacro %}


{# Applies the changes: ends versions, inserts the new ones. `insert_cols` are quoted names. #}
{% macro snapshot_merge_sql(target, source, insert_cols) -%}
  {%- do return(adapter.dispatch('snapshot_merge_sql', 'dbt')(target, source, insert_cols)) -%}
{%- endmacro %}

{% macro default__snapshot_merge_sql(target, source, insert_cols) -%}
  {%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
  {%- set valid_to = 'DBT_INTERNAL_DEST.' ~ names.dbt_valid_to -%}
  {%- set current = config.get('dbt_valid_to_current') -%}
  merge into {{ target.render() }} as DBT_INTERNAL_DEST
  using {{ source }} as DBT_INTERNAL_SOURCE
  on DBT_INTERNAL_SOURCE.{{ names.dbt_scd_id }} = DBT_INTERNAL_DEST.{{ names.dbt_scd_id }}
  when matched and ({{ equals(valid_to, current | trim) | trim ~ ' or ' if current }}{{ valid_to }} is null)
    and DBT_INTERNAL_SOURCE.dbt_change_type in ('update', 'delete') then update
    set {{ names.dbt_valid_to }} = DBT_INTERNAL_SOURCE.{{ names.dbt_valid_to }}
  when not matched and DBT_INTERNAL_SOURCE.dbt_change_type = 'insert' then
    insert ({{ insert_cols | join(', ') }}) values ({{ insert_cols | join(', ') }})
{%- endmacro %}

{# Columns that the query has and the snapshot has not yet. #}
{% macro create_columns(relation, columns) -%}
  {%- do return(adapter.dispatch('create_columns', 'dbt')(relation, columns)) -%}
{%- endmacro %}

{% macro default__create_columns(relation, columns) -%}
  {%- for column in columns -%}
    {%- call statement() -%}
      alter table {{ relation.render() }} add column {{ adapter.quote(column.name) }} {{ column.expanded_data_type }};
    {%- endcall -%}
  {%- endfor -%}
{%- endmacro %}

{# For adapters whose staging table is not temporary. #}
{% macro post_snapshot(staging_relation) -%}
  {%- do return(adapter.dispatch('post_snapshot', 'dbt')(staging_relation)) -%}
{%- endmacro %}

{% macro default__post_snapshot(staging_relation) -%}
{%- endmacro %}


{# Makes other invocations wait until this transaction ends, and returns the kind of the relation that is there
   now, none when there is none. #}
{% macro lock_snapshot_target(target_relation) -%}
  {%- do return(adapter.dispatch('lock_snapshot_target', 'dbt')(target_relation)) -%}
{%- endmacro %}

{% macro default__lock_snapshot_target(target_relation) -%}
  {%- set existing = load_cached_relation(target_relation) -%}
  {%- do return(existing.type if existing else none) -%}
{%- endmacro %}


{# Warns when updated_at and the database's time have different types. #}
{% macro check_time_data_types(sql) -%}
  {%- set updated_at, now = get_updated_at_column_data_type(sql), get_snapshot_get_time_data_type() -%}
  {%- if updated_at is not none and now is not none and updated_at != now -%}
    {%- do exceptions.warn_snapshot_timestamp_data_types(now, updated_at) -%}
  {%- endif -%}
{%- endmacro %}

{% macro get_updated_at_column_data_type(snapshot_sql) -%}
  {%- set found = [] -%}
  {%- for column in get_column_schema_from_query(snapshot_sql) if column.column | lower == 'dbt_updated_at' -%}
    {%- do found.append(column.dtype) -%}
  {%- endfor -%}
  {%- do return(found | last if found else none) -%}
{%- endmacro %}
