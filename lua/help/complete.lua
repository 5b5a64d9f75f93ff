--- What may stand at the end of a command line: commands, options, their values, and names of the project.

local names = require "help.names"
local options = require "help.options"

local M = {}

local resource_types = { "analysis", "exposure", "function", "metric", "model", "saved_query", "seed", "semantic_model",
  "snapshot", "source", "test", "unit_test", "all", "default" }

local methods = { "config.", "exposure:", "file:", "fqn:", "group:", "metric:", "package:", "path:", "resource_type:",
  "result:", "source:", "source_status:", "state:", "tag:", "test_name:", "test_type:", "unit_test:", "version:" }

-- The option that a word names, as far as the command has it.
local function option_of(command, word)
  local long = word:match("^%-%-([^=]+)")
  for _, option in ipairs(command and options.of(command) or options.options) do
    if long and option.name == long then return option end
    if not long and (option.short or "") == word:match("^%-(%a)$") then return option end
    for _, alias in ipairs(long and option.aliases or {}) do
      if alias == long then return option end
    end
  end
end

-- The command among the words, and the words after it that are no options.
local function read(words)
  local command, arguments, skip = nil, {}, false
  for i = 1, #words - 1 do
    local word = words[i]
    if skip then
      skip = false
    elseif word:sub(1, 1) == "-" then
      local option = option_of(command, word)
      skip = option ~= nil and option.arg ~= nil and not word:find("=", 1, true)
    elseif not command then
      command = options.command(word)
      if not command then return nil, nil end
    else
      arguments[#arguments + 1] = word
    end
  end
  return command, arguments
end

-- The option whose value the last word is: the word before, or an option of many values further ahead.
local function open_option(command, words)
  for i = #words - 1, 1, -1 do
    local word = words[i]
    if word:sub(1, 1) == "-" then
      local option = not word:find("=", 1, true) and option_of(command, word)
      if option and option.arg and (i == #words - 1 or option.many) then return option end
      return nil
    end
  end
end

local function list(set, kinds)
  local found = {}
  for _, kind in ipairs(kinds) do
    for _, name in ipairs(set()[kind] or {}) do found[#found + 1] = { name } end
  end
  return found
end

local function plain(words)
  local rows = {}
  for i, word in ipairs(words) do rows[i] = { word } end
  return rows
end

-- Node selection: operators before a name stay, and so does what stands before the last comma.
local function selectors(set, current)
  local before, rest = current:match("^(.*,)(.*)$")
  before, rest = before or "", rest or current
  local operator = rest:match("^[@%d]*%+?") or ""
  if not operator:find("[@+]") then operator = "" end
  local rows = list(set, { "node", "tag", "source" })
  for _, method in ipairs(methods) do rows[#rows + 1] = { method } end
  for i, row in ipairs(rows) do rows[i] = { before .. operator .. row[1] } end
  return rows
end

local function values(option, set, current)
  if option.choices then return plain(option.choices) end
  local name = option.name
  if name == "select" or name == "exclude" then return selectors(set, current) end
  if name == "node" then return list(set, { "node" }) end
  if name == "selector" then return list(set, { "selector" }) end
  if name == "target" then return list(set, { "target" }) end
  if name == "resource-type" or name == "exclude-resource-type" then return plain(resource_types) end
  return {}
end

local function option_rows(command)
  local rows = {}
  for _, option in ipairs(command and options.of(command) or { { name = "help", help = "Show this help" } }) do
    if not option.ignored and not option.refused then
      rows[#rows + 1] = { "--" .. option.name, option.help }
      if option.negatable then rows[#rows + 1] = { "--no-" .. option.name, option.help } end
    end
  end
  return rows
end

local function command_rows()
  local rows = {}
  for _, command in ipairs(options.commands) do
    rows[#rows + 1] = { command.name, command.summary }
    for _, alias in ipairs(command.aliases or {}) do rows[#rows + 1] = { alias, command.summary } end
  end
  return rows
end

local function topics(command_names)
  local rows = plain(command_names)
  for _, topic in ipairs(require("help.topics").names()) do rows[#rows + 1] = { topic } end
  return rows
end

-- What a command takes beside options.
local function arguments_of(command, given, set)
  if command.name == "help" then return #given == 0 and topics(options.names()) or {} end
  if command.name == "operation" and (given[1] == "run" or given[1] == "show") then
    return #given == 1 and list(set, { "operation" }) or {}
  end
  if command.name == "flow" and #given > 0 then
    local named = given[1] == "run" or given[1] == "show" or given[1] == "next" or given[1] == "history"
      or given[1] == "pause" or given[1] == "resume"
    return named and #given == 1 and list(set, { "flow" }) or {}
  end
  if command.name == "run-operation" then return #given == 0 and list(set, { "macro" }) or {} end
  if #given > 0 then return {} end
  local rows = {}
  for _, action in ipairs(command.actions or {}) do rows[#rows + 1] = { action[1]:match("^%S+"), action[2] } end
  return rows
end

--- The candidates for the last of the words, which may be empty or half written.
---@param words string[] a command line without the program's name
---@param dir string folder of the project's artifacts
---@return {[1]: string, [2]: string|nil}[] word and what it is, sorted
function M.candidates(words, dir)
  local known
  local function set()
    known = known or names.read(dir)
    return known
  end
  local current = words[#words] or ""
  local command, given = read(words)
  local open = open_option(command, words)
  local inline, text = current:match("^(%-%-[^=]+=)(.*)$")
  local rows
  if given == nil and #words > 1 then return {} end
  if inline then
    local option = option_of(command, current)
    rows = option and option.arg and values(option, set, text) or {}
    for i, row in ipairs(rows) do rows[i] = { inline .. row[1] } end
  elseif open and current:sub(1, 1) ~= "-" then
    rows = values(open, set, current)
  elseif current:sub(1, 1) == "-" then
    rows = option_rows(command)
  elseif not command then
    rows = command_rows()
  else
    rows = arguments_of(command, given, set)
  end
  local found = {}
  for _, row in ipairs(rows) do
    if row[1]:sub(1, #current) == current then found[#found + 1] = row end
  end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  return found
end

return M
