--- The one table of commands and options. Parsing (help/arguments.lua) and `--help` (help/usage.lua) read
-- it; nothing else knows an option's name.

local M = {}

--- An option: `name` long form without dashes, `short` one letter, `aliases`, `arg` placeholder of its
--- value (none: a flag), `many` takes all words up to the next option, `choices`, `env` variable read when
--- it is absent (dbt's names), `negatable` has a `--no-` form, `uuid`, `integer` above 0 (`zero`: or 0,
--- `any`: or below), `default`, `help` one line, `only` and `except` a command; `ignored` for options of dbt that are
--- taken and change nothing, `refused` a sentence for those that would change something and cannot.
M.options = {
  { name = "select", short = "s", aliases = { "models", "model" }, mshort = "m", arg = "SELECTOR", many = true,
    help = "Nodes to work on: names, paths, tag:x, +parents, children+" },
  { name = "exclude", arg = "SELECTOR", many = true, help = "Nodes to leave out, in the same syntax" },
  { name = "resource-type", aliases = { "resource-types" }, arg = "TYPE", many = true, env = "DBT_RESOURCE_TYPES",
    help = "Only these kinds: model, seed, test, ..." },
  { name = "exclude-resource-type", aliases = { "exclude-resource-types" }, arg = "TYPE", many = true,
    env = "DBT_EXCLUDE_RESOURCE_TYPES", help = "All kinds but these" },
  { name = "selector", arg = "NAME", help = "A selection that selectors.yml names" },
  { name = "indirect-selection", arg = "MODE", choices = { "eager", "cautious", "buildable", "empty" },
    env = "DBT_INDIRECT_SELECTION", help = "Which tests come along: eager, cautious, buildable or empty" },
  { name = "state", arg = "DIR", env = "DBT_STATE", help = "Artifacts of an earlier run, for state: and result:" },
  { name = "defer", env = "DBT_DEFER", negatable = true,
    help = "Read what is not built here from where that run has built it" },
  { name = "favor-state", env = "DBT_FAVOR_STATE", negatable = true,
    help = "With --defer: even when it is built here, too" },
  { name = "defer-state", arg = "DIR", env = "DBT_DEFER_STATE",
    help = "Artifacts for --defer (else those of --state)" },
  { name = "full-refresh", short = "f", env = "DBT_FULL_REFRESH", negatable = true,
    help = "Drop and rebuild seeds and incremental models" },
  { name = "empty", env = "DBT_EMPTY", negatable = true,
    help = "ref() and source() give no rows: a dry run of the types" },
  { name = "sample", arg = "WINDOW", env = "DBT_SAMPLE",
    help = "ref() and source() give the rows of this time: '3 days', '{start: 2024-01-01, end: 2024-02-01}'" },
  { name = "event-time-start", arg = "TIME", env = "DBT_EVENT_TIME_START",
    help = "Microbatch models: the first batch is that of this time (UTC)" },
  { name = "event-time-end", arg = "TIME", env = "DBT_EVENT_TIME_END",
    help = "Microbatch models: batches up to this time (UTC)" },
  { name = "fail-fast", short = "x", env = "DBT_FAIL_FAST", negatable = true,
    help = "Stop at the first failure" },
  { name = "threads", arg = "N", integer = true, env = "DBT_THREADS", help = "How many nodes run at once" },
  { name = "single-threaded", env = "DBT_SINGLE_THREADED", negatable = true, help = "The same as --threads 1" },
  { name = "no-hooks", help = "Run no hook at all" },
  { name = "skip-hook", arg = "NAME", many = true, help = "Leave out the hooks of these names" },
  { name = "debug-hooks", help = "Open a prompt where a hook or a model fails, its transaction still open" },
  { name = "debug-listen", arg = "ADDRESS",
    help = "Breakpoints wait for `dex-lua attach`: 127.0.0.1:PORT, port 0 for any free one" },
  { name = "debug-anywhere", help = "--debug-listen may be an address that other machines reach" },
  { name = "target", short = "t", arg = "NAME", env = "DBT_TARGET", help = "Target of the profile" },
  { name = "profile", arg = "NAME", env = "DBT_PROFILE", help = "Profile in place of the project file's" },
  { name = "profiles-dir", arg = "DIR", env = "DBT_PROFILES_DIR",
    help = "Folder of profiles.yml (else the project, then ~/.dbt)" },
  { name = "project-dir", arg = "DIR", env = "DBT_PROJECT_DIR", help = "Folder of the project (else this one)" },
  { name = "target-path", arg = "DIR", env = "DBT_TARGET_PATH", help = "Where artifacts are written" },
  { name = "no-deps", help = "Do not install packages that are missing" },
  { name = "upgrade", help = "The newest versions that packages.yml allows, not those of package-lock.yml",
    only = "deps" },
  { name = "lock", help = "Write package-lock.yml and install nothing", only = "deps" },
  { name = "add-package", arg = "PACKAGE", only = "deps",
    help = "Write it into packages.yml first: dbt-labs/dbt_utils@1.3.0, or what --source says" },
  { name = "source", arg = "KIND", choices = { "hub", "git", "tarball", "local" }, default = "hub", only = "deps",
    help = "What --add-package names: hub, git (@ a revision), tarball or local" },
  { name = "lock", arg = "MODE", choices = { "wait", "fail", "off" }, env = "DBT_LOCK",
    except = "deps", help = "Other commands on this project and target: wait for them, fail, or off" },
  { name = "vars", arg = "YAML", help = "Variables, as a YAML mapping: '{key: value}'" },
  { name = "warn-error", env = "DBT_WARN_ERROR", negatable = true, help = "Warnings are errors" },
  { name = "warn-error-options", arg = "YAML", env = "DBT_WARN_ERROR_OPTIONS",
    help = "Some are: '{error: all, warn: [DeprecatedModel], silence: [130]}', by dbt's name or our code" },
  { name = "version-check", env = "DBT_VERSION_CHECK", negatable = true,
    help = "--no-version-check does not look at require-dbt-version" },
  { name = "log-format", arg = "FORMAT", choices = { "text", "json", "debug", "default" }, env = "DBT_LOG_FORMAT",
    default = "text", help = "text, or json: one event a line" },
  { name = "log-format-file", arg = "FORMAT", choices = { "text", "json", "debug", "default" },
    env = "DBT_LOG_FORMAT_FILE", help = "The same for the log file (else that of --log-format)" },
  { name = "log-level", arg = "LEVEL", choices = { "debug", "info", "warn", "error", "none" },
    env = "DBT_LOG_LEVEL", default = "info", help = "debug, info, warn, error or none" },
  { name = "log-level-file", arg = "LEVEL", choices = { "debug", "info", "warn", "error", "none" },
    env = "DBT_LOG_LEVEL_FILE", default = "debug", help = "The same for the log file; none writes no file" },
  { name = "log-path", arg = "DIR", env = "DBT_LOG_PATH", help = "Folder of the log file (else logs)" },
  { name = "log-file-max-bytes", arg = "N", integer = true, zero = true, env = "DBT_LOG_FILE_MAX_BYTES",
    default = 10485760, help = "A log file that has grown to this begins anew; 0 lets it grow" },
  { name = "debug", short = "d", env = "DBT_DEBUG", negatable = true, help = "The same as --log-level debug" },
  { name = "quiet", short = "q", env = "DBT_QUIET", negatable = true, help = "Only errors, and what print() says" },
  { name = "print", env = "DBT_PRINT", negatable = true, help = "--no-print leaves out what print() says" },
  { name = "printer-width", arg = "N", integer = true, env = "DBT_PRINTER_WIDTH",
    help = "Columns of the output where it is no terminal (else 80)" },
  { name = "use-colors", env = "DBT_USE_COLORS", negatable = true,
    help = "Colours even without a terminal; NO_COLOR is honoured" },
  { name = "use-colors-file", env = "DBT_USE_COLORS_FILE", negatable = true, help = "Colours in the log file" },
  { name = "write-json", env = "DBT_WRITE_JSON", negatable = true, help = "--no-write-json writes no artifacts" },
  { name = "partial-parse", env = "DBT_PARTIAL_PARSE", negatable = true,
    help = "--no-partial-parse reads every file, whatever target/partial_parse.dex holds" },
  { name = "parse-processes", arg = "N", integer = true, env = "DBT_PARSE_PROCESSES",
    help = "How many processes read the project (else as many as there are processors, if it is large)" },
  { name = "history", env = "DBT_HISTORY", negatable = true,
    help = "--no-history keeps no record of this command in .dex/state.db" },
  { name = "invocation-id", arg = "UUID", uuid = true, env = "DBT_INVOCATION_ID",
    help = "What logs and artifacts are marked with" },
  { name = "store-failures", env = "DBT_STORE_FAILURES", negatable = true,
    help = "Keep the rows that failed a test in a table" },
  { name = "inline", arg = "SQL", help = "SQL with Jinja in place of a model" },
  { name = "inline-direct", arg = "SQL", help = "SQL as it is, sent without reading the project's models" },
  { name = "limit", arg = "N", integer = true, any = true, default = 5, help = "Rows to show; -1 shows all",
    only = "show" },
  { name = "show", help = "Show some rows of each seed that was loaded" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "selector", "name", "path", "json", "tree" },
    default = "selector", help = "selector, name, path, json or tree", only = "ls" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "tree", "svg" }, default = "tree",
    help = "tree, or svg: a picture", only = "graph" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "table", "json", "csv", "text" },
    default = "table", help = "table, json or csv", only = "show" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "text", "json" }, default = "text",
    help = "How one node is printed: text, or json", only = "compile" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "table", "json", "csv" },
    default = "table", help = "Result sets as table, json or csv; ls: text or json", only = "operation" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "text", "json" }, default = "text", only = "flow",
    help = "ls, show, next, history: text or json" },
  { name = "count", arg = "N", integer = true, only = "flow", help = "next, history: how many" },
  { name = "from", arg = "WHERE", default = "failure", only = "flow",
    help = "rerun: failure, all, or the node from which on everything runs again" },
  { name = "select", short = "s", arg = "NODE", many = true, only = "flow", help = "rerun: only these nodes" },
  { name = "dry-run", help = "run, rerun: print what would run, and run nothing", only = "flow" },
  { name = "dry-run", help = "run: print what would run, and run nothing", only = "operation" },
  { name = "yes", short = "y", help = "The answer for operations that ask before they run" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "text", "json" }, default = "text",
    help = "text, or json: one object a line", only = "hooks" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "text", "json" }, default = "text",
    help = "text, or json: one object a line", only = "plan" },
  { name = "of", arg = "COMMAND", choices = { "run", "build", "test", "seed", "snapshot" },
    help = "ls: the hooks of this command (else build)" },
  { name = "phase", arg = "PHASE", choices = { "pre_outside", "pre_hooks", "post_hooks", "post_outside", "on_failure",
    "always" }, help = "run: only the hooks of this phase (else all before and after)", except = "repl" },
  { name = "node", arg = "NAME", help = "Stand in this node's place: its hook, this, connection and transaction",
    only = "repl" },
  { name = "phase", arg = "PHASE", choices = { "pre_outside", "pre_hooks", "build", "post_hooks", "post_outside",
    "on_failure", "always" }, only = "repl", help = "At the beginning of which of its phases (else post_hooks)" },
  { name = "name", arg = "NAME", help = "run: only the hook of this name" },
  { name = "output", short = "o", arg = "FILE", help = "Where the result is written (else target/sources.json)",
    only = "source" },
  { name = "output-keys", arg = "KEY", many = true, help = "Keys of the json output" },
  { name = "output", short = "o", arg = "FORMAT", choices = { "table", "json", "csv" }, default = "table",
    help = "table, json or csv", only = "history" },
  { name = "limit", arg = "N", integer = true, default = 20, help = "The most that are shown", only = "history" },
  { name = "since", arg = "TIME", help = "Only what is not older: 7d, 12h, 2026-01-31", only = "history" },
  { name = "status", arg = "STATUS", help = "Only runs of this status: success, failed, ...", only = "history" },
  { name = "failures", help = "The nodes that failed, the last first", only = "history" },
  { name = "slowest", arg = "KIND", choices = { "nodes", "hooks" }, help = "What took longest: nodes or hooks",
    only = "history" },
  { name = "node", arg = "NODE", help = "The runs of one node", only = "history" },
  { name = "format", arg = "FORMAT", choices = { "json", "csv" }, default = "json",
    help = "export: json, a run a line, or csv, a row for each node", only = "state" },
  { name = "args", arg = "YAML", help = "Arguments, as a YAML mapping: '{role: analytics}'" },
  { name = "arg", short = "a", arg = "KEY=VALUE", each = true, help = "One argument; may be repeated" },
  { name = "compile", negatable = true, only = "docs", help = "--no-compile leaves out the compiled SQL" },
  { name = "empty-catalog", only = "docs", help = "Do not ask the database for columns" },
  { name = "static", only = "docs", ignored = true, help = "The page is always one file" },
  { name = "host", arg = "ADDRESS", env = "DBT_HOST", default = "127.0.0.1", only = "docs",
    help = "serve: the address to listen on" },
  { name = "port", arg = "N", integer = true, zero = true, default = 8080, only = "docs",
    help = "serve: the port, 0 for any free one" },
  { name = "browser", negatable = true, only = "docs", help = "Accepted: no browser is opened" },
  { name = "sql", arg = "SQL", help = "SQL with Jinja in place of a macro" },
  { name = "execute", short = "e", arg = "CODE", help = "Lua in place of a script; what it gives is printed" },
  { name = "batch", help = "Render JSON lines from standard input to standard output" },
  { name = "context", arg = "JSON", help = "Variables of the template, a JSON object" },
  { name = "context-file", arg = "FILE", help = "The same, from a file" },
  { name = "clean-project-files-only", negatable = true, env = "DBT_CLEAN_PROJECT_FILES_ONLY", only = "clean",
    help = "--no-clean-project-files-only deletes folders outside of the project, too" },
  { name = "config-dir", only = "debug", help = "Only show where the profiles are" },
  { name = "connection", only = "debug", help = "Only try the connection" },
  { name = "skip-profile-setup", short = "s", only = "init", ignored = true, help = "No profile is asked for" },
  { name = "skip-debug", only = "init", ignored = true, help = "No connection is tried" },
  { name = "keep", help = "Leave the data and only stop the server", only = "db" },
  { name = "listen", arg = "ADDRESS", default = "127.0.0.1:8642",
    help = "Where the page is: an address and a port, 0 for any free one" },
  { name = "allow-host", arg = "NAME", many = true, help = "Answer requests for this name, too: that of a proxy" },
  { name = "no-page", help = "Run the schedules only" },
  { name = "no-schedules", help = "Start nothing by itself" },
  { name = "schedules", help = "Run the schedules, too" },
  { name = "no-open", help = "Start no browser" },
  { name = "max-runs", arg = "N", integer = true, default = 4, help = "How many runs go on at once" },
  { name = "grace", arg = "TIME", default = "30s",
    help = "How long runs may go on after SIGTERM before they are cancelled" },
  { name = "print-unit", help = "Print a unit file for systemd and do nothing else" },
  { name = "role", arg = "ROLE", choices = { "view", "run" }, default = "view", only = "serve",
    help = "token add: look only, or start and cancel runs, too" },
  { name = "verbose", short = "v", help = "Versions of the libraries, too", only = "version" },
  { name = "help", short = "h", help = "Show this help" },
}

