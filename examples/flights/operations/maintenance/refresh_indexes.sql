{{ config(description="Rebuilds the indexes of a schema", transaction=false, tags=['nightly'],
          parameters=[{'name': 'schema', 'type': 'text', 'default': 'reporting'}]) }}
{# without a transaction, each statement commits by itself, and readers go on #}
{%- set schema = args.schema %}
{%- set indexes %}
select indexrelid::regclass::text as name
from pg_stat_user_indexes
where schemaname = '{{ schema }}'
order by 1
{%- endset %}

{% for index in run_query(indexes) %}
reindex index concurrently {{ index.name }};
{% endfor %}

select relname as table, indexrelname as index, pg_size_pretty(pg_relation_size(indexrelid)) as size
from pg_stat_user_indexes
where schemaname = '{{ schema }}'
order by 1, 2;
