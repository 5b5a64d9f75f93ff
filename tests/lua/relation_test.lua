--- Relations, columns, result tables and exact numbers as templates use them.

local columns = require "run.column"
local decimal = require "run.decimal"
local jinja = require "jinja"
local relations = require "run.relation"
local t = require "tap"
local tables = require "run.table"
local value = require "jinja.value"

local none = value.none

local rel = relations.create { database = "db", schema = "Sch", identifier = "tab", type = "table" }
local ctx = {
  rel = rel,
  api = value.dict("Relation", relations.class { database = true, schema = true, identifier = false }, "Column",
    columns.class),
  none_type = relations.create { schema = "s", identifier = "x" },
}

local function render(text, more)
  local all = setmetatable(more or {}, { __index = ctx })
  return jinja.render(text, all)
end

-- Relations ----------------------------------------------------------------------------------------

t.test("a relation prints quoted, with the parts that it has", function()
  t.eq(render "{{ rel }}", '"db"."Sch"."tab"')
  t.eq(render "{{ rel.include(database=false) }} {{ rel.include(false, false) }}", '"Sch"."tab" "tab"')
  t.eq(render "{{ rel.quote(schema=false, identifier=false) }}", '"db".Sch.tab')
  t.eq(render "{{ rel.without_identifier() }} {{ rel.without_identifier().identifier }}", '"db"."Sch" None')
  t.eq(render "{{ api.Relation.create(identifier='a\"b') }}", 'a"b')
  t.eq(tostring(relations.create { identifier = 'a"b' }), '"a""b"')
  t.eq(render "{{ [rel] }} {{ rel ~ '!' }}", '[<PostgresRelation "db"."Sch"."tab">] "db"."Sch"."tab"!')
end)

t.test("its fields", function()
  t.eq(render "{{ rel.database }} {{ rel.schema }} {{ rel.identifier }} {{ rel.name }} {{ rel.table }} {{ rel.type }}",
    "db Sch tab tab tab table")
  t.eq(render "{{ rel.is_table }} {{ rel.is_view }} {{ rel.is_cte }} {{ none_type.database }} {{ none_type.type }}",
    "True False False None None")
  t.eq(render "{{ rel.MaterializedView }} {{ api.Relation.View }} {{ rel['schema'] }} {{ rel.path.schema }}",
    "materialized_view view Sch Sch")
  t.eq(render "{{ rel.no_such is defined }} {{ rel.quote_policy }} {{ rel.can_be_renamed }}",
    "False {'database': True, 'schema': True, 'identifier': True} True")
  t.eq({ rel.schema, rel.name, rel.is_view, rel.no_such }, { "Sch", "tab", false, nil })
  t.eq(rel:render(), '"db"."Sch"."tab"')
  t.eq("select * from " .. rel, 'select * from "db"."Sch"."tab"')
end)

t.test("dbt_utils asks whether it is a relation", function()
  t.eq(render "{{ rel is mapping and rel.get('metadata', {}).get('type', '').endswith('Relation') }}", "True")
end)

t.test("changes give another relation", function()
  t.eq(render "{{ rel.incorporate(path={'identifier': 'x', 'schema': none}, type='view') }} {{ rel }}",
    '"db"."x" "db"."Sch"."tab"')
  t.eq(render "{{ rel.incorporate(type='view').type }} {{ rel.replace_path(identifier='y') }}", 'view "db"."Sch"."y"')
  t.eq(render "{{ rel == rel.incorporate(type='table') }} {{ rel == rel.incorporate(type='view') }} {{ rel == 'x' }}",
    "True False False")
  t.eq(tostring(relations.with(rel, { limit = 0 })), '(select * from "db"."Sch"."tab" where false limit 0) '
    .. "_dbt_limit_subq_tab")
end)