-- Options of dbt about things that are otherwise here: its parser, its caches, its service. Scripts that give them
-- go on.
local ignored = [[partial-parse-file-diff static-parser use-experimental-parser
  populate-cache cache-selected-only log-cache-events send-anonymous-usage-stats use-fast-test-edges introspect
  hints-enabled include-saved-query show-all-deprecations
  snowflake-projects-otel show-resource-report inject-ephemeral-ctes
  partial-parse-file-path=FILE maximum-seed-size-mib=N sqlparse=YAML]]
local refused = {
  { "use-v2-parser", "there is one parser here", alias = "v2-parser" },
  { "record-timing-info", "timings are in target/run_results.json", short = "r" },
  { "upload-to-artifacts-ingest-api", "nothing is sent anywhere" },
  { "export-saved-queries", "saved queries are not exported" },
  { "macro-debugging", "there is no debugger of Python here" },
}

for word in ignored:gmatch("%S+") do
  local name, arg = word:match("^([^=]+)=?(.*)$")
  M.options[#M.options + 1] = { name = name, arg = arg ~= "" and arg or nil, negatable = arg == "", ignored = true,
    help = "Accepted, without effect" }
end
for _, row in ipairs(refused) do
  M.options[#M.options + 1] = { name = row[1], short = row.short, aliases = { row.alias }, negatable = true,
    refused = row[2], help = "Refused: " .. row[2] }
