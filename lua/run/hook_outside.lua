--- What a hook does outside of the database: requests over HTTP, and programs. Both run as a child process, so
-- that nothing else waits for them.

local child = require "dex.child"
local err = require "err"
local json = require "dex.json"
local loop = require "dex.loop"
local outbox = require "run.outbox"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- Seconds that a request may take when nobody says otherwise.
M.DEFAULT_TIMEOUT = 30

local function misuse(message, hint)
  err.raise { code = 509, message = message, hint = hint }
end

-- What cannot be taken back has no place in a transaction that is rolled back.
local function not_in_rehearsals(own, method)
  if own.run.rehearsing then
    err.raise { code = 516, message = ("hook:%s does nothing in a rehearsal"):format(method) }
  end
end

local function too_late(own)
  err.raise { code = 507, message = ("it took longer than its timeout of %g s"):format(own.hook.timeout) }
end

--- Calls fn(...), which waits; the hook's own timeout ends the wait. May wait.
---@param own table of lua/run/hooks.lua
---@param fn function
function M.within_timeout(own, fn, ...)
  if not own.deadline then return fn(...) end
  local left = own.deadline - time.mono()
  if left <= 0 then too_late(own) end
  local work = loop.spawn(fn, ...)
  local late = false
  local watch = loop.spawn(function()
    loop.sleep(left)
    late = true
    work:cancel()
  end)
  local results = table.pack(pcall(work.wait, work))
  if late then too_late(own) end
  watch:cancel()
  if not results[1] then
    if not work:done() then work:cancel() end
    error(results[2], 0)
  end
  return table.unpack(results, 2, results.n)
end

-- HTTP ------------------------------------------------------------------------------------------------

local fields = { method = "string", url = "string", json = true, body = "string", headers = "table",
  timeout = "number", now = "boolean" }
local field_names = { "method", "url", "json", "body", "headers", "timeout", "now" }

local function check_fields(request)
  if type(request) ~= "table" then misuse("hook:http needs a table: hook:http{url = \"https://...\"}") end
  for key, v in pairs(request) do
    local expected = fields[key]
    if not expected then
      misuse(("hook:http has no field '%s'"):format(tostring(key)), err.did_you_mean(tostring(key), field_names)
        or "its fields are " .. table.concat(field_names, ", "))
    end
    if expected ~= true and type(v) ~= expected then
      misuse(("`%s` of hook:http must be a %s, not a %s"):format(key, expected, type(v)))
    end
  end
  if not request.url then misuse "hook:http needs `url`" end
  if not request.url:find "^https?://[^/%s]" then
    misuse(("hook:http cannot send to '%s'"):format(request.url:match("^[^?]*")),
      "an address begins with http:// or https://")
  end
  if request.json ~= nil and request.body then misuse "hook:http takes `json` or `body`, not both" end
  if request.timeout and request.timeout <= 0 then misuse "`timeout` of hook:http must be above 0" end
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\v"] = "\\v" }

-- A text in a file of curl's options.
local function quoted(text, what)
  if text:find("\0", 1, true) then misuse(("%s of hook:http holds a zero byte"):format(what)) end
  return '"' .. text:gsub('["\\\n\r\t\v]', escapes) .. '"'
end

