{# Functions of the database, from functions/*.sql: `model` is the function's node, and its compiled code the body. #}

{% macro scalar_function_sql(target_relation) -%}
  {%- do return(adapter.dispatch('scalar_function_sql', 'dbt')(target_relation)) -%}
{%- endmacro %}

{% macro default__scalar_function_sql(target_relation) -%}
  {{ scalar_function_create_replace_signature_sql(target_relation) }}
  {{ scalar_function_body_sql() }};
{%- endmacro %}

{% macro scalar_function_create_replace_signature_sql(target_relation) -%}
  {%- do return(adapter.dispatch('scalar_function_create_replace_signature_sql', 'dbt')(target_relation)) -%}
{%- endmacro %}

{% macro default__scalar_function_create_replace_signature_sql(target_relation) -%}
  create or replace function {{ target_relation.render() }} ({{ formatted_scalar_function_args_sql() | trim }})
  returns {{ model.returns.data_type }}
  {{ scalar_function_volatility_sql() | trim }}
  as
{%- endmacro %}

{% macro formatted_scalar_function_args_sql() -%}
  {%- do return(adapter.dispatch('formatted_scalar_function_args_sql', 'dbt')()) -%}
{%- endmacro %}

{% macro default__formatted_scalar_function_args_sql() -%}
  {%- set arguments = [] -%}
  {%- for argument in model.arguments -%}
    {%- do arguments.append(argument.name ~ ' ' ~ argument.data_type) -%}
  {%- endfor -%}
  {{ arguments | join(', ') }}
{%- endmacro %}

{% macro postgres__formatted_scalar_function_args_sql() -%}
  {%- set arguments = [] -%}
  {%- for argument in model.arguments -%}
    {%- set default = argument.get('default_value') -%}
    {%- do arguments.append(argument.name ~ ' ' ~ argument.data_type
      ~ (' default ' ~ default if default is not none else '')) -%}
  {%- endfor -%}
  {{ arguments | join(', ') }}
{%- endmacro %}

{% macro scalar_function_body_sql() -%}
  {%- do return(adapter.dispatch('scalar_function_body_sql', 'dbt')()) -%}
{%- endmacro %}

{% macro default__scalar_function_body_sql() -%}
  $$
    {{ model.compiled_code }}
  $$ language sql
{%- endmacro %}

{% macro scalar_function_volatility_sql() -%}
  {%- do return(adapter.dispatch('scalar_function_volatility_sql', 'dbt')()) -%}
{%- endmacro %}

{% macro default__scalar_function_volatility_sql() -%}
  {%- set words = {'deterministic': 'immutable', 'stable': 'stable', 'non-deterministic': 'volatile'} -%}
  {%- set volatility = model.config.get('volatility') -%}
  {%- if volatility in words -%}
    {{ words[volatility] }}
  {%- elif volatility -%}
    {%- do unsupported_volatility_warning(volatility) -%}
  {%- endif -%}
{%- endmacro %}

{% macro unsupported_volatility_warning(volatility) -%}
  {%- do return(adapter.dispatch('unsupported_volatility_warning', 'dbt')(volatility)) -%}
{%- endmacro %}

{% macro default__unsupported_volatility_warning(volatility) -%}
  {%- do exceptions.warn("function '" ~ model.name ~ "': the volatility '" ~ volatility ~ "' is not known on "
    ~ adapter.type() ~ ' and is left out') -%}
{%- endmacro %}
