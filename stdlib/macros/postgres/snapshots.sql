{# PostgreSQL: snapshots. #}

{# Two statements instead of a merge: they work on every version, and the columns' types need not agree. #}
{% macro postgres__snapshot_merge_sql(target, source, insert_cols) -%}
  {%- set names = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
  {%- set valid_to, current = target ~ '.' ~ names.dbt_valid_to, config.get('dbt_valid_to_current') -%}
  update {{ target }}
  set {{ names.dbt_valid_to }} = DBT_INTERNAL_SOURCE.{{ names.dbt_valid_to }}
  from {{ source }} as DBT_INTERNAL_SOURCE
  where DBT_INTERNAL_SOURCE.{{ names.dbt_scd_id }}::text = {{ target }}.{{ names.dbt_scd_id }}::text
    and DBT_INTERNAL_SOURCE.dbt_change_type::text in ('update'::text, 'delete'::text)
    and ({{ valid_to ~ ' = ' ~ current ~ ' or ' if current }}{{ valid_to }} is null);
  insert into {{ target }} ({{ insert_cols | join(', ') }})
  select {% for column in insert_cols %}DBT_INTERNAL_SOURCE.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
  from {{ source }} as DBT_INTERNAL_SOURCE
  where DBT_INTERNAL_SOURCE.dbt_change_type::text = 'insert'::text;
{%- endmacro %}

{# An advisory lock, for there may be no table yet; and a lock on the table, for writers that do not ask. #}
{% macro postgres__lock_snapshot_target(target_relation) -%}
  {%- set name = escape_single_quotes(target_relation.render()) -%}
  {%- call statement() -%}
    select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('{{ name }}', 0))
  {%- endcall -%}
  {%- call statement('lock_snapshot_target', fetch_result=true) -%}
    select case c.relkind when 'v' then 'view' when 'm' then 'materialized_view' else 'table' end
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f', 'v', 'm')
      and n.nspname = '{{ escape_single_quotes(target_relation.schema) }}'
      and c.relname = '{{ escape_single_quotes(target_relation.identifier) }}'
  {%- endcall -%}
  {%- set rows = load_result('lock_snapshot_target')['data'] -%}
  {%- set kind = rows[0][0] if rows else none -%}
  {%- if kind == 'table' -%}
    {%- call statement() -%} lock table {{ target_relation.render() }} in share row exclusive mode {%- endcall -%}
  {%- endif -%}
  {%- do return(kind) -%}
{%- endmacro %}
