{# One spelling for the many of an airport's name: "CHICAGO O'HARE INTL ARPT" and "Chicago O'Hare International"
   both become "chicago ohare". #}
{% macro clean_airport_name(name) -%}
  {%- set steps = [
    ("\\(.*\\)|''", ''),
    ('[^a-z0-9]+', ' '),
    ('\\m(international|intl|airport|arpt)\\M', ''),
    ('\\mnatl\\M', 'national'),
    ('\\mwash\\M', 'washington'),
    (' +', ' '),
  ] -%}
  {%- set ns = namespace(sql='lower(' ~ name ~ ')') -%}
  {%- for pattern, replacement in steps -%}
    {%- set ns.sql = "regexp_replace(" ~ ns.sql ~ ", '" ~ pattern ~ "', '" ~ replacement ~ "', 'g')" -%}
  {%- endfor -%}
  trim({{ ns.sql }})
{%- endmacro %}