local function header_lines(request, add)
  local names, typed = {}, false
  for name, v in pairs(request.headers or {}) do
    if type(name) ~= "string" or not name:find "^[%w!#$%%&'*+.^_`|~-]+$" or tostring(v):find "[\r\n]" then
      misuse(("'%s' is no header"):format(tostring(name)), "write headers = { [\"X-Name\"] = \"value\" }")
    end
    names[#names + 1] = name
    typed = typed or name:lower() == "content-type"
  end
  table.sort(names)
  for _, name in ipairs(names) do add("header", ("%s: %s"):format(name, tostring(request.headers[name]))) end
  if request.json ~= nil and not typed then add("header", "Content-Type: application/json") end
end

-- A request that was checked, as it is sent and as it is kept in the outbox: texts and numbers only.
local function plain_request(request)
  local body = request.body
  if request.json ~= nil then body = json.encode(value.from_lua(request.json)) end
  local method = (request.method or body and "POST" or "GET"):upper()
  if not method:find "^%u+$" then misuse(("'%s' is no method of HTTP"):format(method)) end
  local headers = value.dict()
  header_lines(request, function(_, line)
    local name, text = line:match "^(.-): (.*)$"
    headers[name] = text
  end)
  return value.dict("url", request.url, "method", method, "headers", headers, "body", value.or_none(body), "timeout",
    request.timeout or M.DEFAULT_TIMEOUT)
end

-- What curl is told on its standard input, where nobody else sees the secrets of a request.
local function options_of(request)
  local seconds, body = request.timeout, opt(request.body)
  local lines = { "silent", "show-error", 'proto = "=http,https"', "no-location",
    ('max-time = "%.3f"'):format(seconds), ('connect-timeout = "%.3f"'):format(math.min(seconds, 10)),
    'write-out = "%{stderr}%{http_code}\\n%{header_json}"' }
  local function add(option, text) lines[#lines + 1] = option .. " = " .. quoted(text, option) end
  add("url", request.url)
  if request.method == "HEAD" then lines[#lines + 1] = "head" else add("request", request.method) end
  for name, text in pairs(request.headers) do add("header", ("%s: %s"):format(name, text)) end
  if body then add("data-binary", body) end
  if body and body:sub(1, 1) == "@" then lines[#lines] = "data-raw = " .. quoted(body, "body") end
  return table.concat(lines, "\n") .. "\n"
end

local function response_of(result)
  local said, code, header_text = result.stderr:match("^(.-)(%d%d%d)\n({.*})%s*$")
  if result.status ~= 0 or not code then
    local words = (said or result.stderr):gsub("^curl: %(%d+%) ", ""):gsub("%s+$", "")
    return nil, words ~= "" and words or ("curl ended with status %d"):format(result.status)
  end
  local headers, decoded = {}, json.decode(header_text)
  for name, all in pairs(decoded) do headers[name:lower()] = table.concat(all, ", ") end
  local response = { status = math.tointeger(tonumber(code)), headers = headers, body = result.stdout }
  return M.complete("http", response)
end

local function send_request(own, request)
  local where = request.url:match("^https?://[^/?#]+"):gsub("//[^@]*@", "//")
  local ok, result = pcall(M.within_timeout, own, child.run,
    { argv = { "curl", "-q", "--config", "-" }, input = options_of(request) })
  if not ok then
    if err.is(result) and result.code == 902 then
      err.raise { code = 515, message = "hook:http needs the program curl, which cannot be started",
        hint = "install curl" }
    end
    error(result, 0)
  end
  local response, why = response_of(result)
  if response then return response end
  err.raise { code = 515, message = ("no answer from %s: %s"):format(where, why) }
end

local reads = { GET = true, HEAD = true, OPTIONS = true }

--- Sends a request and gives its answer, whatever its status. Redirects are not followed. May wait. Raises code
--- 515 when there is no answer.
---@param own table of lua/run/hooks.lua
---@param request {url: string, method?: string, json?: any, body?: string, headers?: table, timeout?: number,
---  now?: boolean} now: not through the outbox
---@return {status: integer, ok: boolean, headers: table<string, string>, body: string, json: any, queued?: true}
function M.http(own, request)
  check_fields(request)
  not_in_rehearsals(own, "http")
  local plain = plain_request(request)
  options_of(plain) -- raises for what cannot be sent
  if request.now or reads[plain.method] or not outbox.takes(own) then return send_request(own, plain) end
  return outbox.send(own, "http", plain)
end

-- Programs ----------------------------------------------------------------------------------------------

--- The setting of the project file that lets hooks run programs.
M.SETTING = "hook-programs"

-- Whether the root project lets its hooks run a program.
local function is_allowed(project, program)
  local config = project.packages[1].config
  local setting = config[M.SETTING]
  if setting == nil then setting = config[M.SETTING:gsub("-", "_")] end
  setting = opt(setting)
  if setting == true then return true end
  if not value.is_list(setting) then return false end
  for _, name in ipairs(setting) do
    if name == program then return true end
  end
  return false
end

local function check_words(spec)
  if type(spec) ~= "table" or #spec == 0 then
    misuse("hook:run needs a list: hook:run{\"program\", \"argument\"}")
  end
  local words = {}
  for i, word in ipairs(spec) do
    if type(word) ~= "string" and type(word) ~= "number" then
      misuse(("argument %d of hook:run is a %s, not a text"):format(i, type(word)))
    end
    words[i] = tostring(word)
    if words[i]:find("\0", 1, true) then misuse(("argument %d of hook:run holds a zero byte"):format(i)) end
  end
  for key in pairs(spec) do
    if type(key) ~= "number" and key ~= "input" and key ~= "cwd" and key ~= "env" and key ~= "now"
    then
      misuse(("hook:run has no field '%s'"):format(tostring(key)), "its fields are input, cwd, env and now")
    end
  end
  return words
end

local function check_allowed(project, program)
  if is_allowed(project, program) then return end
  err.raise { code = 516, message = ("hook:run may not run '%s'"):format(program),
    hint = ("dbt_project.yml of the root project allows it: `%s: [%s]`, or `true` for all"):format(M.SETTING, program) }
end

local function run_program(own, request)
  local ok, result = pcall(M.within_timeout, own, child.run, { argv = request.argv, env = request.env,
    input = opt(request.input), cwd = opt(request.cwd) or own.run.project.root })
  if not ok then
    if err.is(result) and result.code == 902 then err.raise { code = 516, message = result.message } end
    error(result, 0)
  end
  return M.complete("run", result)
end

--- Runs a program without a shell and gives how it ended. Only when the project file's `hook-programs` allows it,
--- and never for packages. May wait. Raises code 516 when it is not allowed or does not start.
---@param own table of lua/run/hooks.lua
---@param trusted boolean whether the calling function is the root project's or of the standard library
---@param spec table list of words; `input` text for its standard input, `cwd`, `env` table of changes, `now`
---@return {status: integer, ok: boolean, stdout: string, stderr: string, queued?: true}
function M.run(own, trusted, spec)
  local words = check_words(spec)
  not_in_rehearsals(own, "run")
  if not trusted then
    err.raise { code = 516, message = "hooks of packages run no programs" }
  end
  check_allowed(own.run.project, words[1])
  local env = value.list()
  for name, v in pairs(spec.env or {}) do env[#env + 1] = v and ("%s=%s"):format(name, tostring(v)) or name end
  table.sort(env)
  local request = value.dict("argv", value.list(words), "env", env, "input",
    value.or_none(spec.input and tostring(spec.input)), "cwd", value.or_none(spec.cwd))
  if spec.now or not outbox.takes(own) then return run_program(own, request) end
  return outbox.send(own, "run", request)
end

-- For the outbox ------------------------------------------------------------------------------------------

--- Completes an answer with what its other fields say: `ok`, and `json` of a body that is JSON.
---@param kind "http"|"run"
---@param answer table
---@return table answer
function M.complete(kind, answer)
  if kind == "run" then
    answer.stdout, answer.stderr, answer.ok = answer.stdout or "", answer.stderr or "", answer.status == 0
    return answer
  end
  answer.body, answer.headers = answer.body or "", answer.headers or {}
  answer.ok = answer.status >= 200 and answer.status < 300
  if (answer.headers["content-type"] or ""):lower():find("json", 1, true) then
    local ok, content = pcall(json.decode, answer.body)
    if ok then answer.json = content end
  end
  return answer
end

--- Does what a hook asked for, with the key of it: the header Idempotency-Key of a request, unless it has one, and
--- DEX_IDEMPOTENCY_KEY in the environment of a program. May wait. Raises codes 515, 516.
---@param own table `run`, and `deadline` and `hook` when a hook waits for it
---@param kind "http"|"run"
---@param request table as M.http and M.run hand it to the outbox
---@param key string
---@return table answer
function M.perform(own, kind, request, key)
  local sent = value.copy_dict(request)
  if kind == "run" then
    check_allowed(own.run.project, request.argv[1])
    sent.env = value.list(table.move(request.env, 1, #request.env, 2, { "DEX_IDEMPOTENCY_KEY=" .. key }))
    return run_program(own, sent)
  end
  sent.headers = value.copy_dict(request.headers)
  for name in pairs(request.headers) do
    if name:lower() == "idempotency-key" then return send_request(own, sent) end
  end
  sent.headers["Idempotency-Key"] = key
  return send_request(own, sent)
end

return M
