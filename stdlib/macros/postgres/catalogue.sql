{# PostgreSQL: schemas, columns, privileges, comments and indexes, read from pg_catalog. #}

{% macro postgres__create_schema(relation) -%}
  {%- if relation.database -%} {%- do adapter.verify_database(relation.database) -%} {%- endif -%}
  {%- call statement('create_schema') -%}
    create schema if not exists {{ relation.without_identifier().include(database=false) }}
  {%- endcall -%}
{%- endmacro %}

{% macro postgres__drop_schema(relation) -%}
  {%- if relation.database -%} {%- do adapter.verify_database(relation.database) -%} {%- endif -%}
  {%- call statement('drop_schema') -%}
    drop schema if exists {{ relation.without_identifier().include(database=false) }} cascade
  {%- endcall -%}
{%- endmacro %}

{% macro postgres__information_schema_name(database) -%}
  {%- if database -%} {%- do adapter.verify_database(database) -%} {%- endif -%}
  information_schema
{%- endmacro %}

{% macro postgres__list_schemas(database) -%}
  {%- if database -%} {%- do adapter.verify_database(database) -%} {%- endif -%}
  {%- do return(run_query('select nspname from pg_catalog.pg_namespace')) -%}
{%- endmacro %}

{% macro postgres__check_schema_exists(information_schema, schema) -%}
  {%- if information_schema.database -%} {%- do adapter.verify_database(information_schema.database) -%} {%- endif -%}
  {%- do return(run_query("select count(*) from pg_catalog.pg_namespace where nspname = '"
    ~ escape_single_quotes(schema) ~ "'")) -%}
{%- endmacro %}

{% macro postgres__list_relations_without_caching(schema_relation) -%}
  {%- set database = "'" ~ escape_single_quotes(schema_relation.database) ~ "'" -%}
  {%- set schema_name = "'" ~ escape_single_quotes(schema_relation.schema) ~ "'" -%}
  {%- call statement('list_relations_without_caching', fetch_result=true) -%}
    select {{ database }} as database, c.relname as name, n.nspname as schema,
      case c.relkind when 'v' then 'view' when 'm' then 'materialized_view' else 'table' end as type
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'f', 'v', 'm') and lower(n.nspname) = lower({{ schema_name }})
    union all
    select distinct {{ database }}, p.proname, n.nspname, 'function'
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where lower(n.nspname) = lower({{ schema_name }})
  {%- endcall -%}
  {%- do return(load_result('list_relations_without_caching').table) -%}
{%- endmacro %}