t.test("information_schema", function()
  t.eq(render "{{ rel.information_schema('columns') }} {{ none_type.information_schema() }}",
    '"db".INFORMATION_SCHEMA.columns INFORMATION_SCHEMA')
  t.eq(render "{{ rel.information_schema().replace(information_schema_view='SCHEMATA') }}",
    '"db".INFORMATION_SCHEMA.SCHEMATA')
end)

t.test("the class", function()
  t.eq(render "{{ api.Relation.create(database='d', schema='s', identifier='i', type='view') }}", '"d"."s".i')
  t.eq(render "{{ api.Relation.create(schema='s', identifier='i', quote_policy={'identifier': true}) }}", '"s"."i"')
  t.eq(render "{{ api.Relation.add_ephemeral_prefix('x') }} {{ api.Relation.scd_args(['a'], 'u') }}",
    "__dbt__cte__x ['a', 'u']")
  t.eq(render "{{ api.Relation.get_relation_type('view') }} {{ api.Relation.scd_args('a', 'u') }} {{ \z
    rel.matches(schema='Sch') }}",
    "view ['a', 'u'] True")
  t.raises(function() render "{{ api.Relation.get_relation_type('wood') }}" end, "'wood' is no kind of relation")
  t.raises(function() render "{{ rel.matches() }}" end, "matched by its database, schema or identifier")
  t.eq(render "{{ api.Column('a', 'int') == api.Column('a', 'int') }} {{ api.Column('a', 'int') == 'a' }}",
    "True False")
end)

t.test("names that PostgreSQL would cut, and parts that are no text", function()
  local e = t.raises(function() relations.create { identifier = ("x"):rep(64), type = "table" } end, "longer than 63")
  t.eq(e.code, 243)
  t.ok(relations.create { identifier = ("x"):rep(64) })
  t.raises(function() render "{{ api.Relation.create(identifier=3) }}" end, "must be text, not 3")
end)

t.test("matching is exact for quoted parts, and says when only the case differs", function()
  t.eq(relations.matches(rel, { schema = "Sch", identifier = "tab" }), true)
  t.eq(relations.matches(rel, { schema = "other", identifier = "tab" }), false)
  local e = t.raises(function() relations.matches(rel, { schema = "sch", identifier = "tab" }) end, "only in the case")
  t.eq(e.code, 423)
  local plain = relations.create { schema = "Sch", identifier = "Tab",
    quoting = { schema = false, identifier = false } }
  t.eq(relations.matches(plain, { schema = "sch", identifier = "tab" }), true)
end)

-- Columns ------------------------------------------------------------------------------------------

t.test("columns", function()
  t.eq(render "{% set c = api.Column('n', 'numeric', none, 10, 2) %}{{ c.name }} {{ c.quoted }} {{ c.data_type }} {{ \z
    c.dtype }}",
    'n "n" numeric(10,2) numeric')
  t.eq(render "{% set c = api.Column('v', 'character varying', 5) %}{{ c.data_type }} {{ c.string_size() }} {{ \z
    c.is_string() }}",
    "character varying(5) 5 True")
  t.eq(render "{{ api.Column('v', 'character varying').data_type }} {{ api.Column('v', 'text').string_size() }}",
    "character varying 256")
  t.eq(render "{{ api.Column('i', 'bigint').is_number() }} {{ api.Column('f', 'float8').is_float() }} {{ \z
    api.Column('d', 'date').is_number() }}",
    "True True False")
  t.eq(render "{{ api.Column('a', 'varchar', 5).can_expand_to(api.Column('b', 'varchar', 6)) }}", "True")
  t.eq(render "{{ api.Column.translate_type('string') }} {{ api.Column.numeric_type('numeric', 28, 6) }} {{ \z
    api.Column.string_type(3) }}",
    "TEXT numeric(28,6) character varying(3)")
  t.eq(render "{{ api.Column.from_description('x', 'numeric(3,1)').data_type }} {{ api.Column.create('x', \z
    'STRING').dtype }}",
    "numeric(3,1) TEXT")
  t.eq(render "{{ api.Column('x', 'int') }}",
    "PostgresColumn(column='x', dtype='int', char_size=None, numeric_precision=None, numeric_scale=None)")
  t.raises(function() render "{{ api.Column('x', 'int').string_size() }}" end, "column 'x', which is of type int")
