--- Reads a command line by the option table (help/options.lua).

local err = require "err"
local options = require "help.options"

local M = {}

local page = "dex-lua help" -- what explains the command line that is being read

local function usage(message, hint)
  err.raise { code = 101, message = message, hint = hint or ("see `%s`"):format(page) }
end

local truths = { ["1"] = true, t = true, ["true"] = true, y = true, yes = true, on = true,
  ["0"] = false, f = false, ["false"] = false, n = false, no = false, off = false }

local function field(name) return (name:gsub("-", "_")) end

local function convert(option, text, shown)
  if option.integer then
    local n = math.tointeger(tonumber(text))
    if not n or not option.any and n < (option.zero and 0 or 1) then
      usage(("%s needs a whole number%s, not '%s'"):format(shown, (option.zero or option.any) and "" or " above 0",
        text))
    end
    return n
  end
  if option.uuid and not text:find("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$") then
    usage(("%s needs a UUID, not '%s'"):format(shown, text))
  end
  if option.choices then
    for _, choice in ipairs(option.choices) do
      if choice == text:lower() then return choice end
    end
    usage(("%s is one of %s, not '%s'"):format(shown, table.concat(option.choices, ", "), text),
      err.did_you_mean(text, option.choices))
  end
  return text
end

local function lookup(command, word)
  local name, negated = word, false
  local function matches(option)
    if option.name == name then return true end
    for _, alias in ipairs(option.aliases or {}) do
      if alias == name then return true end
    end
  end
  local list = command and options.of(command) or options.options
  for _, option in ipairs(list) do
    if matches(option) then return option, negated end
  end
  if word:sub(1, 3) == "no-" then
    name, negated = word:sub(4), true
    for _, option in ipairs(list) do
      if option.negatable and matches(option) then return option, negated end
    end
  end
end