end

local connection = { "target", "profile", "profiles-dir", "project-dir", "vars", "no-deps", "version-check",
  "partial-parse", "parse-processes", "single-threaded" }
local logging = { "log-format", "log-level", "debug", "quiet", "print", "use-colors", "printer-width", "warn-error",
  "warn-error-options", "log-path", "log-level-file", "log-format-file", "log-file-max-bytes", "use-colors-file",
  "target-path", "write-json", "invocation-id" }
local selection = { "select", "exclude", "selector", "resource-type", "exclude-resource-type", "indirect-selection",
  "state", "defer", "favor-state", "defer-state" }
local recorded = { "history" }
local debugging = { "debug-hooks", "debug-listen", "debug-anywhere" }
local execution = { "threads", "lock", "fail-fast", "full-refresh", "no-hooks", "skip-hook", table.unpack(debugging) }
local batches = { "empty", "sample", "event-time-start", "event-time-end" }

local function sets(...)
  local all = {}
  for _, set in ipairs { ... } do table.move(set, 1, #set, #all + 1, all) end
  all[#all + 1] = "help"
  return all
end

--- Under which title an option stands in a command's help; all others are the command's own.
M.groups = {
  { title = "Selection", names = selection },
  { title = "Execution", names = table.move(batches, 1, #batches, #execution + 1, { table.unpack(execution) }) },
  { title = "Project and connection", names = connection },
  { title = "Output", names = logging },
}

--- A command: `name`, `aliases`, `summary` one line, `args` what stands after the name, `text` its help,
--- `actions` rows of a word and what it does, `options` names, `examples`, `data` when programs read its output,
--- so that messages go to standard error.
M.commands = {
  { name = "run", summary = "Build the selected models",
    options = sets(selection, execution, batches, { "yes" }, recorded, connection, logging),
    text = "Builds models in the order of their ref()s, each with its hooks, in a transaction of its own.\n" ..
      "Seeds and tests are left out: `dex-lua build` runs everything.",
    examples = { "dex-lua run --select +orders", "dex-lua run -s tag:nightly --exclude path:models/old" } },
  { name = "build", summary = "Build seeds, models and snapshots and run tests, in graph order",
    options = sets(selection, { "store-failures", "show", "yes" }, execution, batches, recorded, connection, logging),
    text = "Seeds, models, snapshots and tests in one graph. Whatever stands below a failed node, or below a\n" ..
      "failed test, is skipped.",
    examples = { "dex-lua build", "dex-lua build --select staging+ --fail-fast" } },
  { name = "test", summary = "Run the tests of the selected nodes",
    options = sets(selection, { "store-failures" }, execution, recorded, connection, logging),
    text = "Generic tests of the properties files and singular tests of the tests folder.",
    examples = { "dex-lua test --select orders", "dex-lua test -s test_type:singular" } },
  { name = "seed", summary = "Load the CSV files of the seeds folder",
    options = sets(selection, execution, { "empty", "show" }, recorded, connection, logging),
    text = "Each file becomes a table, loaded through COPY. A table that is there is emptied and filled\n" ..
      "again in one transaction; with --full-refresh it is dropped and made anew.",
    examples = { "dex-lua seed", "dex-lua seed --select airports --full-refresh" } },
  { name = "snapshot", summary = "Bring the snapshots up to date",
    options = sets(selection, { "threads", "lock", "fail-fast", "no-hooks", "skip-hook", "empty" }, debugging,
      recorded, connection, logging),
    text = "A snapshot keeps every version of the rows of its query. Each is applied in a transaction, and\n" ..
      "two commands at once apply no change twice.",
    examples = { "dex-lua snapshot", "dex-lua snapshot --select customers_history" } },
  { name = "clone", summary = "Make views on what an earlier run has built elsewhere",
    options = sets(selection, { "threads", "lock", "fail-fast", "full-refresh" }, recorded, connection, logging),
    text = "Each selected seed, model and snapshot becomes a view on the relation that the artifacts of --state\n" ..
      "know it by. What is there already stays, except with --full-refresh. No hook runs.",
    examples = { "dex-lua clone --state prod-artifacts",
      "dex-lua clone --select staging --state prod --full-refresh" } },
  { name = "compile", summary = "Render the selected nodes to target/compiled, run nothing",
    options = sets(selection, { "inline", "output", "threads", "full-refresh", "empty" }, connection, logging),
    text = "Renders SQL as it would be run. One selected node, or --inline, is printed as well. Hooks\n" ..
      "are not rendered and have no effect.",
    examples = { "dex-lua compile --select orders",
      "dex-lua compile --inline 'select * from {{ ref(\"orders\") }}'" } },
  { name = "ls", aliases = { "list" }, data = true, summary = "List the nodes of the project",
    options = sets(selection, { "output", "output-keys" }, connection, logging),
    text = "Models, seeds, tests and sources, one a line, sorted. Needs no database.",
    examples = { "dex-lua ls --select +orders --output path", "dex-lua ls --resource-type test" } },
  { name = "graph", data = true, summary = "Draw the lineage of the selected nodes",
    options = sets(selection, { "output" }, connection, logging),
    text = "What is built from what, as a tree or as a picture in SVG. Needs no database.",
    examples = { "dex-lua graph --select +orders", "dex-lua graph --output svg > lineage.svg" } },
  { name = "parse", summary = "Read the project and write target/manifest.json",
    options = sets({ "threads" }, connection, logging),
    text = "Checks everything that can be checked without a database.",
    examples = { "dex-lua parse" } },
  { name = "show", data = true, summary = "Show the first rows of a model or of any SQL",
    options = sets(selection, { "inline", "inline-direct", "limit", "output", "threads", "full-refresh" }, connection,
      logging),
    text = "Runs the compiled SQL of one node with a limit and prints what it gives. Builds nothing.",
    examples = { "dex-lua show --select orders --limit 20", "dex-lua show --inline 'select 1 as one'" } },
  { name = "debug", summary = "Show the configuration and try the connection",
    options = sets({ "config-dir", "connection" }, connection, logging),
    text = "Where the project and the profile were found, what is used to connect (passwords masked), and\n" ..
      "whether the database answers. The status is 1 when something of it is wrong.",
    examples = { "dex-lua debug --target prod" } },
  { name = "deps", summary = "Install the packages of packages.yml or dependencies.yml",
    options = sets({ "upgrade", "lock", "add-package", "source", "project-dir", "vars" }, logging),
    text = "Local packages, git repositories, archives, and packages of an index (DEX_PACKAGE_HUB_URL, else\n" ..
      "dbt's) come into dbt_packages/, in the versions of package-lock.yml as long as that belongs to\n" ..
      "what is asked for. Other commands install packages that are missing by themselves.",
    examples = { "dex-lua deps", "dex-lua deps --upgrade", "dex-lua deps --add-package dbt-labs/dbt_utils@1.3.0" } },
  { name = "clean", summary = "Delete what the project file names under clean-targets",
    options = sets({ "clean-project-files-only" }, connection, logging),
    text = "Only folders inside the project are deleted. The private server's data (.dex) stays; that is\n" ..
      "`dex-lua db destroy`.",
    examples = { "dex-lua clean" } },
  { name = "repl", data = true, args = "[SCRIPT [ARGUMENT...]]", verbatim = true,
    summary = "A prompt with the whole project in reach; runs scripts, too",
    options = sets({ "execute", "node", "phase", "threads" }, connection, logging),
    text = "Lua with queries, templates, macros, operations and runs, and SQL as it is. A script, -e or input\n" ..
      "through a pipe is run without a prompt: the status is 1 when it fails, 2 when the project does.\n" ..
      "With --node it stands where a hook of that node would; leaving rolls back. See `dex-lua help repl`.",
    examples = { "dex-lua repl", "dex-lua repl -e 'show(\"orders\")'", "dex-lua repl --node orders --phase pre_hooks",
      "dex-lua repl -- nightly.lua --since 2026-01-01" } },
  { name = "render", data = true, args = "[FILE]", summary = "Render one template with a JSON context",
    options = sets({ "context", "context-file", "batch", "vars" }),
    text = "FILE is a template, or - for standard input. Needs no project and no database. With --batch,\n" ..
      "standard input holds one JSON object a line: {\"id\": ..., \"template\": ..., \"context\": {...}},\n" ..
      "and so does the answer.",
    examples = { "dex-lua render query.sql --context '{\"day\": \"2026-01-01\"}'" } },
  { name = "operation", aliases = { "op" }, args = "ls | show NAME | run NAME",
    summary = "List, show or run operations (operations/**/*.{sql,py,lua})",
    options = sets({ "args", "arg", "output", "lock", "dry-run", "yes", "threads" }, debugging, recorded, connection,
      logging),
    text = "An operation is a standalone script in SQL, Python or Lua, named by its path below operations/ or by\n" ..
      "its file name when that is unique. It runs in one transaction unless its config says otherwise.",
    actions = { { "ls", "List the operations of the project" }, { "show NAME", "Print the source of one" },
      { "run NAME", "Run one and print the rows that it selects" } },
    examples = { "dex-lua operation ls",
      "dex-lua operation run permissions/grant_analytics_access \\\n      --args '{role: analytics}'" } },
  { name = "hooks", data = true, args = "ls | run NODE | check",
    summary = "List hooks, run those of a node, or prove that they may run twice",
    options = sets(selection, { "output", "of", "phase", "name", "threads", "skip-hook" }, debugging, connection,
      logging),
    text = "`check` builds the selected nodes without rows in a transaction that is always rolled back, runs each\n" ..
      "hook inside of it twice, and names the hooks that fail or change something the second time.",
    actions = { { "ls", "List every hook that would run, in order" },
      { "run NODE", "Run the hooks of a node alone, on what is built" },
      { "check", "Run hooks twice, roll back, and tell which are not idempotent" } },
    examples = { "dex-lua hooks ls --select orders", "dex-lua hooks run orders --name audit", "dex-lua hooks check" } },
  { name = "plan", data = true, args = "[COMMAND]",
    summary = "Show what a command would run, hooks included; run nothing",
    options = sets(selection, { "output", "threads", "no-hooks", "skip-hook" }, connection, logging),
    text = "COMMAND is run, build (the default), test, seed or snapshot. Every node in its order, what it\n" ..
      "waits for, and its hooks with phase and place. Needs no database.",
    examples = { "dex-lua plan", "dex-lua plan run --select orders+" } },
  { name = "rehearse", args = "[COMMAND]",
    summary = "Build in one transaction, roll it back, and show what would change",
    options = sets(selection, execution, { "empty", "sample" }, connection, logging),
    text = "COMMAND is run, build (the default), seed or snapshot. On the real database: relations, columns,\n" ..
      "privileges, comments and indexes before and after are compared. Hooks outside of transactions are left out.",
    examples = { "dex-lua rehearse --empty", "dex-lua rehearse run --select orders --sample '3 days'" } },
  { name = "docs", args = "generate | serve", summary = "Make the documentation: one page, opened from disk",
    options = sets(selection, { "compile", "empty-catalog", "static", "threads", "host", "port", "browser" },
      connection,
      logging),
    actions = { { "generate", "Make the page" }, { "serve", "Serve it to browsers of this machine until Ctrl-C" } },
    text = "Writes target/manifest.json, target/catalog.json and target/index.html, a page that needs no\n" ..
      "server: nodes with columns, tests, hooks, SQL and lineage.",
    examples = { "dex-lua docs generate", "dex-lua docs generate --no-compile --empty-catalog" } },
  { name = "flow", args = "ls | show | next | pause | resume | run | rerun | cancel | mark | history ...",
    summary = "List, show, run and take up flows (flows/*.yml)",
    options = sets({ "args", "arg", "yes", "from", "select", "dry-run", "output", "count", "no-hooks", "skip-hook",
      "threads", "lock" }, connection, logging),
    text = "A flow runs models, operations, scripts and other flows in order; `dex-lua help flows` has its keys.\n" ..
      "Every run is kept in .dex/state.db, and can be taken up after a failure or a crash without repeating\n" ..
      "what it has done. The status is 0 when all went well, 1 when something failed, 130 or 143 when it was\n" ..
      "cancelled.",
    actions = { { "ls", "List the flows and when each runs next" },
      { "show NAME", "Its parameters, schedule and nodes" }, { "next [NAME]", "The coming times" },
      { "pause NAME", "Its schedule starts nothing" }, { "resume NAME", "Its schedule holds again" },
      { "run NAME", "Run it, with arguments from --args or -a" },
      { "rerun ID", "Take up a run: from its failures, from a node (--from), or everything" },
      { "cancel ID", "End a run of another process" },
      { "mark ID NODE STATUS", "Say that a node is success, skipped or failed, for a rerun" },
      { "history [NAME|ID]", "The last runs, or the nodes of one" } },
    examples = { "dex-lua flow run nightly -a day=2026-01-31", "dex-lua flow rerun 3f2a --from failure" } },
  { name = "run-operation", args = "[PACKAGE.]MACRO", summary = "Run a macro by itself",
    options = sets({ "args", "sql", "lock", "threads" }, debugging, recorded, connection, logging),
    text = "Calls a macro of the project, its packages or the built-in ones, or with --sql renders and\n" ..
      "runs a text. No transaction is opened, no hook runs. What the macro returns is printed.",
    examples = { "dex-lua run-operation grant_select --args '{role: reporter}'",
      "dex-lua run-operation --sql 'vacuum {{ ref(\"orders\") }}'" } },
  { name = "retry", args = "[RUN]", summary = "Run again what the last command did not finish",
    options = sets({ "state", "threads", "lock", "fail-fast", "full-refresh" }, debugging, recorded, connection,
      logging),
    text = "Reads target/run_results.json and runs that command again, with its options, for the nodes\n" ..
      "that failed or were skipped. Options given here are stronger. With `ledger: true` in the project, what the\n" ..
      "ledger has not seen completed: also after a crash, and by the id of a run.",
    examples = { "dex-lua retry", "dex-lua retry --threads 8",
      "dex-lua retry 2f6c1ab0-5f0a-4c55-9e0b-2d8d1f8a7c11" } },
  { name = "init", args = "NAME", summary = "Make a new project",
    options = sets({ "profile", "skip-profile-setup", "skip-debug", "project-dir", "quiet" }),
    text = "Makes a folder of that name with a small project in it, which builds at once on the\n" ..
      "private server. With --profile it belongs to that profile of profiles.yml.",
    examples = { "dex-lua init shop" } },
  { name = "source", args = "freshness", summary = "Ask how old the selected sources are",
    options = sets(selection, { "threads", "output", "no-hooks" }, connection, logging),
    text = "Runs the `loaded_at_field` or `loaded_at_query` of every source with `freshness`, writes\n" ..
      "target/sources.json, and ends with status 1 when a source is older than `error_after`.",
    actions = { { "freshness", "Check the sources" } },
    examples = { "dex-lua source freshness", "dex-lua source freshness --select source:shop" } },
  { name = "serve", args = "[token add NAME | token ls | token rm NAME]",
    summary = "Run the flows by their schedules, and serve the page",
    options = sets({ "listen", "allow-host", "no-page", "no-schedules", "max-runs", "grace", "print-unit", "role",
      "threads" }, connection, logging),
    text = "Runs until SIGTERM or Ctrl-C. Each run is a process of its own, which goes on when the server dies;\n" ..
      "the next server takes up what was left. Several servers of one project share the work: no time of a\n" ..
      "schedule is run twice. `dex-lua help schedules` has the rules of missed times and changed clocks.",
    examples = { "dex-lua serve", "dex-lua serve --no-page --grace 5m",
      "dex-lua serve --print-unit > dex-lua-shop.service" } },
  { name = "ui", summary = "Open the page of the project in a browser",
    options = sets({ "listen", "allow-host", "schedules", "no-open", "max-runs", "grace", "threads" }, connection,
      logging),
    text = "The same server as `serve`, for a person at this machine: it runs no schedules unless asked.",
    examples = { "dex-lua ui", "dex-lua ui --listen 127.0.0.1:0 --no-open" } },
  { name = "db", args = "start | stop | status | psql | destroy", summary = "The project's private PostgreSQL server",
    options = sets({ "project-dir" }),
    text = "A project without a profile runs on a PostgreSQL of its own under .dex/pg, reached through a\n" ..
      "Unix socket, started when needed and stopped by the last command that used it.",
    actions = { { "start", "Start it, and keep it running until `db stop`" }, { "stop", "Stop it; its data stays" },
      { "status", "Show whether it runs; status 1 when it does not" },
      { "psql", "Open psql on it; arguments after -- are psql's" },
      { "destroy", "Stop it and delete its data" } },
    examples = { "dex-lua db status", "dex-lua db psql -- -c 'select 1'" } },
  { name = "history", data = true, args = "[NAME | RUN]",
    summary = "Show what ran: runs, their nodes, phases and hooks",
    options = sets({ "limit", "since", "status", "node", "slowest", "failures", "output", "project-dir" }, logging),
    text = "Without a word the last runs; NAME is a command, an operation or a flow, RUN the id of one run, or its\n" ..
      "beginning, which is shown with everything that it did. Needs no database. See `dex-lua help history`.",
    examples = { "dex-lua history", "dex-lua history build --since 7d", "dex-lua history --slowest nodes",
      "dex-lua history --node orders --output csv" } },
  { name = "state", data = true, args = "export [FILE] | vacuum | check",
    summary = "Export, clean or check the history (.dex/state.db)",
    options = sets({ "format", "project-dir" }, logging),
    text = "The history is kept as long as `dex: {history: {keep_days: ...}}` in dbt_project.yml says; commands\n" ..
      "remove what is older by themselves, bit by bit.",
    actions = { { "export [FILE]", "Write all runs with their nodes, also to standard output" },
      { "vacuum", "Remove what is too old, and give the room back to the disk" },
      { "check", "Whether the file is whole; status 2 when it is not" } },
    examples = { "dex-lua state export runs.jsonl", "dex-lua state export --format csv > nodes.csv",
      "dex-lua state vacuum" } },
  { name = "version", summary = "Show the version", options = sets({ "verbose" }),
    text = "With -v also the versions of the libraries that the program runs with.",
    examples = { "dex-lua version -v" } },
  { name = "attach", args = "[ADDRESS]", summary = "Open the prompt of a run that was started with --debug-listen",
    options = sets({ "project-dir" }),
    text = "Connects to 127.0.0.1:PORT, or to the run of this project when there is one. The token that lets one\n" ..
      "in is read from the project's .dex/ folder, else from DEX_DEBUG_TOKEN. Leaving (Ctrl-D) changes nothing:\n" ..
      "the run stands where it stood, and whoever attaches next goes on from there.",
    examples = { "dex-lua attach", "dex-lua attach 127.0.0.1:5005" } },
  { name = "completion", data = true, args = "bash | zsh | fish",
    summary = "Print the script that completes command lines",
    options = sets({ "project-dir", "target-path" }),
    text = "Commands, options, their values, and the names of nodes, tags, selectors and operations.",
    actions = { { "bash", "source <(dex-lua completion bash)" }, { "zsh", "dex-lua completion zsh > _dex-lua" },
      { "fish", "dex-lua completion fish > ~/.config/fish/completions/dex-lua.fish" },
      { "words -- WORD...", "What may stand in the last word's place, for these scripts" } },
    examples = { "dex-lua completion bash" } },
  { name = "help", data = true, args = "[COMMAND | TOPIC | errors [CODE]]",
    summary = "Show help for a command or a topic, or explain the error codes",
    options = sets({}), text = "Without a topic: the list of the commands and topics.",
    examples = { "dex-lua help build", "dex-lua help selection", "dex-lua help errors 401" } },
}

--- The command of a name or alias, or nil.
function M.command(name)
  for _, command in ipairs(M.commands) do
    if command.name == name then return command end
    for _, alias in ipairs(command.aliases or {}) do
      if alias == name then return command end
    end
  end
end

-- dbt takes these with every command, as well where they have nothing to do.
local everywhere = {}
for _, list in ipairs { { "fail-fast" }, { "indirect-selection", "state", "defer", "favor-state", "defer-state" },
  connection, logging } do
  for _, name in ipairs(list) do everywhere[name] = true end
end

-- They are taken and change nothing: neither the environment nor a default gives them a value.
local function add_without_effect(command, wanted, found)
  for _, option in ipairs(M.options) do
    local of_dbt = everywhere[option.name] or command.name == "init" and (option.ignored or option.refused)
    if of_dbt and not wanted[option.name] and not option.only then
      found[#found + 1] = { name = option.name, short = option.short, aliases = option.aliases, arg = option.arg,
        many = option.many, choices = option.choices, negatable = option.negatable, refused = option.refused,
        ignored = true, help = option.help }
    end
  end
end

--- The options of a command, in their order. Those that stand there only because dbt takes them are `ignored`.
function M.of(command)
  local wanted = {}
  for _, name in ipairs(command.options) do wanted[name] = true end
  local found = {}
  for _, option in ipairs(M.options) do
    if (wanted[option.name] or wanted["log-format"] and (option.ignored or option.refused))
      and (not option.only or option.only == command.name) and option.except ~= command.name then
      found[#found + 1] = option
    end
  end
  if wanted["log-format"] or command.name == "init" then add_without_effect(command, wanted, found) end
  return found
end

--- The names of all commands.
function M.names()
  local names = {}
  for i, command in ipairs(M.commands) do names[i] = command.name end
  return names
end

return M