end)

-- Exact numbers ------------------------------------------------------------------------------------

t.test("exact numbers print as the database writes them, and calculate", function()
  local more = { a = decimal.parse "1.50", b = decimal.parse "-2.75", big = decimal.parse "12345678901234567890123",
    zero = decimal.parse "0.00" }
  t.eq(render("{{ a }} {{ a + 1 }} {{ a * b }} {{ a - b }} {{ -a }} {{ a / 2 }}", more),
    "1.50 2.50 -4.1250 4.25 -1.50 0.75")
  t.eq(render("{{ a < 2 }} {{ 2 < a }} {{ b < a }} {{ a == 1.5 }} {{ a > 1.4 }}", more), "True False True True True")
  t.eq(render("{{ a | int }} {{ b | int }} {{ a | float }} {{ b | round(1) }} {{ b | abs }} {{ [a] }}", more),
    "1 -2 1.5 -2.8 2.75 [Decimal('1.50')]")
  t.eq(render("{{ big }} {{ big + 1 }} {{ 'yes' if zero else 'no' }} {{ [b, a, 0] | max }}", more),
    "12345678901234567890123 12345678901234567890124 no 1.50")
  t.eq(math.type(decimal.parse "42"), "integer")
  local wide = { a = decimal.parse "123456789012.5", b = decimal.parse "1234567.75",
    c = decimal.parse "0.000000000000000000001" }
  t.eq(render("{{ (a * b) | round | int }} {{ a - b }} {{ c + 1 == 1 }} {{ a + 0.5 }}", wide),
    "152415770233386848 123455554444.75 True 123456789013.0")
  t.ok(decimal.parse "NaN" ~= decimal.parse "NaN")
  t.eq(decimal.parse "-Infinity", -math.huge)
end)

-- Tables -------------------------------------------------------------------------------------------

local printed = {}
local function people()
  return tables.new({ "name", "age", "score" }, { "Text", "Integer", "Number" }, {
    { "Ann", 30, decimal.parse "1.5" }, { "Bob", none, decimal.parse "1234.25" }, { "Cid", 20, none }, { "Ann",
      25, 3 } },
    function(text) printed[#printed + 1] = text end)
end

local function on(text) return render(text, { t = people() }) end

t.test("rows by index, name and attribute", function()
  t.eq(on "{{ t.rows[0][0] }} {{ t.rows[0]['age'] }} {{ t.rows[1].name }} {{ t[-1].age }} {{ t.rows[1].age }}",
    "Ann 30 Bob 25 None")
  t.eq(on "{% for row in t %}{{ row.name }}{{ row[1] }};{% endfor %}", "Ann30;BobNone;Cid20;Ann25;")
  t.eq(on "{% for name, age, score in t.rows %}{{ name }},{% endfor %}", "Ann,Bob,Cid,Ann,")
  t.eq(on "{{ t.rows | length }} {{ t | length }} {{ t.rows[0] }} {{ t.rows[0].values() }} {{ t.rows[0].keys() }}",
    "4 4 <agate.Row: ('Ann', 30, Decimal('1.5'))> ('Ann', 30, Decimal('1.5')) ('name', 'age', 'score')")
  t.eq(on "{{ t.rows[0].dict() }} {{ t.rows[0].get('no', 1) }} {{ t.rows[0].items()[1] }} {{ t.rows[:2] | length }}",
    "{'name': 'Ann', 'age': 30, 'score': Decimal('1.5')} 1 ('age', 30) 2")
  t.eq(on "{{ t.rows[0].no is defined }}{{ t.rows[0]['name'] == t.rows[3]['name'] }} {{ 'Ann' in t.rows[0] }}",
    "FalseTrue True")
  t.eq(on "[{{ t.rows[9] }}{{ t.rows[0]['no'] }}]", "[]", "undefined, as in Jinja")
  local e = t.raises(function() on "{{ t.rows[0].nam + 1 }}" end, "the row has no 'nam'")
  t.eq(e.hint, "did you mean 'name'?")
end)

t.test("columns by index and name", function()
  t.eq(on "{{ t.columns[0].values() }} {{ t.columns['age'].values() }}",
    "('Ann', 'Bob', 'Cid', 'Ann') (30, None, 20, 25)")
  t.eq(on "{{ t.columns | map(attribute='name') | list }} {{ t.column_names }}",
    "['name', 'age', 'score'] ('name', 'age', 'score')")
  t.eq(on "{{ t.columns.age.values_without_nulls() }} {{ t.columns.name.values_distinct() | list }} {{ \z
    t.columns[1].values_sorted() }}",
    "(30, 20, 25) ['Ann', 'Bob', 'Cid'] [20, 25, 30, None]")
  t.eq(on "{% for v in t.columns[0] %}{{ v }}{% endfor %} {{ t.columns[1].index }} {{ t.columns | length }} {{ \z
    t.columns.keys() }}",
    "AnnBobCidAnn 1 3 ('name', 'age', 'score')")
  t.eq(on "{{ t.column_types[0] }}", "<agate.data_types.Text>")
