{# The engine runs a node's hooks itself, by phase, so `pre_hooks` and `post_hooks` are empty inside a
   materialization and one that was written for dbt calls run_hooks without effect. A list of its own is run
   here and now, in the transaction that is open. #}

{% macro run_hooks(hooks, inside_transaction=true) -%}
  {%- for hook in hooks if hook.get('transaction', true) == inside_transaction -%}
    {%- set text = render(hook.get('sql')) | trim -%}
    {%- if text -%}
      {%- call statement(auto_begin=inside_transaction) -%} {{- text -}} {%- endcall -%}
    {%- endif -%}
  {%- endfor -%}
{%- endmacro %}

{# config(post_hook=after_commit("vacuum ...")): the mapping form of a hook, as JSON text. #}
{% macro make_hook_config(sql, inside_transaction) -%}
  {{- tojson({'sql': sql, 'transaction': inside_transaction}) -}}
{%- endmacro %}

{% macro before_begin(sql) -%}
  {{- make_hook_config(sql, inside_transaction=false) -}}
{%- endmacro %}

{% macro in_transaction(sql) -%}
  {{- make_hook_config(sql, inside_transaction=true) -}}
{%- endmacro %}

{% macro after_commit(sql) -%}
  {{- make_hook_config(sql, inside_transaction=false) -}}
{%- endmacro %}
