{# Dates and times. #}

{% macro current_timestamp() -%}
  {%- do return(adapter.dispatch('current_timestamp', 'dbt')()) -%}
{%- endmacro %}

{% macro default__current_timestamp() -%}
  {%- do not_for_this_adapter('current_timestamp') -%}
{%- endmacro %}


{# For projects that called dbt_utils.current_timestamp. #}
{% macro current_timestamp_backcompat() -%}
  {%- do return(adapter.dispatch('current_timestamp_backcompat', 'dbt')()) -%}
{%- endmacro %}

{% macro default__current_timestamp_backcompat() -%}
  current_timestamp::timestamp
{%- endmacro %}

{% macro current_timestamp_in_utc_backcompat() -%}
  {%- do return(adapter.dispatch('current_timestamp_in_utc_backcompat', 'dbt')()) -%}
{%- endmacro %}

{% macro default__current_timestamp_in_utc_backcompat() -%}
  {%- do return(adapter.dispatch('current_timestamp_backcompat', 'dbt')()) -%}
{%- endmacro %}


{% macro snapshot_get_time() -%}
  {%- do return(adapter.dispatch('snapshot_get_time', 'dbt')()) -%}
{%- endmacro %}

{% macro default__snapshot_get_time() -%}
  {{- current_timestamp() -}}
{%- endmacro %}

{% macro get_snapshot_get_time_data_type() -%}
  {%- set columns = get_column_schema_from_query('select ' ~ snapshot_get_time() ~ ' as dbt_snapshot_time') -%}
  {%- do return(columns[0].dtype or none) -%}
{%- endmacro %}


{% macro dateadd(datepart, interval, from_date_or_timestamp) -%}
  {%- do return(adapter.dispatch('dateadd', 'dbt')(datepart, interval, from_date_or_timestamp)) -%}
{%- endmacro %}

{% macro default__dateadd(datepart, interval, from_date_or_timestamp) -%}
  dateadd({{ datepart }}, {{ interval }}, {{ from_date_or_timestamp }})
{%- endmacro %}


{# The number of boundaries of `datepart` between two dates. #}
{% macro datediff(first_date, second_date, datepart) -%}
  {%- do return(adapter.dispatch('datediff', 'dbt')(first_date, second_date, datepart)) -%}
{%- endmacro %}

{% macro default__datediff(first_date, second_date, datepart) -%}
  datediff({{ datepart }}, {{ first_date }}, {{ second_date }})
{%- endmacro %}


{% macro date_trunc(datepart, date) -%}
  {%- do return(adapter.dispatch('date_trunc', 'dbt')(datepart, date)) -%}
{%- endmacro %}

{% macro default__date_trunc(datepart, date) -%}
  date_trunc('{{ datepart }}', {{ date }})
{%- endmacro %}


{# The last day of the period that holds a date. #}
{% macro last_day(date, datepart) -%}
  {%- do return(adapter.dispatch('last_day', 'dbt')(date, datepart)) -%}
{%- endmacro %}

{% macro default__last_day(date, datepart) -%}
  {%- do return(dbt.default_last_day(date, datepart)) -%}
{%- endmacro %}

{% macro default_last_day(date, datepart) -%}
  cast({{ dbt.dateadd('day', '-1', dbt.dateadd(datepart, '1', dbt.date_trunc(datepart, date))) }} as date)
{%- endmacro %}


{# A date from the numbers of its year, month and day. #}
{% macro date(year, month, day) -%}
  {%- do return(adapter.dispatch('date', 'dbt')(year, month, day)) -%}
{%- endmacro %}

{% macro default__date(year, month, day) -%}
  to_date('{{ modules.datetime.date(year, month, day).strftime('%Y-%m-%d') }}', 'YYYY-MM-DD')
{%- endmacro %}


{# Rows 1 to `upper_bound`, in column generated_number. #}
{% macro generate_series(upper_bound) -%}
  {%- do return(adapter.dispatch('generate_series', 'dbt')(upper_bound)) -%}
{%- endmacro %}

{% macro default__generate_series(upper_bound) -%}
  {%- set n = dbt.get_powers_of_two(upper_bound) -%}
  with p as (
    select 0 as generated_number union all select 1
  ), unioned as (
    select {% for i in range(n) %}p{{ i }}.generated_number * power(2, {{ i }}) + {% endfor %}1 as generated_number
    from {% for i in range(n) %}p as p{{ i }}{{ ' cross join ' if not loop.last }}{% endfor %}
  )
  select * from unioned where generated_number <= {{ upper_bound }} order by generated_number
{%- endmacro %}

{# The smallest n with 2 to the power n not below the bound, and at least 1. #}
{% macro get_powers_of_two(upper_bound) -%}
  {%- do return(adapter.dispatch('get_powers_of_two', 'dbt')(upper_bound)) -%}
{%- endmacro %}

{% macro default__get_powers_of_two(upper_bound) -%}
  {%- if upper_bound <= 0 -%}
    {%- do exceptions.raise_compiler_error('upper bound must be positive') -%}
  {%- endif -%}
  {%- for n in range(1, 100) if upper_bound <= 2 ** n -%} {%- do return(n) -%} {%- endfor -%}
{%- endmacro %}


{# Rows from start_date to end_date, in column date_<datepart>. Both are SQL expressions; asks the database how
   many rows there are. #}
{% macro date_spine(datepart, start_date, end_date) -%}
  {%- do return(adapter.dispatch('date_spine', 'dbt')(datepart, start_date, end_date)) -%}
{%- endmacro %}

{% macro default__date_spine(datepart, start_date, end_date) -%}
  with rawdata as (
    {{ dbt.generate_series(dbt.get_intervals_between(start_date, end_date, datepart)) }}
  ), all_periods as (
    select {{ dbt.dateadd(datepart, 'row_number() over (order by 1) - 1', start_date) }} as date_{{ datepart }}
    from rawdata
  ), filtered as (
    select * from all_periods where date_{{ datepart }} <= {{ end_date }}
  )
  select * from filtered
{%- endmacro %}

{% macro get_intervals_between(start_date, end_date, datepart) -%}
  {%- do return(adapter.dispatch('get_intervals_between', 'dbt')(start_date, end_date, datepart)) -%}
{%- endmacro %}

{% macro default__get_intervals_between(start_date, end_date, datepart) -%}
  {%- call statement('get_intervals_between', fetch_result=true) -%}
    select {{ dbt.datediff(start_date, end_date, datepart) }}
  {%- endcall -%}
  {%- set found = load_result('get_intervals_between') -%}
  {%- do return(found['data'][0][0] if found and found['data'] else 1) -%}
{%- endmacro %}


{# Dates that are given as text, in Python's format codes. #}
{% macro convert_datetime(date_str, date_fmt) -%}
  {%- do return(try_or_compiler_error("'" ~ date_str ~ "' is not a date of the format '" ~ date_fmt ~ "'",
    modules.datetime.datetime.strptime, date_str | trim, date_fmt)) -%}
{%- endmacro %}

{# Every day from the first to the last. #}
{% macro dates_in_range(start_date_str, end_date_str=none, in_fmt="%Y%m%d", out_fmt="%Y%m%d") -%}
  {%- set first = convert_datetime(start_date_str, in_fmt) -%}
  {%- set last = first if end_date_str is none else convert_datetime(end_date_str, in_fmt) -%}
  {%- if last < first -%}
    {%- do exceptions.raise_compiler_error('the range of dates ends before it starts (' ~ first ~ ', ' ~ last ~ ')') -%}
  {%- endif -%}
  {%- set days = [] -%}
  {%- for i in range((last - first).days + 1) -%}
    {%- set day = first + modules.datetime.timedelta(days=i) -%}
    {%- do days.append(day.strftime(out_fmt) if out_fmt else day) -%}
  {%- endfor -%}
  {%- do return(days) -%}
{%- endmacro %}

{# "20240101" or "20240101,20240131" #}
{% macro partition_range(raw_partition_date, date_fmt='%Y%m%d') -%}
  {%- set ends = (raw_partition_date | string).split(',') -%}
  {%- if ends | length > 2 -%}
    {%- do exceptions.raise_compiler_error("a range of partitions is 'first' or 'first,last', not " ~ raw_partition_date) -%}
  {%- endif -%}
  {%- do return(dates_in_range(ends[0], ends[1] if ends | length == 2 else none, in_fmt=date_fmt)) -%}
{%- endmacro %}

{% macro py_current_timestring() -%}
  {%- do return(modules.datetime.datetime.now().strftime('%Y%m%d%H%M%S%f')) -%}
{%- endmacro %}
