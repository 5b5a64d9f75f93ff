--- What the API gives of the store's rows, and the named shapes of the OpenAPI document.

local loop = require "dex.loop"
local notation = require "server.notation"
local value = require "jinja.value"
local values = require "state.values"

local M = {}

local dict, list, none = value.dict, value.list, value.none

local RUN_STATUS = "queued|running|success|partial|failed|cancelled|timed_out"
local TASK_STATUS = "waiting|queued|running|retrying|success|warn|failed|upstream_failed|skipped|cancelled|timed_out"

-- What is told of every run.
local run_fields = [=[
    id: text
    kind: flow|operation|command
    name: text?
    command: text?
    status: RUN_STATUS
    trigger: manual|schedule|api|rerun|flow
    by: text?                -- who started it
    parameters: mapping?     -- without the values of secret ones
    target: text?
    scheduled_for: time?
    created_at: time
    started_at: time?
    ended_at: time?
    duration: number?        -- seconds
    message: text?
    parent_id: text?         -- the run that this one is a part of
    rerun_of: text?
    cancel_requested: boolean]=]

local written = {
  { "Run", run_fields .. [=[

    tasks: {integer}         -- how many have each status, and total]=] },
  { "RunDetail", run_fields .. [=[

    counts: {integer}
    result: any
    tasks: [Task]
    hooks: [HookRecord]      -- of the run itself]=] },
  { "Phase", [=[
    phase: text
    started_at: time?
    duration: number?]=] },
  { "HookRecord", [=[
    phase: text?
    position: integer?
    name: text?
    file: text?
    line: integer?
    status: text?
    started_at: time?
    duration: number?
    message: text?]=] },
  { "Attempt", [=[
    attempt: integer
    status: text?
    started_at: time?
    ended_at: time?
    message: text?]=] },
  { "Task", [=[
    name: text
    kind: text?
    node_id: text?
    label: text?
    needs: [text]
    status: TASK_STATUS
    attempt: integer
    started_at: time?
    ended_at: time?
    duration: number?
    message: text?
    rows: integer?
    response: text?
    result: any
    phases: [Phase]
    hooks: [HookRecord]
    attempts: [Attempt]      -- the earlier ones, when there were several]=] },
  { "Line", [=[
    id: integer
    at: time
    task: text?
    level: text
    text: text]=] },
  { "Parameter", [=[
    name: text
    type: text
    description?: text
    default?: any
    required: boolean
    choices?: [any]
    secret: boolean
    env?: text               -- the variable that gives the value when no argument does]=] },
  { "Hook", [=[
    phase: text
    position: integer
    name: text?
    kind: sql|lua|operation
    text: text
    transaction: text
    file: text
    line: integer?]=] },
  { "Column", [=[
    name: text
    type: text?
    description: text?
    tests: [text]]=] },
  { "GraphNode", [=[
    id: text
    name: text
    type: text
    package: text?
    schema: text?
    materialized: text?
    tags: [text]
    file: text?
    status: text?            -- of its last task
    ended_at: time?]=] },
  { "LastRun", [=[
    run_id: text
    status: text
    started_at: time?
    ended_at: time?
    duration: number?]=] },
  { "Node", [=[
    id: text
    name: text
    type: text
    package: text?
    description: text?
    file: text?
    line: integer?
    relation: text?
    materialized: text?
    tags: [text]
    config: mapping
    columns: [Column]
    source_code: text?
    compiled_code: text?
    compile_error: text?     -- why there is no compiled code
    tests: [text]
    hooks: [Hook]
    parents: [text]
    children: [text]
    last_run: LastRun?]=] },
  { "Operation", [=[
    name: text
    path: text
    language: sql|python|lua
    description: text?
    tags: [text]
    confirm: any             -- false, true, or the question to ask
    last_run: Run?]=] },
  { "OperationDetail", [=[
    name: text
    path: text
    language: sql|python|lua
    description: text?
    tags: [text]
    parameters: [Parameter]? -- null: any are taken
    confirm: any
    targets: [text]
    transaction: boolean
    timeout: number?
    hooks: [Hook]
    source_code: text
    last_run: Run?]=] },
  { "Schedule", [=[
    text: text
    time_zone: text?
    next: [time]
    paused: boolean
    paused_by: text?
    paused_at: time?]=] },
  { "FlowNode", [=[
    name: text
    kind: transformation|operation|script|flow|wait
    detail: text             -- what it runs, in one line
    description: text?
    needs: [text]
    when: text               -- success, failed, always, or an expression
    retries: integer
    timeout: number?
    pool: text?
    line: integer]=] },
  { "Flow", [=[
    name: text
    description: text?
    file: text
    line: integer
    tags: [text]
    parameters: [Parameter]
    schedule: Schedule?
    catchup: none|latest|all
    max_active_runs: integer
    on_crash: retry|fail
    timeout: number?
    nodes: [FlowNode]
    last_runs: [Run]]=] },
  { "PreviewColumn", [=[
    name: text
    type: text]=] },
  { "Started", [=[
    id: text                 -- of the run]=] },
  { "Duration", [=[
    run_id: text
    status: text
    started_at: time?
    duration: number?
    rows?: integer?
    attempt?: integer?
    command?: text?
    message?: text?]=] },
  { "Slow", [=[
    name: text
    count: integer
    failed: integer
    total: number            -- seconds
    mean: number
    longest: number]=] },
  { "Failure", [=[
    run_id: text
    run_kind: text
    run_name: text?
    task: text
    node_id: text?
    status: text
    started_at: time?
    ended_at: time?
    message: text?]=] },
  { "AuditEntry", [=[
    id: integer
    at: time
    who: text?
    role: text?
    action: text
    subject: text?
    outcome: text?
    data: any]=] },
  { "Problem", [=[
    error: ProblemBody]=] },
  { "ProblemBody", [=[
    code: integer            -- `dex-lua help errors CODE` explains it
    message: text
    hint?: text
    file?: text
    line?: integer
    node?: text
    sqlstate?: text]=] },
}

