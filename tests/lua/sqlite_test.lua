local t = require "tap"
local fs = require "dex.fs"
local loop = require "dex.loop"
local sqlite = require "dex.sqlite"
local watch = require "dex.watch"
local value = require "jinja.value"

local root = os.tmpname()
os.remove(root)
fs.mkdirs(root)

local function open(name, opts)
  return sqlite.open(root .. "/" .. name, opts or { timeout = 0.2 })
end

-- The code of what fn(...) raises, and its words.
local function code_of(fn, ...)
  local ok, e = pcall(fn, ...)
  if ok then return nil end
  return e.code, tostring(e.message)
end

t.test("values come back by their types", function()
  local db <close> = open "types.db"
  db:script "create table x (v)"
  for _, v in ipairs { 1, -5, math.maxinteger, 1.5, 2.0, "text", "", "a\0b", "ä" } do
    t.eq(db:value("select ?1", v), v)
    db:exec("insert into x values (?1)", v)
  end
  t.eq(db:value("select ?1", nil), nil)
  t.eq(db:value "select ?1", nil)
  t.eq(db:value("select ?1", value.none), nil)
  t.eq(db:value("select ?1", true), 1)
  local kinds = {}
  for row in db:each "select typeof(v) as kind from x" do kinds[#kinds + 1] = row.kind end
  t.eq(kinds, { "integer", "integer", "integer", "real", "real", "text", "text", "text", "text" })
  t.eq(db:row "select 1 as a, null as b, 'x' as c", { a = 1, c = "x" })
  t.eq(db:row "select 1 where 0", nil)
  t.eq(db:rows "select 1 as n union all select 2", { { n = 1 }, { n = 2 } })
end)

t.test("a text is never a part of the statement", function()
  local db <close> = open "inject.db"
  db:script "create table x (v)"
  db:exec("insert into x values (?1)", "'); drop table x; --")
  t.eq(db:value "select v from x", "'); drop table x; --")
end)

t.test("changes, ids, transactions", function()
  local db <close> = open "changes.db"
  db:script "create table x (id integer primary key, v); create index xv on x (v)"
  t.eq(db:exec "insert into x (v) values (1), (2), (3)", 3)
  t.eq(db:last_id(), 3)
  t.eq(db:exec("update x set v = v + 1 where id > ?1", 1), 2)
  t.eq(db:in_transaction(), false)
  db:exec "begin"
  t.eq(db:in_transaction(), true)
  db:exec "delete from x"
  db:exec "rollback"
  t.eq(db:value "select count(*) from x", 3)
end)

t.test("loops within loops of the same statement, left at any row", function()
  local db <close> = open "loops.db"
  db:script "create table x (n); insert into x values (1), (2), (3)"
  local seen = {}
  for a in db:each "select n from x order by n" do
    for b in db:each "select n from x order by n" do
      seen[#seen + 1] = a.n * 10 + b.n
      if b.n == 2 then break end
    end
  end
  t.eq(seen, { 11, 12, 21, 22, 31, 32 })
  pcall(function()
    for _ in db:each "select n from x" do error "out" end
  end)
  db:script "drop table x" -- no statement reads it any more
end)

t.test("mistakes are told", function()
  local db <close> = open "mistakes.db"
  t.eq(code_of(db.exec, db, "selec 1"), 901)
  t.raises(function() db:exec("select 1; select 2") end, "one statement")
  t.raises(function() db:exec "" end, "a statement")
  t.raises(function() db:exec("select ?1", 1, 2) end, "takes 1 values, not 2")
  t.raises(function() db:exec("select ?1", {}) end, "a table cannot be kept")
  db:script "create table x (n integer not null)"
  t.eq(code_of(db.exec, db, "insert into x values (null)"), 901)
  t.eq(db:exec("insert into x values (?1)", 1), 1) -- and what went wrong is over
  db:close()
  db:close()
  t.raises(function() db:exec "select 1" end, "closed")
end)

t.test("a loop outlives neither its database nor a memory of it", function()
  local db = open "gone.db"
  local next_row = db:each "select 1 as n union all select 2"
  t.eq(next_row(), { n = 1 })
  db:close()
  t.eq(next_row(), nil)
end)

t.test("many statements", function()
  local db <close> = open "many.db"
  for i = 1, 500 do t.eq(db:value(("select %d"):format(i)), i) end
  collectgarbage()
  t.eq(db:value "select 1", 1)
end)

t.test("files that are none, that cannot be made, that are locked", function()
  fs.write(root .. "/none.db", ("no database at all "):rep(100))
  local db <close> = open "none.db"
  t.eq(code_of(db.value, db, "select count(*) from sqlite_master"), 653)
  t.eq(code_of(sqlite.open, root .. "/no/where.db", {}), 650)
  local one <close> = open "locked.db"
  local two <close> = open "locked.db"
  one:wal()
  two:wal()
  one:script "create table x (n)"
  one:exec "begin immediate"
  t.eq(code_of(two.exec, two, "begin immediate"), 651)
  t.eq(two:value "select count(*) from x", 0) -- readers do not wait
  one:exec "commit"
  two:exec "begin immediate"
  two:exec "rollback"
  local reader <close> = open("locked.db", { readonly = true })
  t.eq(code_of(reader.exec, reader, "insert into x values (1)"), 650)
end)

t.test("a watcher hears of what another has committed", function()
  local db <close> = open "watched.db"
  local other <close> = open "watched.db"
  db:wal()
  db:script "create table x (n)"
  local watcher <close> = watch.file(root .. "/watched.db")
  local heard = {}
  local task = loop.spawn(function()
    while watcher:wait() do heard[#heard + 1] = db:value "select count(*) from x" end
  end)
  for n = 1, 3 do
    other:exec("insert into x values (?1)", n)
    other:touch()
    repeat loop.sleep(0) until heard[#heard] == n
  end
  watcher:close()
  task:wait()
  t.eq(watcher:wait(), false)
  t.raises(function() watch.file(root .. "/nowhere") end, "cannot watch")
end)

fs.remove_tree(root)