{# Views and materialized views with what they read, other than system tables. #}
{% macro postgres__get_relations() -%}
  {%- call statement('relations', fetch_result=true) -%}
    select distinct dn.nspname as dependent_schema, d.relname as dependent_name,
      rn.nspname as referenced_schema, r.relname as referenced_name
    from pg_catalog.pg_rewrite w
    join pg_catalog.pg_depend p on p.classid = 'pg_catalog.pg_rewrite'::regclass and p.objid = w.oid
      and p.refclassid = 'pg_catalog.pg_class'::regclass and p.refobjid <> w.ev_class
    join pg_catalog.pg_class d on d.oid = w.ev_class
    join pg_catalog.pg_namespace dn on dn.oid = d.relnamespace
    join pg_catalog.pg_class r on r.oid = p.refobjid
    join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    where rn.nspname <> 'information_schema' and rn.nspname not like 'pg\_%'
      and dn.nspname <> 'information_schema' and dn.nspname not like 'pg\_%'
    order by 1, 2, 3, 4
  {%- endcall -%}
  {%- do return(load_result('relations').table) -%}
{%- endmacro %}

{% macro postgres_get_relations() -%}
  {%- do return(postgres__get_relations()) -%}
{%- endmacro %}


{# The columns as information_schema.columns describes them, those of materialized views too. A relation without
   a schema is a temporary table, or whatever is first on the search path. #}
{% macro postgres__get_columns_in_relation(relation) -%}
  {%- call statement('get_columns_in_relation', fetch_result=true) -%}
    select a.attname as column_name,
      case when b.typelem <> 0 and b.typlen = -1 then 'ARRAY'
        when bn.nspname = 'pg_catalog' then pg_catalog.format_type(b.oid, null)
        else 'USER-DEFINED' end as data_type,
      case when b.oid in (1042, 1043) and m.typmod <> -1 then m.typmod - 4
        when b.oid in (1560, 1562) and m.typmod <> -1 then m.typmod end as character_maximum_length,
      case b.oid when 21 then 16 when 23 then 32 when 20 then 64 when 700 then 24 when 701 then 53
        when 1700 then case when m.typmod <> -1 then ((m.typmod - 4) >> 16) & 65535 end end as numeric_precision,
      case when b.oid in (21, 23, 20) then 0
        when b.oid = 1700 and m.typmod <> -1 then (m.typmod - 4) & 65535 end as numeric_scale
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_type t on t.oid = a.atttypid
    join pg_catalog.pg_type b on b.oid = case t.typtype when 'd' then t.typbasetype else t.oid end
    join pg_catalog.pg_namespace bn on bn.oid = b.typnamespace
    cross join lateral (select case t.typtype when 'd' then t.typtypmod else a.atttypmod end as typmod) m
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'f', 'v', 'm')
      and c.relname = '{{ escape_single_quotes(relation.identifier) }}'
      {%- if relation.schema %}
      and n.nspname = '{{ escape_single_quotes(relation.schema) }}'
      {%- else %}
      and pg_catalog.pg_table_is_visible(c.oid)
      {%- endif %}
    order by a.attnum
  {%- endcall -%}
  {%- do return(sql_convert_columns_in_relation(load_result('get_columns_in_relation').table)) -%}
{%- endmacro %}

{# `relations` need a schema, and an identifier where only that one is wanted. #}
{% macro postgres__get_catalog_relations(information_schema, relations) -%}
  {%- set database = information_schema.database -%}
  {%- do adapter.verify_database(database) -%}
  {%- call statement('catalog', fetch_result=true) -%}
    select '{{ escape_single_quotes(database) }}' as table_database, n.nspname as table_schema, c.relname as table_name,
      case c.relkind when 'v' then 'VIEW' when 'm' then 'MATERIALIZED VIEW' else 'BASE TABLE' end as table_type,
      pg_catalog.obj_description(c.oid, 'pg_class') as table_comment,
      a.attname as column_name, a.attnum as column_index,
      pg_catalog.format_type(a.atttypid, a.atttypmod) as column_type,
      pg_catalog.col_description(c.oid, a.attnum) as column_comment,
      pg_catalog.pg_get_userbyid(c.relowner) as table_owner
    from pg_catalog.pg_namespace n
    join pg_catalog.pg_class c on c.relnamespace = n.oid
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'v', 'f', 'p', 'm') and c.relpersistence in ('p', 'u') and (
      {%- for relation in relations %}
      (upper(n.nspname) = upper('{{ escape_single_quotes(relation.schema) }}')
      {%- if relation.identifier %} and upper(c.relname) = upper('{{ escape_single_quotes(relation.identifier) }}') {%- endif %})
      {{- ' or' if not loop.last }}
      {%- else %} false {%- endfor %})
    order by 2, 3, 7
  {%- endcall -%}
  {%- do return(load_result('catalog').table) -%}
{%- endmacro %}

{% macro postgres__get_catalog(information_schema, schemas) -%}
  {%- set relations = [] -%}
  {%- for name in schemas -%} {%- do relations.append({'schema': name}) -%} {%- endfor -%}
  {%- do return(postgres__get_catalog_relations(information_schema, relations)) -%}
{%- endmacro %}


{# What this role has granted to others. information_schema does not tell of materialized views. #}
{% macro postgres__get_show_grant_sql(relation) -%}
  select coalesce(r.rolname, 'PUBLIC') as grantee, a.privilege_type
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  cross join lateral pg_catalog.aclexplode(c.relacl) a
  left join pg_catalog.pg_roles r on r.oid = a.grantee
  where pg_catalog.pg_get_userbyid(a.grantor) = current_role and coalesce(r.rolname, 'PUBLIC') <> current_role
    and n.nspname = '{{ escape_single_quotes(relation.schema) }}'
    and c.relname = '{{ escape_single_quotes(relation.identifier) }}'
{%- endmacro %}

{# PUBLIC is a word and no role. #}
{% macro postgres__get_revoke_sql(relation, privilege, grantees) -%}
  {%- set names = [] -%}
  {%- for grantee in grantees -%}
    {%- do names.append('public' if grantee == 'PUBLIC' else adapter.quote(grantee)) -%}
  {%- endfor -%}
  revoke {{ privilege }} on {{ relation.render() }} from {{ names | join(', ') }}
{%- endmacro %}

{# A relation that is built anew starts without privileges. #}
{% macro postgres__copy_grants() -%}
  {%- do return(false) -%}
{%- endmacro %}


{% macro postgres_escape_comment(comment) -%}
  {%- if comment is not string -%}
    {%- do exceptions.raise_compiler_error('a comment must be text, not ' ~ comment) -%}
  {%- endif -%}
  '{{ escape_single_quotes(comment) }}'
{%- endmacro %}

{% macro postgres__alter_relation_comment(relation, comment) -%}
  comment on {{ (relation.type or 'table') | replace('_', ' ') }} {{ relation }} is {{ postgres_escape_comment(comment) }};
{%- endmacro %}

{% macro postgres__alter_column_comment(relation, column_dict) -%}
  {%- set existing = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
  {%- for name, column in column_dict.items() if name in existing or name | lower in existing -%}
  comment on column {{ relation }}.{{ adapter.quote(name) if column['quote'] else name }} is {{ postgres_escape_comment(column['description']) }};
  {% endfor -%}
{%- endmacro %}


{% macro postgres__get_create_index_sql(relation, index_dict) -%}
  {%- set index = adapter.parse_index(index_dict) -%}
  create {{ 'unique ' if index.unique }}index if not exists "{{ index.render(relation) }}"
  on {{ relation }} {{ 'using ' ~ index.type if index.type }} ({{ index.columns | join(', ') }})
{%- endmacro %}

{% macro postgres__get_drop_index_sql(relation, index_name) -%}
  drop index if exists "{{ relation.schema }}"."{{ index_name }}"
{%- endmacro %}

{% macro postgres__get_show_indexes_sql(relation) -%}
  select i.relname as name, m.amname as method, x.indisunique as "unique",
    string_agg(a.attname, ',' order by array_position(x.indkey::int2[], a.attnum)) as column_names
  from pg_catalog.pg_index x
  join pg_catalog.pg_class i on i.oid = x.indexrelid
  join pg_catalog.pg_am m on m.oid = i.relam
  join pg_catalog.pg_class t on t.oid = x.indrelid
  join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = any(x.indkey)
  where t.relkind in ('r', 'p', 'm')
    and t.relname = '{{ escape_single_quotes(relation.identifier) }}'
    and n.nspname = '{{ escape_single_quotes(relation.schema) }}'
  group by 1, 2, 3
  order by 1, 2, 3
{%- endmacro %}
