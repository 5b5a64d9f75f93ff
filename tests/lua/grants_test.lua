--- lua/run/grants.lua: which statements are portable grants, and what becomes of them.

local grants = require "run.grants"
local t = require "tap"

local function becomes(sql, expected)
  t.test(sql, function() t.eq((grants.translate(sql)), expected) end)
end

local function stays(sql)
  t.test(sql, function()
    local same, translated = grants.translate(sql)
    t.eq(same, sql)
    t.eq(#translated, 0)
  end)
end

-- The two of the documentation.
becomes('grant select on "db"."reporting"."orders" to role analytics',
  'grant select on "db"."reporting"."orders" to analytics')
becomes("grant select on schema reporting to role finance",
  "grant usage on schema reporting to finance;\n" ..
  "grant select on all tables in schema reporting to finance;\n" ..
  "alter default privileges in schema reporting grant select on tables to finance")
becomes("revoke select on schema reporting from role finance",
  "revoke usage on schema reporting from finance;\n" ..
  "revoke select on all tables in schema reporting from finance;\n" ..
  "alter default privileges in schema reporting revoke select on tables from finance")

-- Their variations.
becomes("GRANT Select , INSERT ON TABLE a.b TO ROLE x, role \"Y z\", public WITH GRANT OPTION;",
  'grant select, insert on table a.b to x, "Y z", public with grant option;')
becomes("grant select on schema reporting to finance",
  (grants.translate("grant select on schema reporting to role finance")))
becomes("grant select, usage on schema a, b to role r with grant option",
  "grant usage on schema a, b to r with grant option;\n" ..
  "grant select on all tables in schema a, b to r with grant option;\n" ..
  "alter default privileges in schema a, b grant select on tables to r with grant option")
becomes("grant usage on schema a to role r", "grant usage on schema a to r")
becomes("grant all on schema a to role r", "grant all on schema a to r")
becomes("grant all privileges on t to role r", "grant all privileges on t to r")
becomes("grant select on view v to role r", "grant select on table v to r")
becomes("grant select on all tables in schema s to role r", "grant select on all tables in schema s to r")
becomes("revoke grant option for select on t from user u cascade", "revoke grant option for select on t from u cascade")
becomes("-- who\ngrant select /* all of it */ on t\n  to role r -- yes", "grant select on t to r")
becomes("grant select on t to role role", "grant select on t to role")
becomes('grant select on "to role x" to role r', 'grant select on "to role x" to r')
becomes("select 1; grant select on t to role a;\nselect ';'", "select 1; grant select on t to a;\nselect ';'")

-- What PostgreSQL takes as it is, and what is no grant.
stays "grant select on t to analytics"
stays "grant select on t to role"
stays "grant usage on schema reporting to finance"
stays "grant select on t to group g"
stays "grant analyst to role_of_mine"
stays "grant select (a, b) on t to role r"
stays "select 'grant select on t to role a'"
stays 'comment on table t is \'revoke\'; insert into t values (\'; grant select on t to role a;\')'
stays "create function f() returns void language sql as $$ ; grant select on t to role a; $$"
stays "create function f() returns void language sql as $b$ $$; grant select on t to role a; $b$"
stays "do $$ begin grant select on t to a; end $$"
stays "grant select on t to role a b"
stays "-- grant select on t to role a"
stays "/* ; grant select on t to role a; */ select 1"
stays "with x as (select 1) select * from x -- grant"

t.test("the statements of a text", function()
  t.eq(grants.split("vacuum a;; -- b;\n vacuum \"b;c\"; select ';', $$;$$, E'\\';' ; /* ; */"),
    { "vacuum a;", "-- b;\n vacuum \"b;c\";", "select ';', $$;$$, E'\\';' ;" })
  t.eq(grants.split(" "), {})
end)

t.test("what holds no statement", function()
  for _, sql in ipairs { "", " \n", ";", "-- a\n;", "/* a /* b */ */ ; ;" } do t.eq(grants.is_empty(sql), true, sql) end
  for _, sql in ipairs { "select 1", "-- a\nselect 1", ";;x", "'-- a'" } do t.eq(grants.is_empty(sql), false, sql) end
end)
