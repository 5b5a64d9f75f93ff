--- `dex-lua run-operation MACRO`: runs a macro, or with --sql a text, by itself.

local err = require "err"
local json = require "dex.json"
local term = require "dex.term"
local value = require "jinja.value"

local M = {}

-- What is to run, from the command line.
local function wanted(job)
  local given, name = job.given, job.words[1]
  if job.words[2] then
    err.raise { code = 101, message = ("run-operation runs one macro: what is '%s'?"):format(job.words[2]),
      hint = "arguments are given with --args '{name: value}'" }
  end
  if given.sql then
    if name then err.raise { code = 101, message = "run-operation takes a macro or --sql, not both" } end
    if given.args then err.raise { code = 101, message = "--args are a macro's arguments: --sql has none" } end
    return { sql = given.sql }
  end
  if not name then
    err.raise { code = 101, message = "run-operation needs the name of a macro, or --sql",
      hint = "see `dex-lua run-operation --help`" }
  end
  return { macro = require("run.macro_operation").find(job.project, name),
    args = given.args and require("command.meta").yaml_argument("--args", given.args) or {} }
end

-- What a macro returned, as a person or a program would read it.
local function show_returned(job, returned)
  if returned == nil then return end
  if type(returned) == "string" then
    if returned:find("%S") then job.report:log("info", (returned:gsub("%s+$", ""))) end
    return
  end
  local ok, text = pcall(json.encode, returned)
  job.report:log("print", ok and text or tostring(returned))
end

--- Runs it, prints what it returned or selected, writes run_results.json. May wait.
function M.run(job)
  local steps = require "command.steps"
  job.macro_operation = wanted(job)
  job.args.macro = value.or_none(job.words[1])
  steps.connect(job)
  steps.execute(job)
  for _, result in ipairs(job.outcome.rows) do
    term.write(1, require("report.grid").format(result, "table", term.isatty(1) and term.width() or 80) .. "\n")
  end
  show_returned(job, job.outcome.returned)
  steps.write(job)
  return steps.finish(job)
end

return M
