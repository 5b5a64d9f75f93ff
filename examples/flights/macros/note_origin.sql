{# Leaves in the catalogue who built a view, where `\d+` and every SQL client show it. #}
{% macro note_origin(relation) %}
comment on {{ model.config.materialized }} {{ relation }} is
  'from {{ model.original_file_path }}, built by dex-lua, run {{ invocation_id }}'
{% endmacro %}
