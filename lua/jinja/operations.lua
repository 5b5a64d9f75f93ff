--- Filters and tests whose arguments, or names, are known only when the template runs.

local registry = require "jinja.registry"
local calls = require "jinja.calls"
local fault = require "jinja.fault"
local err = require "err"

local M = {}

local no_names = {}

--- Calls a filter or test with arguments known only now. `f` is its name or a project's own function.
function M.call_operation(kind, f, subject, names, args, list, values, kw)
  local n
  n, args, names, values = calls.spread(names, args, list, values, kw)
  return M.apply(kind, f, subject, n, args, names, values)
end

--- The same with arrays. Raises when there is no such filter or test.
function M.apply(kind, f, subject, n, args, names, values)
  names, values = names or no_names, values or no_names
  f = registry.own[kind][f] or f
  if type(f) ~= "string" then
    table.insert(args, 1, subject)
    return calls.call_with(f, n + 1, args, names, values)
  end
  local sig = registry.signature(kind, f)
  if not sig then
    local hint = err.did_you_mean(f, registry.names(kind))
    return fault.raise("TemplateRuntimeError", ("there is no %s named '%s'"):format(kind, f), hint)
  end
  if sig.raw then
    args.n = n
    local keywords
    if #names > 0 then
      keywords = {}
      for i, name in ipairs(names) do keywords[name] = values[i] end
    end
    return sig.fn(subject, args, keywords)
  end
  local places, why, hint = registry.place(sig, n, names)
  if not places then return fault.raise("TypeError", why, hint) end
  local last = 0
  local out = {}
  for at, from in pairs(places) do
    if from > 0 then out[at] = args[from] else out[at] = values[-from] end
    if at > last then last = at end
  end
  return (sig.fn(subject, table.unpack(out, 1, last)))
end

return M