end)

t.test("an empty table is false, and prints nothing", function()
  t.eq(render("{{ 'rows' if e else 'none' }} {{ e.rows | list }} {{ e.columns | length }}", { e = tables.empty() }),
    "none [] 0")
end)

t.test("choosing, sorting, grouping", function()
  t.eq(on "{{ t.select(['age', 'name']).rows[0] }} {{ t.exclude('age').column_names }}",
    "<agate.Row: (30, 'Ann')> ('name', 'score')")
  t.eq(on "{{ t.rename(column_names={'age': 'years'}).column_names }} {{ t.rename(['a', 'b', 'c']).rows[0].b }}",
    "('name', 'years', 'score') 30")
  t.eq(on "{{ t.order_by('age').columns.age.values() }} {{ t.order_by('age', reverse=true).columns.age.values() }}",
    "(20, 25, 30, None) (None, 30, 25, 20)")
  t.eq(on "{{ t.order_by(['name', 'age']).columns.age.values() }}", "(25, 30, None, 20)")
  t.eq(on "{% macro grown(row) %}{{ return(row.age is not none and row.age > 20) }}{% endmacro %}{{ t.where(grown) | \z
    length }}", "2")
  t.eq(on "{{ t.limit(2) | length }} {{ t.limit(1, 3).columns[0].values() }} {{ t.distinct('name') | length }}",
    "2 ('Bob', 'Cid') 3")
  t.eq(on "{% for name, part in t.group_by('name').items() %}{{ name }}={{ part | length }} {% endfor %}",
    "Ann=2 Bob=1 Cid=1 ")
  t.raises(function() on "{{ t.select('nmae') }}" end, "there is no column 'nmae'")
end)

t.test("print_table", function()
  on "{% do t.print_table() %}"
  t.eq(printed[#printed], "| name | age |    score |\n| ---- | --- | -------- |\n| Ann  |  30 |      1.5 |\n"
    .. "| Bob  |     | 1,234.25 |\n| Cid  |  20 |          |\n| Ann  |  25 |        3 |")
  on "{% do t.print_table(max_rows=1, max_columns=1) %}"
  t.eq(printed[#printed], "| name | ... |\n| ---- | --- |\n| Ann  | ... |\n| ...  | ... |")
  on "{% do t.print_csv() %}"
  t.eq(printed[#printed], "name,age,score\nAnn,30,1.5\nBob,,1234.25\nCid,20,\nAnn,25,3")
end)
