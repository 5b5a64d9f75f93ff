--- Portable grants: `grant select on {{ this }} to role analytics` and `grant select on schema reporting
-- to role finance`, which other databases take as they stand, written as PostgreSQL takes them.
--
-- A statement is translated when it is exactly a grant or a revoke, and PostgreSQL would refuse it as it
-- is: the word `role` or `user` before a grantee, or privileges of tables on a schema. Everything else,
-- comments included, is left alone to the byte.

local lpeg = require "lpeg"

local M = {}

local P, R, S, V, C, Cc, Cg, Cp, Ct, Cmt = lpeg.P, lpeg.R, lpeg.S, lpeg.V, lpeg.C, lpeg.Cc, lpeg.Cg, lpeg.Cp,
  lpeg.Ct, lpeg.Cmt

-- Lexis ------------------------------------------------------------------------------------------

local line_comment = P "--" * (1 - S "\r\n") ^ 0
local block_comment = P { "/*" * ((1 - (P "/*" + "*/")) + V(1)) ^ 0 * "*/" }
local gap = (S " \t\r\n\f\v" + line_comment + block_comment) ^ 0

local letter = R("az", "AZ", "\128\255") + "_"
local word_end = -(letter + R "09" + "$")

-- Any case, whole word, and the gap behind it.
local function word(text)
  local p = P(true)
  for c in text:gmatch "." do
    p = p * (c:lower() ~= c:upper() and S(c:lower() .. c:upper()) or P(c))
  end
  return p * word_end * gap
end

-- `words "all tables in schema"`
local function words(text)
  local p = P(true)
  for w in text:gmatch "%S+" do p = p * word(w) end
  return p
end

local single_quoted = P "'" * (1 - P "'" + "''") ^ 0 * "'"
local escape_quoted = S "eE" * "'" * (P "\\" * 1 + (1 - S "'\\") + "''") ^ 0 * "'"
local double_quoted = P '"' * (1 - P '"' + '""') ^ 1 * '"'
-- $$...$$ and $tag$...$tag$
local dollar_quoted = Cmt(C("$" * (letter * (letter + R "09") ^ 0) ^ -1 * "$"), function(text, at, tag)
  local _, stop = text:find(tag, at, true)
  return stop and stop + 1 or #text + 1
end) / 0

local name = double_quoted + letter * (letter + R "09" + "$") ^ 0
local dotted = name * (gap * "." * gap * name) ^ 0
local comma = "," * gap

-- Grammar ----------------------------------------------------------------------------------------

local function several(item) return Ct(item * (comma * item) ^ 0) end

-- `all privileges` and `select`, without the word `on` that ends the list
local plain_privilege = (words "all privileges" * Cc "all privileges") + (word "all" * Cc "all")
  + (C(letter * (letter + R "09") ^ 0) * gap / string.lower) - word "on"

-- What may be granted on, as PostgreSQL writes it. `view` is no word of PostgreSQL's here.
local kinds = (words "all tables in schema" * Cc "all tables in schema")
  + (words "all views in schema" * Cc "all tables in schema")
  + (words "all sequences in schema" * Cc "all sequences in schema")
  + (words "all functions in schema" * Cc "all functions in schema")
  + (words "materialized view" * Cc "table") + (word "table" * Cc "table") + (word "view" * Cc "table")
  + (word "schema" * Cc "schema") + (word "database" * Cc "database") + (word "sequence" * Cc "sequence")
local target = Ct(Cg(kinds, "kind") ^ -1 * Cg(several(C(dotted) * gap), "names"))

