---@meta
-- What a Lua hook receives, for editors that speak with the Lua language server. Its settings take this folder in:
--
--   { "workspace.library": ["path/to/dex-lua/stdlib/types"] }
--
-- A module of hooks then says `---@param hook dex.Hook` above its functions. What each one does is on the page
-- stdlib/README.md; a test holds this file, that page and the code together.

---A relation. Printed or joined to a text it is quoted SQL.
---@class dex.Relation
---@field database string|nil
---@field schema string|nil
---@field name string
---@field identifier string
---@field type string|nil table, view, materialized_view, ...

---@class dex.Error
---@field message string
---@field sqlstate string|nil
---@field sql string|nil
---@field file string|nil
---@field line integer|nil
---@field phase string|nil

---@class dex.RunResult
---@field unique_id string
---@field name string
---@field kind string
---@field status string
---@field seconds number
---@field message string|nil
---@field rows integer|nil
---@field failures integer|nil

---Called as `hook:run{"program", "argument"}` it runs a program, without a shell.
---@class dex.RunView
---@field id string
---@field started_at string
---@field command string
---@field results dex.RunResult[]|nil at the end of the run
---@overload fun(hook: dex.Hook, program: dex.Program): dex.ProgramResult

---@class dex.Program: string[]
---@field input string|nil
---@field cwd string|nil
---@field env table<string, string|false>|nil

---@class dex.ProgramResult
---@field status integer
---@field ok boolean
---@field stdout string
---@field stderr string

---@class dex.Request
---@field url string
---@field method string|nil
---@field json any
---@field body string|nil
---@field headers table<string, string>|nil
---@field timeout number|nil seconds

---@class dex.Response
---@field status integer
---@field ok boolean
---@field headers table<string, string>
---@field body string
---@field json any

---@class dex.NodeResult
---@field status string
---@field rows_affected integer|nil
---@field rows integer|nil
---@field message string|nil
---@field failures integer|nil
---@field seconds number
---@field timings table

---@class dex.Rows
---@field columns string[]
---@field [integer] table<string, any>

---@alias dex.Phase
---| "pre_outside"
---| "pre_hooks"
---| "post_hooks"
---| "post_outside"
---| "on_failure"
---| "always"
---| "run_start"
---| "run_end"

---@class dex.Hook
---@field this dex.Relation|nil nil in run hooks
---@field node table the node as in manifest.json
---@field phase dex.Phase|dex.Event
---@field args table the arguments of the declaration
---@field target table the profile's target
---@field vars table the variables of the node's package
---@field flags table the flags of the command
---@field run dex.RunView
---@field result dex.NodeResult|nil after the build
---@field event table|nil in a function that hears an event
---@field error dex.Error|nil after a failure
local hook = {}

---Runs SQL. May wait.
---@param sql string|dex.Relation
---@param ... string|number|boolean|nil the values of $1, $2, ...
---@return integer|nil rows changed or read
function hook:exec(sql, ...) end

---All rows. May wait.
---@param sql string|dex.Relation
---@param ... string|number|boolean|nil
---@return dex.Rows
function hook:query(sql, ...) end

---First column of the first row. May wait.
---@param sql string|dex.Relation
---@param ... string|number|boolean|nil
---@return any
function hook:value(sql, ...) end

---An iterator over rows, in constant memory. May wait.
---@param sql string
---@param ... string|number|boolean|nil
---@return fun(): table<string, any>|nil
function hook:rows(sql, ...) end

---Loads rows through COPY. May wait.
---@param relation string|dex.Relation
---@param columns string[]
---@param iterator table[]|fun(): table|nil rows by position or by column name
---@return integer rows
function hook:copy(relation, columns, iterator) end

---Undoes what fn did when it raises. May wait.
---@generic T
---@param fn fun(hook: dex.Hook): T
---@return T
function hook:savepoint(fn) end

---@param fn fun(hook: dex.Hook) called when the node has committed
function hook:after_commit(fn) end

---@param package_or_name string
---@param name? string
---@return dex.Relation
function hook:ref(package_or_name, name) end

---@param source string
---@param name string
---@return dex.Relation
function hook:source(source, name) end

---May wait.
---@param name string "macro" or "package.macro"
---@param ... any
---@return any
function hook:macro(name, ...) end

---May wait.
---@param template string
---@param vars? table<string, any>
---@return string
function hook:render(template, vars) end

---@param name string
---@return string|nil
function hook:env(name) end

---@param format string
---@param ... any
function hook:log(format, ...) end

---@param format string
---@param ... any
function hook:warn(format, ...) end

---Never returns.
---@param format string
---@param ... any
function hook:fail(format, ...) end

---Never returns. Pre-hooks only.
---@param reason string
function hook:skip(reason) end

---May wait.
---@param seconds number
function hook:sleep(seconds) end

---May wait.
---@param request dex.Request
---@return dex.Response
function hook:http(request) end

---@alias dex.Event
---| "run_start"
---| "node_start"
---| "phase_end"
---| "node_end"
---| "test_failed"
---| "operation_end"
---| "flow_end"
---| "cancel"
---| "run_end"

---What a module of hooks returns: its functions by name, and those that hear events in `on`.
---@class dex.HookModule
---@field on table<dex.Event, fun(hook: dex.Hook)>|nil
---@field [string] fun(hook: dex.Hook): string|nil