local function unknown_option(command, shown)
  local names = {}
  for _, option in ipairs(command and options.of(command) or options.options) do
    names[#names + 1] = "--" .. option.name
  end
  usage(("%s has no option %s"):format(command and ("dex-lua " .. command.name) or "dex-lua", shown),
    err.did_you_mean(shown, names) or (command and ("see `dex-lua %s --help`"):format(command.name)))
end

local function by_letter(command, letter)
  for _, option in ipairs(command and options.of(command) or options.options) do
    if option.short == letter or option.mshort == letter then return option end
  end
end

-- The first word that is no option and no option's value is the command: options may stand before it, as
-- with dbt.
local function find_command(argv)
  local i = 1
  while i <= #argv do
    local word = argv[i]
    if word:sub(1, 1) ~= "-" or word == "-" then return i end
    local long, inline = word:match("^%-%-([^=]+)(=?)")
    local option = long and lookup(nil, long) or by_letter(nil, word:sub(2, 2))
    if option and option.arg and inline ~= "=" and #word > (long and 0 or 1) then
      i = i + ((long or #word == 2) and 1 or 0)
    end
    i = i + 1
  end
end

local function store(given, option, value)
  local key = field(option.name)
  if option.many then
    given[key] = given[key] or {}
    for part in value:gmatch("%S+") do table.insert(given[key], part) end
  elseif option.each then
    given[key] = given[key] or {}
    table.insert(given[key], value)
  else
    given[key] = value
  end
end

-- One option at argv[i]; gives the index of its last word.
local function read_option(command, argv, i, given)
  local word = argv[i]
  local long, equals, value = word:match("^%-%-([^=]+)(=?)(.*)$")
  local option, negated
  if long then
    option, negated = lookup(command, long)
  else
    option = by_letter(command, word:sub(2, 2))
    if option and #word > 2 then
      if option.arg then
        equals, value = "=", (word:sub(3):gsub("^=", ""))
      else -- -xf is -x -f
        given[field(option.name)] = true
        table.insert(argv, i + 1, "-" .. word:sub(3))
        return i
      end
    end
  end
  local shown = long and ("--" .. long) or word:sub(1, 2)
  if not option then unknown_option(command, shown) end
  if not option.arg then
    if equals == "=" then usage(shown .. " takes no value") end
    if option.refused and not negated then usage(("%s is not possible: %s"):format(shown, option.refused)) end
    given[field(option.name)] = not negated
    return i
  end
  if equals == "=" then
    store(given, option, convert(option, value, shown))
    return i
  end
  local next_word = argv[i + 1]
  if next_word == nil or (next_word:match("^%-%-?%a") and option.many) then
    usage(shown .. " needs a value: " .. option.arg)
  end
  i = i + 1
  store(given, option, convert(option, argv[i], shown))
  while option.many and argv[i + 1] and not argv[i + 1]:match("^%-") do
    i = i + 1
    store(given, option, convert(option, argv[i], shown))
  end
  return i
end

-- The variable that is set for an option: DEX_X before dbt's names.
local function variable_of(option, getenv)
  local plain = option.env:gsub("^DBT_", "")
  for _, prefix in ipairs { "DEX_", "DBT_ENGINE_", "DBT_" } do
    local text = getenv(prefix .. plain)
    if text and text ~= "" then return text, prefix .. plain end
  end
end

local function store_text(given, option, text, shown)
  if option.arg then
    store(given, option, convert(option, text, shown))
  else
    local truth = truths[text:lower()]
    if truth == nil then usage(("%s is neither true nor false: '%s'"):format(shown, text)) end
    given[field(option.name)] = truth
  end
end

-- What the command line does not say: the environment, the project file's `flags:`, the default.
local function from_elsewhere(command, given, getenv, flags_of)
  local list = options.of(command)
  for _, option in ipairs(list) do
    if option.env and given[field(option.name)] == nil then
      local text, name = variable_of(option, getenv)
      if text then store_text(given, option, text, name) end
    end
  end
  local flags = flags_of and flags_of(given) or {}
  for _, option in ipairs(list) do
    local key = field(option.name)
    if given[key] == nil and option.env and flags[key] ~= nil then
      local v = flags[key]
      store_text(given, option, type(v) == "table" and require("dex.json").encode(v) or tostring(v), "flags." .. key)
    end
    if given[key] == nil then given[key] = option.default end
  end
end

--- Reads a command line.
---@param argv string[] without the program's name
---@param getenv fun(name: string): string|nil
---@param flags_of? fun(given: table): table<string, any> the project file's flags by name with `_`
---@return table|nil command of help/options.lua; nil when there is none on the line
---@return table given option values by name with `_` for `-`; lists for options that repeat
---@return string[] words what stands after the command and is no option
---@return string[] rest what stands after `--`
function M.parse(argv, getenv, flags_of)
  argv = table.move(argv, 1, #argv, 1, {})
  local given, words, rest = {}, {}, {}
  local at = find_command(argv)
  local command
  if at then
    command = options.command(argv[at])
    if not command then
      usage(("there is no command '%s'"):format(argv[at]), err.did_you_mean(argv[at], options.names()))
    end
    table.remove(argv, at)
    page = ("dex-lua %s --help"):format(command.name)
  end
  local i = 1
  while i <= #argv do
    local word = argv[i]
    if word == "--" then
      table.move(argv, i + 1, #argv, 1, rest)
      break
    elseif word:sub(1, 1) == "-" and word ~= "-" then
      i = read_option(command, argv, i, given)
    else
      words[#words + 1] = word
      if command and command.verbatim then -- what follows is the script's
        table.move(argv, i + 1, #argv, #words + 1, words)
        break
      end
    end
    i = i + 1
  end
  if command then from_elsewhere(command, given, getenv, flags_of) end
  if #words > 0 and not (command and command.args) then
    usage(("%s takes no argument '%s'"):format(command and ("dex-lua " .. command.name) or "dex-lua", words[1]),
      command and lookup(command, "select") and ("nodes are chosen with --select " .. words[1]) or nil)
  end
  return command, given, words, rest
end

return M
