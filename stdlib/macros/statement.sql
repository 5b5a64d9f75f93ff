{# How macros talk to the database. All of it runs on the node's own connection: inside the node's transaction
   when there is one, else each statement commits by itself. `auto_begin` is accepted for dbt's sake; the
   engine alone opens and closes transactions. #}

{% macro statement(name=none, fetch_result=false, auto_begin=true, language='sql') -%}
  {%- if execute -%}
    {%- set text = caller() -%}
    {%- if name == 'main' -%} {%- do write(text) -%} {%- endif -%}
    {%- set table = none -%}
    {%- if language == 'sql' -%}
      {%- set response, table = adapter.execute(text, auto_begin=auto_begin, fetch=fetch_result) -%}
    {%- elif language == 'python' -%}
      {%- set response = submit_python_job(model, text) -%}
    {%- else -%}
      {%- do exceptions.raise_compiler_error("statement: the language is sql or python, not '" ~ language ~ "'") -%}
    {%- endif -%}
    {%- if name is not none -%} {%- do store_result(name, response=response, agate_table=table) -%} {%- endif -%}
  {%- endif -%}
{%- endmacro %}

{# Records a result for work that was done in another way. #}
{% macro noop_statement(name=none, message=none, code=none, rows_affected=none, res=none) -%}
  {%- set text = caller() -%}
  {%- if name == 'main' -%} {%- do write(text) -%} {%- endif -%}
  {%- if name is not none -%}
    {%- do store_raw_result(name, message=message, code=code, rows_affected=rows_affected, agate_table=res) -%}
  {%- endif -%}
{%- endmacro %}

{# Runs a query and returns its rows as a table. Only where `execute` is true. #}
{% macro run_query(sql) -%}
  {%- call statement('run_query_statement', fetch_result=true, auto_begin=false) -%}
    {{ sql }}
  {%- endcall -%}
  {%- do return(load_result('run_query_statement').table) -%}
{%- endmacro %}