-- `role` is a name, too: `to role` alone grants to the role of that name.
local keyword = word "role" + word "user" + word "group"
local tail = P ";" + word "with" + word "granted" + word "cascade" + word "restrict" + -1
local grantee = Ct((Cg(C(keyword), "keyword") * #(name - tail)) ^ -1 * Cg(C(name), "name") * gap)
local grantees = several(grantee)

local finish = (P ";" * gap) ^ 0 * -1

local grant = Ct(gap * Cg(word "grant" * Cc "grant", "verb") * Cg(several(plain_privilege), "privileges")
  * word "on"
  * Cg(target, "target") * word "to" * Cg(grantees, "grantees")
  * Cg(words "with grant option" * Cc(true), "option") ^ -1 * finish)
local revoke = Ct(gap * Cg(word "revoke" * Cc "revoke", "verb") * Cg(words "grant option for" * Cc(true), "option") ^ -1
  * Cg(several(plain_privilege), "privileges") * word "on" * Cg(target, "target")
  * word "from" * Cg(grantees, "grantees")
  * Cg((word "cascade" * Cc "cascade") + (word "restrict" * Cc "restrict"), "behaviour") ^ -1 * finish)
local statement = grant + revoke

-- Statements of a text: {from, to} pairs, the semicolon included.
local token = escape_quoted + single_quoted + double_quoted + dollar_quoted + line_comment + block_comment
  + letter * (letter + R "09" + "$") ^ 0 + (1 - P ";")
local pieces = Ct(Ct(Cp() * (token ^ 1 * P ";" ^ -1 + ";") * Cp()) ^ 0)

-- Translation ------------------------------------------------------------------------------------

local table_privileges = { select = true, insert = true, update = true, delete = true, truncate = true,
  references = true, trigger = true }
local schema_privileges = { usage = true, create = true }

local function join(items) return table.concat(items, ", ") end

local function grantee_names(parsed)
  local names, worded = {}, false
  for i, g in ipairs(parsed.grantees) do
    local keyword_text = g.keyword and g.keyword:lower():match "^%a+"
    worded = worded or keyword_text == "role" or keyword_text == "user"
    names[i] = g.name
  end
  return join(names), worded
end

-- One statement from its parts.
local function build(parsed, privileges, on, to)
  local out = { parsed.verb }
  if parsed.verb == "revoke" and parsed.option then out[#out + 1] = "grant option for" end
  out[#out + 1] = join(privileges)
  out[#out + 1] = "on " .. on
  out[#out + 1] = (parsed.verb == "grant" and "to " or "from ") .. to
  if parsed.verb == "grant" and parsed.option then out[#out + 1] = "with grant option" end
  if parsed.behaviour then out[#out + 1] = parsed.behaviour end
  return table.concat(out, " ")
end

-- Privileges of tables on schemas: on the schema itself, on what is in it and on what will be.
local function on_schema(parsed, to)
  local on_tables, on_schemas = {}, {}
  for _, p in ipairs(parsed.privileges) do
    if table_privileges[p] then
      on_tables[#on_tables + 1] = p
    elseif schema_privileges[p] then
      on_schemas[#on_schemas + 1] = p
    else
      return nil
    end
  end
  if #on_tables == 0 then return nil end
  local usage = false
  for _, p in ipairs(on_schemas) do usage = usage or p == "usage" end
  if not usage then table.insert(on_schemas, 1, "usage") end
  local names = join(parsed.target.names)
  local future = build(parsed, on_tables, "tables", to)
  return {
    build(parsed, on_schemas, "schema " .. names, to),
    build(parsed, on_tables, "all tables in schema " .. names, to),
    "alter default privileges in schema " .. names .. " " .. future,
  }
end

--- One statement, or nil when PostgreSQL takes it as it stands or it is no plain grant or revoke.
---@param text string
---@return string|nil translation several statements joined with "; "
local function translate_statement(text)
  local parsed = statement:match(text)
  if not parsed then return nil end
  local to, worded = grantee_names(parsed)
  local kind = parsed.target.kind
  if kind == "schema" then
    local statements = on_schema(parsed, to)
    if statements then return table.concat(statements, ";\n") end
  end
  if not worded then return nil end
  local on = join(parsed.target.names)
  if kind then on = kind .. " " .. on end
  return build(parsed, parsed.privileges, on, to)
end

--- Translates the portable grants of a text of one or more statements. Does not wait.
---@param sql string
---@return string sql the same text when nothing was translated
---@return {from: string, to: string}[] translated what became what, for the log
function M.translate(sql)
  local translated = {}
  local lower = sql:lower()
  if not lower:find("grant", 1, true) and not lower:find("revoke", 1, true) then return sql, translated end
  local out = {}
  for _, piece in ipairs(pieces:match(sql)) do
    local text = sql:sub(piece[1], piece[2] - 1)
    local better = translate_statement(text)
    if better then
      translated[#translated + 1] = { from = (text:gsub("^%s+", ""):gsub("[%s;]+$", "")), to = better }
      text = text:match "^%s*" .. better .. (text:match "(;%s*)$" or "")
    end
    out[#out + 1] = text
  end
  if #translated == 0 then return sql, translated end
  return table.concat(out), translated
end

--- The statements of a text, each with its semicolon; those that are empty are left out.
---@param sql string
---@return string[]
function M.split(sql)
  local list = {}
  for _, piece in ipairs(pieces:match(sql)) do
    local text = sql:sub(piece[1], piece[2] - 1)
    if not M.is_empty(text) then list[#list + 1] = (text:match("^%s*(.-)%s*$")) end
  end
  return list
end

local nothing = gap * (P ";" * gap) ^ 0 * -1

--- Whether a text holds no statement: blanks, comments and semicolons only.
---@param sql string
---@return boolean
function M.is_empty(sql)
  return nothing:match(sql) ~= nil
end

return M
