--- What starts from the page: the arguments of operations and flows, and the words of a command.

local err = require "err"
local parameters = require "project.parameters"
local value = require "jinja.value"

local M = {}

--- The arguments of a call, checked against what is declared. Raises 602.
---@param declared dex.Parameter[]|nil
---@param what string "operation 'x'"
---@param args table|nil dict
---@return table args as they were given, for the child process
---@return table shown as they may be kept
function M.bind(declared, what, args)
  args = args or value.dict()
  local values = parameters.bind(declared, args, { what = what })
  return args, parameters.shown(declared, values)
end

--- New arguments for a flow; nil, nil when none are given: the earlier ones hold.
---@param server table
---@param name string of the flow
---@param args table|nil dict
---@return table|nil args
---@return table|nil shown
function M.arguments(server, name, args)
  if not args then return nil, nil end
  local flow = M.flow(server, name)
  return M.bind(flow.parameters, ("flow '%s'"):format(name), args)
end

--- The flows of the project as its files are. May wait.
---@param server table
---@return dex.Flow[]
function M.flows(server) return require("flow.definition").load(server.loaded:get()) end

--- A flow by its name. Raises 674. May wait.
---@param server table
---@param name string
---@return dex.Flow
function M.flow(server, name)
  local ok, flow = pcall(require("flow.definition").find, server.loaded:get(), name)
  if ok then return flow end
  if flow.code == 616 then flow.code = 674 end
  error(flow, 0)
end

--- Words of a selection from a text or a list; none may be an option. Raises 676.
---@param texts string|table|nil
---@param what string
---@return string[]
function M.words(texts, what)
  local words = {}
  if type(texts) == "string" then texts = { texts } end
  for _, text in ipairs(texts or {}) do
    for word in text:gmatch "%S+" do
      if word:find "^%-" then
        err.raise { code = 676, message = ("'%s': '%s' is no selection"):format(what, word) }
      end
      words[#words + 1] = word
    end
  end
  return words
end

return M
