--- `dex-lua help TOPIC`: documentation that ships in the binary. Pages are Markdown; lines of ```sh blocks that begin
-- with dex-lua are run by a test.

local embed = require "dex.embed"

local M = {}

-- topic -> what it is about, and where its text is: a file, or a function that makes it.
local pages = {
  { "hooks", "hooks, the author's page", "stdlib/README.md" },
  { "selection", "--select and --exclude", "lua/help/topics/selection.md" },
  { "profiles", "which database, and as whom", "lua/help/topics/profiles.md" },
  { "operations", "scripts in SQL, Python and Lua, run by name", "lua/help/topics/operations.md" },
  { "flows", "operations, models and scripts in order", "lua/help/topics/flows.md" },
  { "schedules", "when flows run, and the server that runs them", "lua/help/topics/schedules.md" },
  { "api", "the API of the live page, tokens, and a proxy", "lua/help/topics/api.md" },
  { "history", "what ran, and how long it is kept", "lua/help/topics/history.md" },
  { "repl", "the prompt, and scripts", "lua/help/topics/repl.md" },
  { "ledger", "crashes, retry, locks and what hooks do outside", "lua/help/topics/ledger.md" },
  { "private-server", "the project's own PostgreSQL", "lua/help/topics/private-server.md" },
  { "debugger", "breakpoints, and a prompt where a hook fails", "lua/help/topics/debugger.md" },
  { "logs", "what is printed and logged, for programs", "lua/help/topics/logs.md" },
  { "exit-codes", "what the status of a command says", "lua/help/topics/exit-codes.md" },
  { "completion", "the shell completes command lines", "lua/help/topics/completion.md" },
  { "warnings", "warnings by name, for --warn-error-options", function() return require("report.warnings").page() end },
  { "man", "this manual as a man page", function() return require("help.man").page() end },
  { "errors", "the error codes", function() return require("help.errors").page() end },
}

--- The topics, in the order in which they are listed.
---@return string[]
function M.names()
  local names = {}
  for i, page in ipairs(pages) do names[i] = page[1] end
  return names
end

--- The topics with a line each.
---@return {[1]: string, [2]: string}[]
function M.list()
  local rows = {}
  for i, page in ipairs(pages) do rows[i] = { page[1], page[2] } end
  return rows
end

--- The text of a topic, or nil.
---@param name string
---@return string|nil
function M.page(name)
  for _, page in ipairs(pages) do
    if page[1] == name then return type(page[3]) == "string" and embed.read(page[3]) or page[3]() end
  end
end

return M
