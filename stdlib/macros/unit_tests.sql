{# How the rows of unit tests become SQL: typed as the relation's own columns are, so that what a test gives is what
   the model would read. #}

{# The rows that stand for the relation `this`, as a query; columns that a row lacks are null. #}
{% macro get_fixture_sql(rows, column_name_to_data_types) -%}
  {%- set types, quoted = {}, {} -%}
  {%- set relation = defer_relation if defer_relation and not load_relation(this) else this -%}
  {%- for column in get_columns_for_unit_tests(relation) -%}
    {%- do types.update({column.name | lower: column.data_type}) -%}
    {%- do quoted.update({column.name | lower: column.quoted}) -%}
  {%- endfor -%}
  {%- set types = column_name_to_data_types or types -%}
  {%- if not types -%}
    {%- do exceptions.raise_compiler_error("Not able to get columns for unit test '" ~ model.name ~ "' from relation "
      ~ relation ~ " because the relation doesn't exist: build it first") -%}
  {%- endif -%}
  {%- do validate_fixture_rows(rows, none) -%}
  {%- set empty_row = {} -%}
  {%- for name, type in types.items() -%} {%- do empty_row.update({name: safe_cast('null', type) | trim}) -%} {%- endfor -%}
  {%- set selects = [] -%}
  {%- for row in rows -%}
    {%- set filled = empty_row.copy() -%}
    {%- do filled.update(format_row(row, types)) -%}
    {%- do selects.append(_fixture_select(filled, quoted)) -%}
  {%- endfor -%}
  {%- if not selects -%} {%- do selects.append(_fixture_select(empty_row, quoted) ~ ' limit 0') -%} {%- endif -%}
  {{ selects | join('\nunion all\n') }}
{%- endmacro %}

{# What the test expects, as a query. #}
{% macro get_expected_sql(rows, column_name_to_data_types, column_name_to_quoted) -%}
  {%- set selects = [] -%}
  {%- for row in rows -%}
    {%- do selects.append(_fixture_select(format_row(row, column_name_to_data_types), column_name_to_quoted)) -%}
  {%- endfor -%}
  {{ selects | join('\nunion all\n') if selects else 'select * from dbt_internal_unit_test_actual limit 0' }}
{%- endmacro %}

{% macro _fixture_select(row, quoted) -%}
  {%- set items = [] -%}
  {%- for name, value in row.items() -%} {%- do items.append(value | trim ~ ' as ' ~ quoted[name]) -%} {%- endfor -%}
  {%- do return('select ' ~ items | join(', ')) -%}
{%- endmacro %}

{# A row with lower-case names and each value as a cast; a name that the relation lacks is an error. #}
{% macro format_row(row, column_name_to_data_types) -%}
  {%- set formatted = {} -%}
  {%- for given_name, value in row.items() -%}
    {%- set name = given_name | lower -%}
    {%- if name not in column_name_to_data_types -%}
      {%- set what = 'expected output' if model.resource_type == 'unit_test' else "'" ~ model.name ~ "'" -%}
      {%- do exceptions.raise_compiler_error("Invalid column name: '" ~ name ~ "' in unit test fixture for " ~ what
        ~ ".\nAccepted columns for " ~ what ~ ' are: ' ~ (column_name_to_data_types.keys() | list)) -%}
    {%- endif -%}
    {%- set type = column_name_to_data_types[name] -%}
    {%- if value is string -%}
      {#- a length would cut the text without a word -#}
      {%- if 'varying' in type -%} {%- set type = type.split('(')[0] -%} {%- endif -%}
      {%- set value = dbt.string_literal(dbt.escape_single_quotes(value)) -%}
    {%- elif value is none -%}
      {%- set value = 'null' -%}
    {%- elif value is mapping or value is sequence -%}
      {%- set value = dbt.string_literal(dbt.escape_single_quotes(tojson(value))) -%}
    {%- endif -%}
    {%- do formatted.update({name: safe_cast(value, type)}) -%}
  {%- endfor -%}
  {%- do return(formatted) -%}
{%- endmacro %}

{# For adapters that cannot take every row. #}
{% macro validate_fixture_rows(rows, row_number) -%}
  {%- do return(adapter.dispatch('validate_fixture_rows', 'dbt')(rows, row_number)) -%}
{%- endmacro %}

{% macro default__validate_fixture_rows(rows, row_number) -%}
{%- endmacro %}

{% macro get_columns_for_unit_tests(relation) -%}
  {%- do return(adapter.dispatch('get_columns_for_unit_tests', 'dbt')(relation)) -%}
{%- endmacro %}

{% macro default__get_columns_for_unit_tests(relation) -%}
  {%- do return(adapter.get_columns_in_relation(relation)) -%}
{%- endmacro %}

{# The rows of both sides, told apart by a last column. #}
{% macro get_unit_test_sql(main_sql, expected_fixture_sql, expected_column_names) -%}
  {%- do return(adapter.dispatch('get_unit_test_sql', 'dbt')(main_sql, expected_fixture_sql, expected_column_names)) -%}
{%- endmacro %}

{% macro default__get_unit_test_sql(main_sql, expected_fixture_sql, expected_column_names) -%}
  {%- set names = expected_column_names | join(', ') -%}
  with dbt_internal_unit_test_actual as (
    select {{ names }}, {{ dbt.string_literal('actual') }} as {{ adapter.quote('actual_or_expected') }}
    from (
      {{ main_sql }}
    ) _dbt_internal_unit_test_actual
  ),
  dbt_internal_unit_test_expected as (
    select {{ names }}, {{ dbt.string_literal('expected') }} as {{ adapter.quote('actual_or_expected') }}
    from (
      {{ expected_fixture_sql }}
    ) _dbt_internal_unit_test_expected
  )
  select * from dbt_internal_unit_test_actual
  union all
  select * from dbt_internal_unit_test_expected
{%- endmacro %}
