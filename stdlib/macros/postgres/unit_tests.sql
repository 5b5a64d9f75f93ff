{# The columns of a relation with their types as PostgreSQL prints them, so that rows of arrays, enums and domains can
   be given, too. #}
{% macro postgres__get_columns_for_unit_tests(relation) -%}
  {%- set query -%}
    select attname, format_type(atttypid, atttypmod)
    from pg_catalog.pg_attribute
    where attrelid = to_regclass({{ dbt.string_literal(dbt.escape_single_quotes(relation.include(database=false).render())) }})
      and attnum > 0 and not attisdropped
    order by attnum
  {%- endset -%}
  {%- set columns = [] -%}
  {%- for row in run_query(query) -%} {%- do columns.append(api.Column(row[0], row[1])) -%} {%- endfor -%}
  {%- do return(columns) -%}
{%- endmacro %}
