--- Renders the Jinja inside a YAML tree. The tree given stays as it is; containers without Jinja are shared
-- with the copy.

local err = require "err"
local jinja = require "jinja"
local lines = require "project.lines"
local value = require "jinja.value"

local M = {}

--- Whether a text has anything for Jinja to do.
---@param text any
---@return boolean
function M.has_jinja(text)
  return type(text) == "string" and text:find("{[{%%#]") ~= nil
end

local has_jinja = M.has_jinja

-- Renders one text to a native value; the error names the place in the YAML file.
local function render_text(text, opts, path, container, key)
  local ok, result = pcall(jinja.render_native, text, opts.context)
  if ok then return result end
  if not err.is(result) then error(result, 0) end
  local what = table.concat(path, ".")
  local e = err.new { code = result.code, message = ("%s: %s"):format(what, result.message), file = opts.file,
    line = lines.of(opts.lines, container, key), hint = result.hint, source = result.source }
  error(e, 0)
end

local render

local function render_dict(tree, opts, path)
  local copy
  local depth = #path + 1
  for key, item in pairs(tree) do
    path[depth] = tostring(key)
    local rendered = item
    if not (opts.skip and opts.skip(path, depth)) then
      rendered = render(item, opts, path, tree, key)
    end
    path[depth] = nil
    if rendered ~= item then
      copy = copy or lines.carry(opts.lines, tree, value.copy_dict(tree))
      copy[key] = rendered
    end
  end
  return copy or tree
end

local function render_list(tree, opts, path)
  local copy
  local depth = #path + 1
  for i, item in ipairs(tree) do
    path[depth] = tostring(i - 1)
    local rendered = item
    if not (opts.skip and opts.skip(path, depth)) then
      rendered = render(item, opts, path, tree, i)
    end
    path[depth] = nil
    if rendered ~= item then
      copy = copy or lines.carry(opts.lines, tree, value.list(table.move(tree, 1, #tree, 1, {})))
      copy[i] = rendered
    end
  end
  return copy or tree
end

render = function(tree, opts, path, container, key)
  if type(tree) == "string" then
    if not has_jinja(tree) then return tree end
    local rendered = render_text(tree, opts, path, container, key)
    return rendered
  elseif value.is_dict(tree) then
    return render_dict(tree, opts, path)
  elseif value.is_list(tree) then
    return render_list(tree, opts, path)
  end
  return tree
end

--- Renders every text in a tree of dicts and lists. May wait if a template does.
---@param tree any
---@param opts {context: table, file: string, lines: table, skip?: fun(path: string[], depth: integer): boolean}
---  `skip` says for a path (keys, and list positions from 0 as text) whether to leave it as it is
---@param root? string[] keys that led to the tree, for messages and `skip`
---@return any
function M.render(tree, opts, root)
  return render(tree, opts, root or {}, nil, nil)
end

return M