--- The named shapes in their order: {name, shape}.
---@type {[1]: string, [2]: dex.Shape}[]
M.named = {}
for i, pair in ipairs(written) do
  local text = pair[2]:gsub("RUN_STATUS", RUN_STATUS):gsub("TASK_STATUS", TASK_STATUS)
  M.named[i] = { pair[1], notation.parse(text) }
end

M.RUN_STATUS = RUN_STATUS

-- Rows ---------------------------------------------------------------------------------------------------

local function or_none(v)
  if v == nil then return none end
  return v
end

local function iso(micro) return or_none(values.iso(micro)) end

local function seconds(micro) return micro and micro / 1e6 or none end

--- A time of the store as the API has it, or none.
M.iso = iso

--- Microseconds as seconds, or none.
M.seconds = seconds

local function took(row) return seconds(row.started_at and row.ended_at and row.ended_at - row.started_at) end

local TURN = 500 -- rows

--- The members of a list by a function. Waits in a long list, so that others have their turn.
---@param rows table[]|nil
---@param fn fun(row: table): any
---@return table list
function M.each(rows, fn)
  local items = list()
  for i, row in ipairs(rows or {}) do
    items[i] = fn(row)
    if i % TURN == 0 then loop.sleep(0) end
  end
  return items
end

--- A row of `runs`.
---@param store dex.Store
---@param row table
---@return table dict
function M.run(store, row)
  local counts = dict("total", 0)
  for name, n in pairs(store:counts(row)) do counts[name] = n end
  return dict("id", row.id, "kind", row.kind, "name", or_none(row.name), "command", or_none(row.command),
    "status", row.status, "trigger", row.trigger, "by", or_none(row.by), "parameters", or_none(row.parameters),
    "target", or_none(row.target), "scheduled_for", iso(row.scheduled_for), "created_at", iso(row.created_at),
    "started_at", iso(row.started_at), "ended_at", iso(row.ended_at), "duration", took(row),
    "message", or_none(row.message), "parent_id", or_none(row.parent_id), "rerun_of", or_none(row.rerun_of),
    "cancel_requested", row.cancel_requested, "tasks", counts)
end

--- Several of them.
---@param store dex.Store
---@param rows table[]
---@return table list
function M.runs(store, rows)
  return M.each(rows, function(row) return M.run(store, row) end)
end

--- A record of a hook.
---@param row table
---@return table dict
function M.hook(row)
  return dict("phase", or_none(row.phase), "position", or_none(row.position), "name", or_none(row.name),
    "file", or_none(row.file), "line", or_none(row.line), "status", or_none(row.status),
    "started_at", iso(row.started_at), "duration", seconds(row.duration), "message", or_none(row.message))
end

local function phase(row)
  return dict("phase", row.phase, "started_at", iso(row.started_at), "duration", seconds(row.duration))
end

local function attempt(row)
  return dict("attempt", row.attempt, "status", or_none(row.status), "started_at", iso(row.started_at),
    "ended_at", iso(row.ended_at), "message", or_none(row.message))
end

--- A row of store:durations or store:run_durations.
---@param row table
---@return table dict
function M.duration(row)
  local d = dict("run_id", row.run_id, "status", row.status, "started_at", iso(row.started_at),
    "duration", seconds(row.duration))
  for _, key in ipairs { "rows", "attempt", "command", "message" } do
    if row[key] ~= nil then d[key] = row[key] end
  end
  return d
end

--- A task of store:tasks.
---@param row table
---@return table dict
function M.task(row)
  return dict("name", row.name, "kind", or_none(row.kind), "node_id", or_none(row.node_id),
    "label", or_none(row.label), "needs", row.needs, "status", row.status, "attempt", row.attempt,
    "started_at", iso(row.started_at), "ended_at", iso(row.ended_at), "duration", took(row),
    "message", or_none(row.message), "rows", or_none(row.rows), "response", or_none(row.response),
    "result", or_none(row.result), "phases", M.each(row.phases, phase), "hooks", M.each(row.hooks, M.hook),
    "attempts", M.each(row.attempts, attempt))
end

return M
