{# Roles belong to the whole server and outlive every schema, so each is made only where it is missing. #}
{% macro create_roles(names) %}
do $$
begin
  {%- for name in names %}
  if not exists (select from pg_roles where rolname = '{{ name }}') then
    create role {{ adapter.quote(name) }};
  end if;
  {%- endfor %}
end
$$
{% endmacro %}
