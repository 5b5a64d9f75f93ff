--- What each error code means and what to do: `dex-lua help errors`, `dex-lua help errors 401`. A check in tests/
-- compares this table with the codes that are used. Warnings have codes, too.

local usage = require "help.usage"

local M = {}

--- The ranges of the codes. A code stands in the range of its hundred.
M.ranges = {
  { 1, "The command line, the project, files" },
  { 2, "Templates" },
  { 3, "The graph and selection" },
  { 4, "The database" },
  { 5, "Hooks" },
  { 6, "Operations" },
  { 9, "Inside of dex-lua" },
}

--- Per code: what it means, and what to do.
---@type table<integer, {[1]: string, [2]: string}>
M.codes = {
  -- Command line, project and files
  [101] = { "The command line is wrong: an unknown command, operation or option, or a bad value.",
    "`dex-lua COMMAND --help` shows what a command takes." },
  [102] = { "There is no project in this folder, or its dbt_project.yml (dex_project.yml) has a wrong entry.",
    "Go to the project's folder or name it with --project-dir; else correct the line that is named." },
  [103] = { "A YAML file is not valid YAML, or not of the form that is expected.",
    "Correct the line. Most often it is indentation, a tab, or an unquoted value with `: `, `{` or `%`." },
  [104] = { "The profile, or the folder of profiles.yml, was not found.",
    "See `profile:` in dbt_project.yml, --profile and --profiles-dir. Without any profile a project runs on its own " ..
    "private server." },
  [105] = { "An environment variable is not set, or its use is not allowed here.",
    "Set it, give env_var() a default, and keep DBT_ENV_SECRET_ variables to profiles.yml." },
  [106] = { "The profile has no target of that name.", "See `target:` and `outputs:` of the profile, and --target." },
  [107] = { "The profile is incomplete, or a value in it is wrong.",
    "Correct the line. Host, user, password, port, dbname and schema are required; `type: embedded` needs none." },
  [108] = { "A variable has no value and var() has no default.",
    "Give it under `vars:` in dbt_project.yml, with --vars, or as the second argument of var()." },
  [110] = { "A file or folder could not be read or written.",
    "The system's words say why: look at the path, its permissions, and the space that is left." },
  [111] = { "A setting of a node has a value that it cannot have, or two settings contradict each other.",
    "The message names the allowed values. It came from dbt_project.yml, a properties file or config()." },
  [112] = { "A hook is declared wrongly.",
    "A hook is SQL text, a mapping with `sql`, `lua` or `operation`, or a list of those." },
  [113] = { "An entry of a properties file is wrong.", "Correct the line: every entry is a mapping with a name." },
  [114] = { "A test is declared wrongly.",
    "A test is a name, or a mapping of a name to its arguments, in the list `data_tests`." },
  [115] = { "There is no generic test of that name.",
    "unique, not_null, accepted_values and relationships are built in; others are {% test %} blocks." },
  [116] = { "Two nodes, sources or macros of one kind have the same name.",
    "Rename one of them: ref(), source() and calls find things by their names." },
  [117] = { "Two nodes would be built as the same relation, or a naming macro gave no name.",
    "Give one of them another alias or schema, or correct generate_schema_name and its like." },
  [118] = { "A node is described twice in properties files.", "Keep one of the two entries." },
  [119] = { "A package is missing, or packages.yml is wrong.",
    "`dex-lua deps` installs them. An entry is one of local, git, tarball and package." },
  [120] = { "The project or a package asks for another version of dbt (require-dbt-version).",
    "Use a version of the package that goes with the dbt named in the message, or widen the range." },
  [121] = { "A docs block is missing, or stands there twice.", "See {% docs name %} in the project's .md files." },
  [122] = { "The config() of an operation is wrong.", "The message names the allowed values." },
  [123] = { "A text is not valid JSON.", "Correct the line and column that are named." },
  [124] = { "A value cannot be written as JSON: a function, a number that JSON lacks, or too deep a nesting.",
    "Give tojson() and the like only texts, numbers, booleans, lists and mappings." },
  [125] = { "A unit test is declared wrongly.",
    "It needs `name`, `model`, `given` (a list of inputs with rows) and `expect`; the message names the line." },
  [126] = { "Packages ask for each other in a circle.", "Take one of the packages out of the circle shown." },
  [130] = { "Warning: a file has a key that dex-lua does not know.",
    "Correct it. Settings of your own belong under `meta:`." },
  [131] = { "Warning: an entry of a properties file belongs to no node, or to one of another kind.",
    "Correct the name or the section, or remove the entry." },
  [132] = { "Warning: dbt_project.yml configures a folder that holds no node.", "Correct the path, or remove it." },
  [133] = { "Warning: an ephemeral model has hooks, which never run.", "Move them to a model that is built." },
  [134] = { "Warning: a setting that is a mapping was read as the name of a folder.", "Write it with a plus: +name." },
  [136] = { "Warning: dbt_project.yml has an old name of a setting.", "Use the new name, which the message gives." },
  [138] = { "Warning: a source has `freshness`, and nothing tells when its rows were loaded.",
    "Set `loaded_at_field` or `loaded_at_query`, or leave `freshness` out." },
  [139] = { "A function of the functions folder is declared wrongly.",
    "It needs an entry under `functions:` of a properties file with `returns: {data_type: ...}`." },
  [140] = { "Warning: a git package has no revision, so that it may change from one day to the next.",
    "Name a tag or a commit under `revision:`, or say `warn-unpinned: false`." },
  [141] = { "Warning: a package of an index has another name now.", "Use the new name, which the message gives." },
  [145] = { "Warning: none of a microbatch model's inputs says which of its columns tells the time.",
    "Set `event_time` of the inputs, so that a batch reads its own rows only." },
  [146] = { "Warning: a view or materialized view has constraints, which the database does not have for them.",
    "Remove them, build a table, or set warn_unsupported: false." },
  [147] = { "Warning: a model is past its deprecation date, or another model refers to one that is deprecated.",
    "Remove the deprecated model, or refer to its latest version." },
  [148] = { "Warning: there are semantic models, and no model is a time spine with days or less.",
    "dbt refuses such a project. Describe a model with one row a day, and give it " ..
    "`time_spine: {standard_granularity_column: COLUMN}`." },
  [149] = { "A warning, which --warn-error or --warn-error-options makes an error.",
    "Heed it, or take it out with --warn-error-options; `dex-lua help warnings` has the names." },
  [142] = { "Warning: a line of .env is no NAME=value.", "Correct the line, or put a # in front of it." },
  [143] = { "The query-comment holds the end of a comment.", "Take `*/` out of it." },
  [160] = { "A row of a seed has more or fewer cells than its header.",
    "Correct the line: a cell that holds the delimiter or a line end needs double quotes." },
  [161] = { "A quoted cell of a seed never ends.", "Close the quote; a quote inside of quotes is written twice." },
  [162] = { "A seed has no header row.", "The first line of a CSV file names its columns." },
  [163] = { "A seed cannot be loaded: a view has its name.", "Drop the view, or give the seed another alias." },
  [164] = { "A seed has a column that its table lacks.", "`dex-lua seed --full-refresh` makes the table anew." },
  [165] = { "The database refused a cell of a seed.",
    "Correct the cell, set `column_types` of the seed, or make the table anew with --full-refresh." },
  [166] = { "The delimiter of a seed is not one character.", "See `delimiter` in the seed's settings." },
  [167] = { "A seed is a Parquet file, and those are not loaded yet.", "Write it as CSV." },
  [170] = { "`store_failures_as` has a wrong value.", "It is table, view or ephemeral." },
  [171] = { "A test's query did not give one row with a number.",
    "`fail_calc` must be an aggregate such as count(*) that never gives NULL; write coalesce(..., 0)." },
  [175] = { "There is no materialization of that name.",
    "The built-in ones are table, view, incremental, materialized_view, snapshot and ephemeral; others are " ..
    "{% materialization %} blocks, and files of the folder materializations." },
  [176] = { "A {% materialization %} block did not return the relations that it built.",
    "End it with {{ return({'relations': [target_relation]}) }}." },
  [177] = { "A setting of a model contradicts its materialization.", "Correct it as the message says." },

  [178] = { "The age of a source cannot be told.",
    "Set `loaded_at_field` or `loaded_at_query`, which gives a timestamp." },
  [179] = { "A unit test cannot be run as it is written.",
    "Every model and source that the tested model reads is an input, and expected rows name columns of the model." },

  -- Templates
  [181] = { "`dex-lua attach` was not let in by a run, or there is none to attach to.",
    "See `dex-lua help debugger`: the token is in the project's .dex/debug/ while the run goes on; one client at a " ..
      "time is let in." },
  [201] = { "A template has a syntax error.", "Correct the line: a block or expression is incomplete or unknown." },
  [202] = { "A template uses a name that is not defined, or a column that a result lacks.",
    "Correct the name, or give it a value: {{ name | default('...') }}." },
  [203] = { "A template uses something where it has no place, such as return() outside of a macro.",
    "Move it into a macro." },
  [204] = { "A value in a template has the wrong type, or an argument does not fit.",
    "Look at what the line gives to the operator, filter or macro that is named." },
  [205] = { "An expression in a template failed: a missing key, a division by zero, a bad date, ...",
    "The words are Python's, as in dbt. Look at the values in the line." },
  [206] = { "Macros, loops or values are nested without end.", "Look for a macro that calls itself." },
  [207] = { "A template reached for something that templates may not touch.", "Leave it out." },
  [208] = { "A template does not come to an end, or takes more memory than there is.",
    "Look for a loop or a macro that never stops, and ask the database for less at once." },
  [209] = { "A macro, filter or test that is written in Lua failed.",
    "The line is the Lua file's; `error(message, 0)` gives a message of your own." },
  [221] = { "What was typed at the prompt, or a script of `dex-lua repl`, is no Lua.",
    "The caret shows where it cannot be understood." },
  [231] = { "exceptions.raise_compiler_error() or one of its kind was called.", "The message is the macro's own." },
  [232] = { "ref() or source() has the wrong arguments.",
    "Write ref('model'), ref('package', 'model'), ref('model', " ..
    "version=1), or source('source', 'table')." },
  [233] = { "ref() or source() in a macro or hook names something that is not there, or is disabled.",
    "Correct the name; `dex-lua ls` lists the nodes." },
  [234] = { "A ref() was not seen when the files were read, so the order of the run does not know of it.",
    "Add a comment that is always rendered: -- depends_on: {{ ref('...') }}" },
  [235] = { "An ephemeral model is used where a relation of the database is needed.",
    "Make it a view or a table, or use it in a model's SQL only." },
  [236] = { "config() has a wrong or missing setting.", "Correct it as the message says." },
  [237] = { "There is no macro of that name, or adapter.dispatch() was called wrongly.",
    "Correct the name; adapter.dispatch('name', 'package')(...) is the form." },
  [238] = { "The result of a statement was taken twice.", "load_result() gives it once: keep it in a variable." },
  [240] = { "An argument of an adapter method, a relation or a column is wrong.", "Correct it as the message says." },
  [241] = { "A model and its contract differ.",
    "Give every column a `data_type` in the properties file, and make names and types agree." },
  [242] = { "This function is not available here, or not on PostgreSQL.", "Leave it out, or test target.type." },
  [243] = { "The name of a relation is longer than PostgreSQL allows, 63 bytes.",
    "Give the node a shorter alias." },
  [244] = { "A model is in Python, which PostgreSQL cannot run.", "Write it in SQL, or disable it." },
  [245] = { "A constraint is declared wrongly.", "Its type is check, not_null, unique, primary_key or foreign_key." },

  -- Graph
  [301] = { "A node refers to a node that does not exist.", "Correct the name in ref()." },
  [302] = { "Nodes depend on each other in a circle.", "Break the circle that the message shows." },
  [303] = { "A node refers to a source that does not exist.", "Correct source(), or declare it in a properties file." },
  [304] = { "A node refers to a node or source that is disabled.", "Enable it, or disable what refers to it." },
  [305] = { "Several packages have a node of that name.", "Name the package: ref('package', 'name')." },
  [306] = { "A model may not refer to this model, which is private or protected.",
    "See `access` and `group` of the model." },
  [315] = { "A node refers to a function or metric that does not exist.",
    "Correct the name in function() or metric(); `dex-lua ls` lists them." },
  [307] = { "A selector of --select, --exclude or selectors.yml is wrong.",
    "Names, path:..., tag:..., source:..., config.x:y, +parents, children+ are the usual ones." },
  [308] = { "A hook of a seed has a ref() or source(), and seeds depend on nothing.",
    "Move the hook to a model, or to on-run-end." },
  [309] = { "Warning: a test refers to a node that does not exist and is left out.", "Correct the name in the test." },
  [310] = { "Warning: a selector matches no enabled node.", "Correct the name; `dex-lua ls` lists the nodes." },
  [311] = { "The artifacts of an earlier run are needed, and they are not there or cannot be read.",
    "--state names the target folder of that run, or a copy of it." },
  [312] = { "A change breaks the contract of a model, for those who rely on it.",
    "Give the model a new version, and keep the old one for a while." },

  -- Database
  [401] = { "The database refused a statement; its SQLSTATE is given.",
    "The words, the detail and the hint are PostgreSQL's; the line is that of your file where it is known." },
  [402] = { "The connection was lost while a statement ran.",
    "Look into the server's log: was it stopped, or was the session ended? Then run again." },
  [403] = { "No connection to the database: not reachable, or user, password or database were refused.",
    "`dex-lua debug` shows what is used. Correct the profile, or start the server." },
  [404] = { "A connection was used after it was closed or given back.",
    "Keep the hook object and its results to the hook that got them." },
  [405] = { "The source of a COPY ended with an error, so nothing of it was kept.",
    "The message is the source's: the file that is read, or the hook's iterator." },
  [406] = { "A statement began a COPY to or from the client, which has no place here.",
    "Load files as seeds or with hook:copy(); select rows instead of copying them out." },
  [407] = { "A value cannot be sent to the database as a parameter or as text.",
    "Bind texts, numbers, booleans and nil, without zero bytes." },
  [410] = { "The private server needs PostgreSQL's programs, and none were found.",
    "Install the package that is named (postgresql), or name the programs' folder in DEX_PG_BIN." },
  [411] = { "The private server's data was made by another major version of PostgreSQL.",
    "Install that version, or make the data anew: `dex-lua db destroy`." },
  [412] = { "PostgreSQL does not run as root, and there is no user to run it as.",
    "Create a user postgres or nobody, or run dex-lua as an ordinary user." },
  [413] = { "The private server's folder belongs to another user, or that user cannot reach it.",
    "Run as the owner of the project, or let the server's user pass the folders above it." },
  [414] = { "The private server's data could not be created.", "The last lines of its log say why: a full disk, ..." },
  [415] = { "The private server ended while it was starting.", "The last lines of its log say why." },
  [416] = { "The private server was not ready in time; it goes on starting.",
    "Run the command again: after a crash the server repairs its data first." },
  [417] = { "The private server is in use, so it cannot be destroyed.",
    "Let the other command end, or stop it; `dex-lua db status` shows the server." },
  [418] = { "The private server did not stop in time.", "Try again; its log is .dex/pg/log." },
  [419] = { "The system refused something that the private server needs: a lock, a folder, a process.",
    "The system's words say what; look at permissions, space and limits." },
  [421] = { "There is no connection at this point, so nothing can be queried.",
    "Run queries while a node, hook or operation runs; `if execute` guards a template." },
  [422] = { "A relation or schema is in another database than the target's.",
    "PostgreSQL reaches one database per connection: leave `database` out." },
  [423] = { "A relation is there whose name differs only in the case of its letters.",
    "Drop or rename one of them, or set `quoting`." },
  [424] = { "A relation is missing, or is of another kind than is needed.", "Build it first, or drop or rename it." },
  [425] = { "Another command works on this project and target.",
    "Let it end, or say --lock wait; the message names its process." },
  [426] = { "The run that is to be taken up has not ended.",
    "The message names its process; let it end. One that was killed is free as soon as the server has noticed." },

  -- Hooks and operations
  [501] = { "A statement of a hook failed.", "The words are PostgreSQL's; file and line are those of the hook." },
  [502] = { "A Lua hook raised an error.", "See the file and line; --debug shows the way there." },
  [503] = { "A file of the hooks folder does not load.",
    "Correct it. A hook module ends with `return` and its table of functions." },
  [504] = { "There is no such hook module, or no such function in it.",
    "`lua: audit.row_count` is the function row_count of hooks/audit.lua." },
  [505] = { "A hook or operation ended the transaction that it runs in.",
    "Leave out its commit or rollback, or declare it with `transaction: false`." },
  [506] = { "A hook outside of the transaction left one of its own open, which was rolled back.",
    "End it with commit, or declare the hook with `transaction: true`." },
  [507] = { "A hook took longer than its timeout.", "Raise `timeout`, or make it faster." },
  [508] = { "A hook called hook:fail().", "The message is the hook's own." },
  [509] = { "A Lua hook used its `hook` object wrongly, or a field that is not there.",
    "The message names the nearest one; stdlib/README.md explains all of them." },
  [510] = { "A Lua hook returned something that is no SQL.", "Return nothing, or SQL as text." },
  [512] = { "before_begin() stands inside of a hook's text, where it comes too late.",
    "Write config(pre_hook=before_begin(\"...\")), or {sql: ..., transaction: false}." },
  [513] = { "A hook names an operation that is not there, or several of that name.",
    "Name it by its path below operations/; `dex-lua operation ls` lists them." },
  [514] = { "A statement failed and the error was caught, so the transaction could not be committed.",
    "Let the error pass, or run the statement in hook:savepoint()." },
  [515] = { "hook:http got no answer.",
    "The words are curl's. See the address, the timeout, and that curl is installed." },
  [516] = { "hook:run may not run this program, or it cannot be started.",
    "`hook-programs` in the root project's dbt_project.yml allows programs by name, or all with `true`." },
  [517] = { "A Lua hook does not come to an end, or takes more memory than it may.",
    "Look for a loop that never stops, and read with hook:rows." },
  [518] = { "What a hook wanted to do outside of the database could not be delivered.",
    "See what the receiver says. It stays in the outbox of the ledger; `dex-lua retry` delivers it." },

  -- Operations
  [601] = { "A parameter is declared wrongly.", "The message names the keys and types that there are." },
  [602] = { "The arguments of an operation do not fit its parameters.",
    "`dex-lua operation show NAME` lists them." },
  [603] = { "An operation may not run on this target.", "Its setting `targets` says where it may: see --target." },
  [604] = { "An operation asks before it runs (`confirm`), and was not answered with yes.",
    "Answer at a terminal, or say --yes." },
  [605] = { "An operation took longer than its timeout.", "Raise `timeout`, or make it faster." },
  [606] = { "What an operation returned is no JSON.",
    "A Python script writes JSON to the file of DEX_RESULT; a Lua function returns texts, numbers and tables." },
  [607] = { "A Python operation failed.",
    "Its last line is in the message; its output, with the traceback, in the log." },
  [608] = { "The Python interpreter cannot be started.",
    "`python:` in dbt_project.yml names an interpreter or the folder of a virtual environment." },

  -- Inside
  [901] = { "A Lua error that nobody expected.", "A defect of dex-lua, if no hook of yours raised it: please report " ..
    "what --debug shows." },
  [902] = { "The system refuses what the event loop needs.", "See `ulimit -n`, and the memory that is left." },
  [903] = { "There is no memory for the Lua machine.", "See `ulimit -v`, and the memory that is left." },
  [904] = { "Something that may wait was called where it cannot wait.",
    "No queries in a sort comparator, a gsub callback, a module's body or a coroutine of your own: collect first, " ..
    "query afterwards." },
  [905] = { "coroutine.yield was called outside of a coroutine.", "Yield only inside of coroutine.create or .wrap." },
  [906] = { "A phase ended while one of its statements was still running.",
    "A defect of dex-lua: please report what --debug shows." },
  [907] = { "The wait was cancelled: by a signal, --fail-fast or a timeout.", "Nothing; run again." },
  [908] = { "The system gives this process no more memory.",
    "Raise the limit (ulimit -v, or that of the container), or run fewer threads." },
}

local function entry(code)
  local text = M.codes[code]
  return ("  %d  %s\n       %s"):format(code, usage.wrap(text[1], 7), usage.wrap(text[2], 7))
end

--- The page of all codes, or of one.
---@param code integer|nil
---@return string|nil page nil when there is no such code
function M.page(code)
  if code then return M.codes[code] and entry(code) .. "\n" end
  local codes = {}
  for known in pairs(M.codes) do codes[#codes + 1] = known end
  table.sort(codes)
  local out = { usage.wrap(
    "An error is printed with its code. The first line says what the code means, the second what to " ..
    "do. `dex-lua help errors CODE` shows one.", 0) }
  local at = 1
  for _, range in ipairs(M.ranges) do
    out[#out + 1] = ("\n%dxx  %s\n"):format(range[1], range[2])
    while codes[at] and codes[at] // 100 == range[1] do
      out[#out + 1] = entry(codes[at])
      at = at + 1
    end
  end
  return table.concat(out, "\n") .. "\n"
end

return M
