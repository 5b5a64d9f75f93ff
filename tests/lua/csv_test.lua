--- dex.csv (engine/base/csv.c) and lua/run/csv.lua: names and types of a CSV file, and what COPY gets of it.

local csv = require "run.csv"
local fs = require "dex.fs"
local t = require "tap"

local path = ("%s/dex-csv-%s.csv"):format(require("dex.env").get("TMPDIR") or "/tmp", require("dex.uuid")())

local function scan(text, opts)
  fs.write(path, text)
  opts = opts or {}
  return csv.scan(path, { delimiter = opts.delimiter or ",", text = opts.text or {} })
end

-- What COPY would be sent.
local function sent(text, opts)
  local found = scan(text, opts)
  local source = csv.source(path, found)
  local out = {}
  if type(source) == "table" then
    out[1] = fs.read(source.file):sub(source.from + 1)
  else
    for piece in source do out[#out + 1] = piece end
  end
  found.scan:close()
  return table.concat(out), found.plain
end

local function types(text, opts)
  local found = scan(text, opts)
  found.scan:close()
  return table.concat(found.types, " ")
end

-- The type of a column, one cell a line.
local function is(cells, expected)
  t.test(cells:gsub("\n", " | ") .. " is " .. expected, function() t.eq(types("x\n" .. cells .. "\n"), expected) end)
end

is("1\n-2\n+3", "integer")
is("2147483647\n-2147483648", "integer")
is("2147483648", "bigint")
is("9223372036854775808", "numeric")
is("1\n\"\"\nnull\nNULL", "integer")
is("1.0\n2.", "integer")
is("1.5\n2", "float8")
is("1e5", "float8")
is("nan\n1", "float8")
is("$5\n7%\n\"1,234\"", "integer")
is("- 5", "text")
is("0x10", "text")
is("1\na", "text")
is("2016-09-01\n2016-9-1", "date")
is("2015-02-29", "text")
is("2016-13-01", "text")
is("2016-09-01 15:01:00\n2016-9-1 5:1:0", "timestamp without time zone")
is("2016-09-01 15:01:00.000", "text")
is("2016-09-01T15:01:00\n2016-09-01T15:01:00.5Z\n20160901T150100", "timestamp without time zone")
is("2016-09-01\n2016-09-01 15:01:00", "text")
is("2016-09-01 24:00:00", "text")
is("true\nFALSE\n\"\"", "boolean")
is("true\n1", "text")
is("12:30", "text")

t.test("a column without values is integer, as with dbt", function()
  t.eq(types "a,b\n,\n", "integer integer")
  t.eq(types "a,b\n", "integer integer")
end)

t.test("a column whose type is given is not looked at", function()
  t.eq(types("a,b\n1,2\n", { text = { b = true } }), "integer text")
end)

t.test("names: kept as they are, letters for empty ones, numbers for repeated ones", function()
  local found = scan "ID,Airport Name,\"a\"\"b\",,ID\n1,2,3,4,5\n"
  found.scan:close()
  t.eq(found.columns, { "ID", "Airport Name", 'a"b', "d", "ID_2" })
end)

local function plainly(name, text, expected)
  t.test(name .. ": sent as it is", function()
    local got, plain = sent(text)
    t.eq(got, expected)
    t.eq(plain, true)
  end)
end

local function rewritten(name, text, expected, opts)
  t.test(name .. ": rewritten", function()
    local got, plain = sent(text, opts)
    t.eq(got, expected)
    t.eq(plain, false)
  end)
end

plainly("quotes and line ends in cells", 'a,b\n"x,""y""\nz",1\n', '"x,""y""\nz",1\n')
plainly("no line end at the end", "a,b\nx,1", "x,1")
plainly("a byte order mark", "\239\187\191a,b\nx,1\n", "x,1\n")
plainly("CR LF", "a,b\r\nx,1\r\n", "x,1\r\n")
plainly("another letter", "a,b\n\195\164,\230\151\165\n", "\195\164,\230\151\165\n")

rewritten("the word null", "a,b\nnull,1\nx,NULL\n", ",1\nx,\n")
rewritten("a quoted empty cell", 'a,b\n"",1\nx,2\n', ",1\nx,2\n")
rewritten("blanks alone", "a,b\n  ,1\nx,2\n", ",1\nx,2\n")
rewritten("numbers with signs", 'a\n"1,234"\n$5\n7%\n-$8\n', "1234\n5\n7\n-8\n")
rewritten("whole numbers with a dot", "a\n1.0\n2.00\n", "1\n2\n")
rewritten("a quote inside a cell", 'a,b\n5" pipe,"x"y\n', '"5"" pipe",xy\n')
rewritten("an offset from UTC", "a\n2016-01-01T00:10:00+03:30\n2016-12-31T23:30:00-02:00\n",
  "2015-12-31 20:40:00\n2017-01-01 01:30:00\n")
rewritten("a lone carriage return", "a,b\rx,1\ry,2\r", "x,1\ny,2\n")
rewritten("mixed line ends", "a,b\nx,1\r\ny,2\n", "x,1\ny,2\n")
rewritten("CR LF in a cell", 'a\r\n"x\r\ny"\r\n', '"x\ny"\n')
rewritten("a blank line", "a,b\nx,1\n\ny,2\n", "x,1\n,\ny,2\n")
rewritten("what ends a COPY", "a\nx\n\\.\n", 'x\n"\\."\n')
rewritten("another delimiter", "a;b\nx,y;null\n", "x,y;\n", { delimiter = ";" })

t.test("many rows, in steps", function()
  local rows = {}
  for i = 1, 200000 do rows[i] = ("%d,%q,2020-01-01,%s"):format(i, "name " .. i, i % 2 == 0 and "true" or "") end
  local got, plain = sent("id,name,day,flag\n" .. table.concat(rows, "\n") .. "\n")
  t.eq(plain, true)
  t.eq(#got, #table.concat(rows, "\n") + 1)
  rows[7] = "7,null,2020-01-01,"
  got, plain = sent("id,name,day,flag\n" .. table.concat(rows, "\n") .. "\n")
  t.eq(plain, false)
  t.eq(select(2, got:gsub("\n", "")), 200000)
end)

local function fails(name, text, pattern, line, code)
  t.test(name, function()
    local e = t.raises(function() scan(text) end, pattern)
    t.eq(e.line, line)
    t.eq(e.file, path)
    t.eq(e.code, code)
  end)
end

fails("a row that is too short", "a,b,c\n1,2,3\n4,5\n", "this row has 2 cells, and the header has 3", 3, 160)
fails("a row that is too long, behind one of several lines", 'a,b\n"x\ny",1\n2,3,4\n',
  "3 cells, and the header has 2", 4, 160)
fails("a quote that never ends", 'a,b\n1,2\n"x,3\n4,5\n', "begins here and never ends", 3, 161)
fails("an empty file", "", "no header", 1, 162)
fails("a blank first line", "\na,b\n", "no header", 1, 162)

t.test("a missing file", function()
  fs.remove_tree(path)
  local e = t.raises(function() csv.scan(path, { delimiter = ",", text = {} }) end, "open")
  t.eq(e.code, 110)
end)
