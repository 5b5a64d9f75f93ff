--- Safe text: escaping, autoescape, and the filters about HTML.

local classes = require "jinja.classes"
local value = require "jinja.value"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local printing = require "jinja.printing"
local ops = require "jinja.ops"
local fault = require "jinja.fault"

local M = {}

local Markup, markup = classes.Markup, classes.markup
local str = printing.str

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&#34;", ["'"] = "&#39;" }

--- Text with & < > " ' as entities.
function M.escape_text(s) return (s:gsub("[&<>\"']", entities)) end

local function is_markup(x) return type(x) == "table" and getmetatable(x) == Markup end

--- Safe text of any value: safe text as it is, other values printed and escaped.
function M.escape(x)
  if is_markup(x) then return x end
  return markup(M.escape_text(str(x)))
end

--- The printed text of a value inside of autoescape.
function M.escaped_text(x)
  if is_markup(x) then return x.text end
  return M.escape_text(str(x))
end

function M.concat(...) return markup(table.concat(...)) end

local function safe_result(f, result)
  if type(f) == "table" and getmetatable(f) == classes.Macro and type(result) == "string" then return markup(result) end
  return result
end

function M.call(f, ...) return safe_result(f, runtime.call(f, ...)) end
function M.callk(f, ...) return safe_result(f, runtime.callk(f, ...)) end
M.callm = runtime.callm

--- `~` inside of autoescape.
function M.join_markup(items)
  local safe = false
  for i = 1, #items do
    if is_markup(items[i]) then safe = true end
  end
  for i = 1, #items do items[i] = safe and M.escaped_text(items[i]) or str(items[i]) end
  local joined = table.concat(items)
  return safe and markup(joined) or joined
end

-- Filters inside of autoescape: only join and replace look at it.
M.filters = setmetatable({
  join = function(x, sep, attribute)
    local get = attribute ~= nil and attribute ~= value.none and require("jinja.filters_seq").getter(attribute)
    local parts = {}
    for _, item in iterate.iter(x) do parts[#parts + 1] = M.escaped_text(get and get(item) or item) end
    return markup(table.concat(parts, M.escaped_text(sep == nil and "" or sep)))
  end,
  replace = function(x, old, new, count)
    if not is_markup(x) and (is_markup(old) or is_markup(new)) then x = M.escape(x) end
    local replaced = registry.filters.replace(str(x), old, new, count)
    return is_markup(x) and markup(replaced) or replaced
  end,
}, { __index = registry.filters })

-- Markup's operators: what joins safe text is escaped.
Markup.__add = function(a, b)
  if (type(a) == "string" or is_markup(a)) and (type(b) == "string" or is_markup(b)) then
    return markup(M.escaped_text(a) .. M.escaped_text(b))
  end
end
Markup.__mul = function(a, b)
  if is_markup(a) then return markup(ops.mul(a.text, b)) end
  return markup(ops.mul(a, b.text))
end
Markup.__truth = function(m) return m.text ~= "" end

local filter, alias = registry.filter, registry.alias

filter("safe()", function(x) return markup(str(x)) end)
filter("escape()", M.escape)
alias("filter", "e", "escape")
filter("forceescape()", function(x) return markup(M.escape_text(str(x))) end)

local named = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'", nbsp = "\u{A0}", copy = "©", euro = "€",
  hellip = "…", mdash = "—", ndash = "–", laquo = "«", raquo = "»", eacute = "é", uuml = "ü", auml = "ä",
  ouml = "ö", szlig = "ß" }

local function unescape(s)
  return (s:gsub("&(#?[xX]?%w+);", function(name)
    if named[name] then return named[name] end
    local code = name:match("^#(%d+)$")
    code = code and tonumber(code) or name:match("^#[xX](%x+)$") and tonumber(name:match("^#[xX](%x+)$"), 16)
    return code and utf8.char(code) or nil
  end))
end

filter("striptags()", function(x)
  local s = str(x)
  s = s:gsub("<!%-%-.-%-%->", ""):gsub("<[^>]*>", "")
  local words = require("jinja.text").words(s, -1)
  return unescape(table.concat(words, " "))
end)

