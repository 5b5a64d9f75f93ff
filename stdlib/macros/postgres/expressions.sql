{# PostgreSQL: dates, aggregates and strategies. #}

{% macro postgres__current_timestamp() -%}
  now()
{%- endmacro %}

{% macro postgres__current_timestamp_backcompat() -%}
  current_timestamp::{{ type_timestamp() }}
{%- endmacro %}

{% macro postgres__current_timestamp_in_utc_backcompat() -%}
  (current_timestamp at time zone 'utc')::{{ type_timestamp() }}
{%- endmacro %}

{% macro postgres__snapshot_get_time() -%}
  {{ current_timestamp() }}::timestamp without time zone
{%- endmacro %}

{% macro postgres__snapshot_string_as_time(timestamp) -%}
  {%- do return("'" ~ timestamp ~ "'::timestamp without time zone") -%}
{%- endmacro %}

{% macro postgres__dateadd(datepart, interval, from_date_or_timestamp) -%}
  {%- if datepart | lower | trim == 'quarter' -%}
    {{ from_date_or_timestamp }} + ((interval '3 month') * ({{ interval }}))
  {%- else -%}
    {{ from_date_or_timestamp }} + ((interval '1 {{ datepart }}') * ({{ interval }}))
  {%- endif -%}
{%- endmacro %}

{% macro postgres__datediff(first_date, second_date, datepart) -%}
  {%- set part = datepart | lower | trim -%}
  {%- set a, b = '(' ~ first_date ~ ')', '(' ~ second_date ~ ')' -%}
  {%- if part == 'year' -%}
    (date_part('year', {{ b }}::date) - date_part('year', {{ a }}::date))
  {%- elif part == 'quarter' -%}
    ({{ datediff(first_date, second_date, 'year') }} * 4 + date_part('quarter', {{ b }}::date) - date_part('quarter', {{ a }}::date))
  {%- elif part == 'month' -%}
    ({{ datediff(first_date, second_date, 'year') }} * 12 + date_part('month', {{ b }}::date) - date_part('month', {{ a }}::date))
  {%- elif part == 'week' -%}
    ((date_trunc('week', {{ b }}::timestamp + interval '1 day')::date - date_trunc('week', {{ a }}::timestamp + interval '1 day')::date) / 7)
  {%- elif part == 'day' -%}
    ({{ b }}::date - {{ a }}::date)
  {%- elif part == 'hour' -%}
    ({{ datediff(first_date, second_date, 'day') }} * 24 + date_part('hour', {{ b }}::timestamp) - date_part('hour', {{ a }}::timestamp))
  {%- elif part == 'minute' -%}
    ({{ datediff(first_date, second_date, 'hour') }} * 60 + date_part('minute', {{ b }}::timestamp) - date_part('minute', {{ a }}::timestamp))
  {%- elif part in ('second', 'millisecond', 'microsecond') -%}
    {%- set per_minute = {'second': 60, 'millisecond': 60000, 'microsecond': 60000000}[part] -%}
    ({{ datediff(first_date, second_date, 'minute') }} * {{ per_minute }} + floor(date_part('{{ part }}', {{ b }}::timestamp)) - floor(date_part('{{ part }}', {{ a }}::timestamp)))
  {%- else -%}
    {%- do exceptions.raise_compiler_error("datediff: '" ~ datepart ~ "' is not a date part: year, quarter, month, week, day, hour, minute, second, millisecond or microsecond") -%}
  {%- endif -%}
{%- endmacro %}

{# An interval has no quarters. #}
{% macro postgres__last_day(date, datepart) -%}
  {%- if datepart == 'quarter' -%}
    cast({{ dbt.dateadd('day', '-1', dbt.dateadd('month', '3', dbt.date_trunc(datepart, date))) }} as date)
  {%- else -%}
    {{- dbt.default_last_day(date, datepart) -}}
  {%- endif -%}
{%- endmacro %}

{# any_value came with version 16. #}
{% macro postgres__any_value(expression) -%}
  min({{ expression }})
{%- endmacro %}

{% macro postgres__equals(expr1, expr2) -%}
  {%- if adapter.behavior.enable_truthy_nulls_equals_macro.no_warn -%}
    ({{ expr1 }} is not distinct from {{ expr2 }})
  {%- else -%}
    ({{ expr1 }} = {{ expr2 }})
  {%- endif -%}
{%- endmacro %}

{% macro postgres__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}
  {%- if limit_num -%}
    array_to_string((array_agg({{ measure }} {{ order_by_clause or '' }}))[1:{{ limit_num }}], {{ delimiter_text }})
  {%- else -%}
    string_agg({{ measure }}, {{ delimiter_text }} {{ order_by_clause or '' }})
  {%- endif -%}
{%- endmacro %}

{% macro postgres__split_part(string_text, delimiter_text, part_number) -%}
  {%- set implementation = dbt.default__split_part if part_number >= 0 else dbt._split_part_negative -%}
  {%- do return(implementation(string_text, delimiter_text, part_number)) -%}
{%- endmacro %}


{% macro postgres__get_incremental_default_sql(arg_dict) -%}
  {%- do return(get_incremental_delete_insert_sql(arg_dict) if arg_dict['unique_key'] else get_incremental_append_sql(arg_dict)) -%}
{%- endmacro %}

{% macro postgres__get_incremental_microbatch_sql(arg_dict) -%}
  {%- if not arg_dict['unique_key'] -%}
    {%- do exceptions.raise_compiler_error("the strategy microbatch needs a unique_key on PostgreSQL") -%}
  {%- endif -%}
  {%- do return(adapter.dispatch('get_incremental_merge_sql', 'dbt')(arg_dict)) -%}
{%- endmacro %}
