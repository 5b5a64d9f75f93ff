--- Reads templates without compiling them that only call ref, source, config and var with literal arguments,
-- print `this` or `target`, and ask `is_incremental()`, which is false while files are parsed. Most models are
-- like that. Anything else is left to the template engine.

local lpeg = require "lpeg"
local value = require "jinja.value"

local M = {}

local P, R, S, V, C, Cc, Cp, Ct, Cf, Cg = lpeg.P, lpeg.R, lpeg.S, lpeg.V, lpeg.C, lpeg.Cc, lpeg.Cp, lpeg.Ct, lpeg.Cf,
  lpeg.Cg

local none = value.none
local space = S " \t\r\n" ^ 0
local name = C((R("az", "AZ") + "_") * (R("az", "AZ", "09") + "_") ^ 0)
local word_end = -(R("az", "AZ", "09") + "_")

-- Strings with a backslash are the engine's: its escapes are Python's.
local function quoted(q) return P(q) * C((1 - S(q .. "\\")) ^ 0) * P(q) end
local text = quoted "'" + quoted '"'
-- no zeros in front, and nothing beyond 64 bits: those are the engine's
local integer = (P "0" + R "19" * R "09" ^ -17)
local float = R "09" ^ 1 * "." * R "09" ^ 1
local number = C(P "-" ^ -1 * (float + integer)) * -(R("az", "AZ", "09") + S "_.") / function(digits)
  return math.tointeger(digits) or tonumber(digits)
end
local constant = (P "true" + "True") * word_end * Cc(true) + (P "false" + "False") * word_end * Cc(false)
  + (P "none" + "None") * word_end * Cc(none)

local function comma_separated(item)
  return (item * (space * "," * space * item) ^ 0 * (space * ",") ^ -1) ^ -1
end

local function set_pair(d, k, v)
  d[k] = v
  return d
end

local literal = P {
  "value",
  value = text + number + constant + V "list" + V "dict",
  list = Ct("[" * space * comma_separated(V "value") * space * "]") / value.list,
  dict = Cf(Cc(0) / function() return value.dict() end
    * ("{" * space * comma_separated(Cg(V "pair")) * space * "}"), set_pair),
  pair = text * space * ":" * space * V "value",
}

local function argument(positional, keyword, value_)
  return { positional = positional, keyword = keyword, value = value_ }
end

local keyword = name * space * "=" * -P "=" * space * literal / function(k, v) return argument(false, k, v) end
local positional = literal / function(v) return argument(true, nil, v) end
local arguments = Ct(comma_separated(keyword + positional))
local call = Ct(Cg(Cp(), "pos") * Cg(C(P "ref" + "source" + "config" + "var"), "name") * space * "(" * space
  * Cg(arguments, "args") * space * ")")

local plain = (P(1) - P "{") ^ 1 + P "{" * -S "{%#"
local comment = P "{#" * (P(1) - P "#}") ^ 0 * "#}"
local path = (P "this" + "target") * word_end * ("." * name / 0) ^ 0
local expression = P "{{" * P "-" ^ -1 * space * (call + path) * space * P "-" ^ -1 * "}}"

local function tag(inside) return P "{%" * P "-" ^ -1 * space * inside * space * P "-" ^ -1 * "%}" end
local asks = P "is_incremental" * space * "(" * space * ")"
local body = P {
  "body",
  body = (plain + comment + expression + V "conditional") ^ 0,
  -- what stands under a condition that is false is read, and forgotten
  conditional = tag(P "if" * space * asks) * (V "body" / 0) * (tag "else" * V "body") ^ -1 * tag "endif",
}
local document = Ct(body) * -1

--- A call with literal arguments.
---@class dex.LiteralCall
---@field name "ref"|"source"|"config"|"var"
---@field args {positional: boolean, keyword: string|nil, value: any}[]
---@field pos integer byte position in the source

--- The calls of a template, or nil when it has anything else for Jinja to do. `incremental` in the list tells
--- whether it asks is_incremental().
---@param source string
---@return dex.LiteralCall[]|{incremental: boolean|nil}|nil
function M.calls(source)
  if not source:find("{[{%%#]") then return {} end
  local asked = source:find("is_incremental", 1, true)
  if not asked and source:find("{%", 1, true) then return nil end
  local calls = document:match(source)
  if calls and asked then calls.incremental = true end
  return calls
end

local one_call = space * call * space * -1

--- The call in a text that is nothing but a call, such as the `ref('x')` of an exposure; nil otherwise.
---@param source string
---@return dex.LiteralCall|nil
function M.call(source)
  return one_call:match(source)
end

return M