local function url_quote(s, safe)
  return (s:gsub("[^%w_.~" .. safe .. "-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

filter("urlencode()", function(x)
  if type(x) == "string" or not iterate.iterable(x) or is_markup(x) or value.is_undefined(x) then
    return url_quote(str(x), "/")
  end
  local parts = {}
  local function add(k, v)
    local key, text = url_quote(str(k), ""):gsub("%%20", "+"), url_quote(str(v), ""):gsub("%%20", "+")
    parts[#parts + 1] = key .. "=" .. text
  end
  if value.is_dict(x) then
    for k, v in iterate.items2(x) do add(k, v) end
  else
    for _, pair in iterate.iter(x) do add(iterate.unpack2(pair)) end
  end
  return table.concat(parts, "&")
end)

filter("xmlattr(autospace?)", function(d, autospace)
  if not value.is_dict(d) then return fault.raise("AttributeError", "xmlattr wants a dict") end
  local parts = {}
  for k, v in iterate.items2(d) do
    if v ~= value.none and not value.is_undefined(v) then
      local name = str(k)
      if name:find("[%s/>=]") then
        return fault.value("invalid character in an attribute's name: " .. printing.repr(name))
      end
      parts[#parts + 1] = ('%s="%s"'):format(M.escape_text(name), M.escaped_text(v))
    end
  end
  local text = table.concat(parts, " ")
  if text ~= "" and (autospace == nil or runtime.truth(autospace)) then text = " " .. text end
  return text
end)

-- urlize -----------------------------------------------------------------------------------------

local function trim_url(text, limit)
  if limit and require("jinja.text").len(text) > limit then
    return require("jinja.text").sub(text, 0, limit) .. "..."
  end
  return text
end

local function is_email(s)
  local _, host = s:match("^([^%s@]+)@([^%s@]+)$")
  return host and host:find("^[%w.-]+%.%a[%w-]*$") and not s:find(":", 1, true)
end

local domains = { com = true, net = true, int = true, edu = true, gov = true, org = true, info = true, mil = true }

local function link(middle, limit, attributes, schemes)
  local lower = middle:lower()
  if lower:find("^https?://[%w%[]") or lower:find("^www%.[%w-]+%.") or lower:find("^www%.%w") then
    local href = lower:find("^https?://") and middle or "https://" .. middle
    return ('<a href="%s"%s>%s</a>'):format(href, attributes.rel .. attributes.target, trim_url(middle, limit))
  end
  local host, rest = lower:match("^([%w.-]+)(.*)$")
  local tld = host and host:match("^[%w-]+[%w.-]*%.(%a+)$")
  if tld and domains[tld] and (rest == "" or rest:find("^[:/]")) and not lower:find("@", 1, true) then
    local shown = trim_url(middle, limit)
    return ('<a href="https://%s"%s>%s</a>'):format(middle, attributes.rel .. attributes.target, shown)
  end
  if lower:find("^mailto:") and is_email(middle:sub(8)) then
    return ('<a href="%s">%s</a>'):format(middle, middle:sub(8))
  end
  if is_email(middle) and not lower:find("^www%.") then return ('<a href="mailto:%s">%s</a>'):format(middle, middle) end
  for _, scheme in ipairs(schemes) do
    if middle ~= scheme and middle:sub(1, #scheme) == scheme then
      return ('<a href="%s"%s>%s</a>'):format(middle, attributes.rel .. attributes.target, middle)
    end
  end
end

-- brackets and punctuation around a word, which do not belong to the link
local function peel(word)
  local head, tail = "", ""
  local lead = word:match("^[%(<]+") or ""
  while word:sub(1, 4) == "&lt;" or lead ~= "" do
    local cut = lead ~= "" and #lead or 4
    head, word = head .. word:sub(1, cut), word:sub(cut + 1)
    lead = word:match("^[%(<]+") or ""
  end
  while true do
    local cut
    if word:sub(-4) == "&gt;" then cut = 4 else cut = #(word:match("[%)>.,\n]+$") or "") end
    if cut == 0 then break end
    tail, word = word:sub(-cut) .. tail, word:sub(1, -cut - 1)
  end
  for _, pair in ipairs { { "(", ")" }, { "<", ">" }, { "&lt;", "&gt;" } } do
    local open, close = pair[1], pair[2]
    local _, opened = word:gsub(open:gsub("%p", "%%%0"), "")
    local _, closed = word:gsub(close:gsub("%p", "%%%0"), "")
    while opened > closed do
      local at = tail:find(close, 1, true)
      if not at then break end
      local stop = at + #close - 1
      word, tail = word .. tail:sub(1, stop), tail:sub(stop + 1)
      closed = closed + 1
    end
  end
  return head, word, tail
end

filter("urlize(trim_url_limit?, nofollow?, target?, rel?, extra_schemes?)",
function(x, limit, nofollow, target, rel, extra)
  local none = value.none
  if limit == none then limit = nil end
  if limit ~= nil and type(limit) ~= "number" then
    return fault.type(("the limit of urlize is a number, not '%s'"):format(runtime.type_name(limit)))
  end
  local rels, seen = {}, {}
  local function add_rel(word)
    if not seen[word] then
      seen[word] = true
      rels[#rels + 1] = word
    end
  end
  if rel ~= nil and rel ~= none then
    for word in str(rel):gmatch("%S+") do add_rel(word) end
  end
  if nofollow ~= nil and runtime.truth(nofollow) then add_rel("nofollow") end
  add_rel("noopener")
  table.sort(rels)
  local attributes = { rel = (' rel="%s"'):format(M.escape_text(table.concat(rels, " "))), target = "" }
  if target ~= nil and target ~= none then attributes.target = (' target="%s"'):format(M.escape_text(str(target))) end
  local schemes = {}
  if extra ~= nil and extra ~= none then
    schemes = iterate.array(extra)
    for _, s in ipairs(schemes) do
      if not str(s):find("^[%w.+-]+:/?/?$") then
        return fault.raise("FilterArgumentError", ("%s is not a valid URI scheme prefix."):format(printing.repr(s)))
      end
    end
  end
  local s = M.escaped_text(x)
  local out, pos = {}, 1
  while pos <= #s do
    local blank = s:match("^%s+", pos)
    if blank then
      out[#out + 1] = blank
      pos = pos + #blank
    else
      local word = s:match("^%S+", pos)
      pos = pos + #word
      local head, middle, tail = peel(word)
      local linked = link(middle, limit, attributes, schemes)
      out[#out + 1] = head .. (linked or middle) .. tail
    end
  end
  return table.concat(out)
end)

return M
