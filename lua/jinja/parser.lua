--- Statements: tokens to syntax tree.
-- Nodes and their fields (`pos` is the byte position in the template: where a message about the node points):
--   text{value} print{expr} do{expr} if{branches = {{test, body}...}, otherwise} for{target, iter, filter, body,
--   otherwise, recursive} set{target, expr} setblock{target, filter, body} macro{name, params, defaults, body, kind}
--   callblock{call, params, defaults, body} filterblock{filter, body} with{targets, values, body} break continue
--   autoescape{expr, body} block{name, body} loader{what, exprs}
--   const{value} name{name} list{items} tuple{items} dict{keys, values} attr{target, name} item{target, key}
--   slice{target, start, stop, step} call{target, args, names, values, spread, kwspread} filter{target, name, args...}
--   test{target, name, args...} cond{test, yes, no} or{items} and{items} not{operand} compare{first, ops} sum{items,
--   ops} concat{items} binary{op, left, right} neg{operand} plus{operand} nsref{name, attr}

local lexer = require "jinja.lexer"
local expression = require "jinja.expression"
local err = require "err"
local fault = require "jinja.fault"

local M = {}

local Parser = {}
Parser.__index = Parser
expression.install(Parser)

local shown = { ["{{"] = "'{{'", ["}}"] = "the end of the expression, '}}'", ["%}"] = "the end of the tag, '%}'",
  eof = "the end of the template", name = "a name" }

-- `i` is where the kind of the current token stands in `tokens`; its position is before it, its text behind it.

function Parser:kind(ahead) return self.tokens[self.i + 3 * (ahead or 0)] end
function Parser:text() return self.tokens[self.i + 1] end
function Parser:pos() return self.tokens[self.i - 1] end
function Parser:advance() self.i = self.i + 3 end

function Parser:at_name(word, ahead)
  local i = self.i + 3 * (ahead or 0)
  return self.tokens[i + 1] == word and self.tokens[i] == "name"
end

function Parser:skip(kind)
  if self.tokens[self.i] ~= kind then return false end
  self.i = self.i + 3
  return true
end

function Parser:skip_name(word)
  local i = self.i
  if self.tokens[i + 1] ~= word or self.tokens[i] ~= "name" then return false end
  self.i = i + 3
  return true
end

--- Raises a syntax error at a position, by default at the current token.
function Parser:fail(message, pos, hint, kind)
  fault.syntax(self.lex, pos or self:pos(), message, hint, kind)
end

function Parser:describe()
  local kind, text = self:kind(), self:text()
  if kind == "name" then return "'" .. text .. "'" end
  if kind == "integer" or kind == "float" then return "number " .. text end
  if kind == "string" then return "a string" end
  return shown[kind] or "'" .. kind .. "'"
end

function Parser:unexpected(wanted)
  return self:fail(("expected %s, found %s"):format(wanted, self:describe()))
end

function Parser:expect(kind)
  if self.tokens[self.i] ~= kind then self:unexpected(shown[kind] or "'" .. kind .. "'") end
  self.i = self.i + 3
end

function Parser:expect_name(word)
  local text = self:text()
  if self:kind() ~= "name" or word and text ~= word then self:unexpected(word and "'" .. word .. "'" or "a name") end
  self.i = self.i + 3
  return text
end

-- Targets ----------------------------------------------------------------------------------------

local function check_target(self, target)
  if target.tag == "name" then return target end
  if target.tag == "tuple" then
    for _, item in ipairs(target.items) do check_target(self, item) end
    return target
  end
  if target.tag == "const" then self:fail("a constant cannot be assigned to", target.pos) end
  return self:fail("this cannot be assigned to", target.pos)
end

local simple = { simple = true }

--- The target of set, for and with: a name, a tuple of names, or with `namespace` also `ns.attr`.
function Parser:target(opts)
  if opts and opts.namespace and self:kind() == "name" and self:kind(1) == "." then
    local pos, name = self:pos(), self:text()
    self:advance()
    self:advance()
    if name == "loop" then self.mentions.loop = self.mentions.loop + 1 end
    return { tag = "nsref", pos = pos, name = name, attr = self:expect_name() }
  end
  return check_target(self, self:tuple(simple))
end

function Parser:plain_name()
  local pos, name = self:pos(), self:expect_name()
  if expression.reserved[name] then self:fail(("'%s' is a constant and cannot be assigned to"):format(name), pos) end
  return name
end

-- Statements -------------------------------------------------------------------------------------

local statements = {}
local no_options = {}

local function open_tag(self, name, pos)
  return ("the '%s' of line %d"):format(name, fault.line(self.lex, pos))
end

--- Statements up to one of the end tags `ends` (names); the parser stands after the end's name. Gives the body and
--- the end found.
function Parser:body(opened, pos, ends)
  self:expect("%}")
  self.open[#self.open + 1] = { name = opened, pos = pos, ends = ends }
  local body, found = self:statements(ends)
  self.open[#self.open] = nil
  return body, found
end

function Parser:statements(ends)
  local body, tokens = {}, self.tokens
  while true do
    local i = self.i
    local kind, pos = tokens[i], tokens[i - 1]
    if kind == "data" then
      body[#body + 1] = { tag = "text", value = tokens[i + 1], pos = pos }
      self.i = i + 3
    elseif kind == "{{" then
      self.i = i + 3
      local first, calls = #self.reads + 1, self.calls
      local expr = self:tuple(no_options)
      body[#body + 1] = { tag = "print", expr = expr, pos = expr.pos, first = first, last = #self.reads,
        calls = self.calls > calls }
      if tokens[self.i] ~= "}}" then self:unexpected("the end of the expression, '}}'") end
      self.i = self.i + 3
    elseif kind == "{%" then
      self.i = i + 3
      local name = tokens[i + 4]
      if ends and tokens[i + 3] == "name" then
        for _, e in ipairs(ends) do
          if e == name then
            self:advance()
            return body, name
          end
        end
      end
      local statement = self:statement(pos)
      if statement then body[#body + 1] = statement end
      self:expect("%}")
    else
      if ends then
        local open = self.open[#self.open]
        self:fail(("%s is not closed: expected '{%% %s %%}'"):format(open_tag(self, open.name, open.pos),
          ends[#ends]), open.pos)
      end
      return body
    end
  end
end

function Parser:statement(pos)
  if self:kind() ~= "name" then self:unexpected("the name of a tag") end
  local name = self:text()
  local parse = statements[name]
  if not parse then
    local open = self.open[#self.open]
    if name:find("^end") or name == "else" or name == "elif" then
      if open then
        self:fail(("unexpected '%s': %s wants '%s'"):format(name, open_tag(self, open.name, open.pos),
          table.concat(open.ends, "' or '")))
      end
      self:fail(("unexpected '%s': nothing is open"):format(name))
    end
    local known = {}
    for tag in pairs(statements) do known[#known + 1] = tag end
    self:fail(("unknown tag '%s'"):format(name), nil, err.did_you_mean(name, known))
  end
  self.blocks_depth = self.blocks_depth + 1
  if self.blocks_depth > 60 then self:fail("tags are nested too deeply (more than 60 levels)") end
  self:advance()
  local result = parse(self, pos, name)
  self.blocks_depth = self.blocks_depth - 1
  return result
end

local plain_tuple = { no_condition = true }

-- An expression and the range of the names that it reads.
local function reading(self, opts)
  local first = #self.reads + 1
  local expr = self:tuple(opts or no_options)
  return expr, first, #self.reads
end

statements["if"] = function(self, pos)
  local branches = {}
  local otherwise
  local test, first, last = reading(self, plain_tuple)
  local ends = { "elif", "else", "endif" }
  while true do
    local body, found = self:body("if", pos, ends)
    branches[#branches + 1] = { test = test, body = body, first = first, last = last }
    if found == "elif" then
      test, first, last = reading(self, plain_tuple)
    elseif found == "else" then
      otherwise = self:body("if", pos, { "endif" })
      break
    else
      break
    end
  end
  return { tag = "if", pos = pos, branches = branches, otherwise = otherwise }
end

-- 'loop' itself can be no target of a loop
local function no_loop(self, target)
  if target.name == "loop" then
    self:fail("'loop' cannot be assigned to in a loop", target.pos, nil, "TemplateAssertionError")
  end
  for _, item in ipairs(target.items or {}) do no_loop(self, item) end
end

-- How a loop's body uses `loop`, since that was read `mentions` times and asked for `uses` attributes: nil when not at
-- all, else the set of the attributes, or "full" for what is more than asking for an attribute. What stands outside of
-- the body hears nothing of it: there it is another loop.
local function loop_use(self, mentions, uses)
  local asked = self.loop_uses
  local found
  if self.mentions.loop - mentions > #asked - uses then
    found = "full"
  elseif #asked > uses then
    found = {}
  end
  for i = #asked, uses + 1, -1 do
    if found ~= "full" then found[asked[i]] = true end
    asked[i] = nil
  end
  self.mentions.loop = mentions
  return found
end

statements["for"] = function(self, pos)
  local target = self:target()
  no_loop(self, target)
  self:expect_name("in")
  local iter, first, last = reading(self, plain_tuple)
  local filter, recursive, otherwise
  if self:skip_name("if") then filter = self:expression() end
  recursive = self:skip_name("recursive")
  local mentions, uses = self.mentions.loop, #self.loop_uses
  local body, found = self:body("for", pos, { "else", "endfor" })
  local loop = loop_use(self, mentions, uses)
  if found == "else" then otherwise = self:body("for", pos, { "endfor" }) end
  return { tag = "for", pos = pos, target = target, iter = iter, filter = filter, recursive = recursive, body = body,
    otherwise = otherwise, first = first, last = last, loop = loop }
end

statements["set"] = function(self, pos)
  local target = self:target { namespace = true }
  if self:skip("=") then
    local expr, first, last = reading(self)
    return { tag = "set", pos = expr.pos, target = target, expr = expr, first = first, last = last }
  end
  local filter
  if self:kind() == "|" then filter = self:filter(nil) end
  if self:kind() ~= "%}" then self:unexpected("'=' or the end of the tag") end
  local body = self:body("set", pos, { "endset" })
  return { tag = "setblock", pos = pos, target = target, filter = filter, body = body }
end

local function typed(self)
  self:expect_name()
  if self:skip("[") then
    repeat typed(self) until not self:skip(",")
    self:expect("]")
  end
end

-- "(a, b: type = default)"
local function signature(self)
  local params, defaults = {}, {}
  self:expect("(")
  while self:kind() ~= ")" do
    if #params > 0 then self:expect(",") end
    local pos = self:pos()
    local name = self:plain_name()
    if self:skip(":") then typed(self) end
    if self:skip("=") then
      defaults[#params + 1] = self:expression()
    elseif next(defaults) then
      self:fail(("'%s' has no default but follows a parameter that has one"):format(name), pos)
    end
    params[#params + 1] = name
  end
  self:expect(")")
  return params, defaults
end

local specials = { "caller", "kwargs", "varargs" }

-- A macro or call block as a node: parses its body after its parameters, and notes which of the names that every macro
-- has are read in either.
local function macro_node(self, node, what, before)
  node.body = self:body(what, node.pos, { "end" .. what })
  node.reads = {}
  for i, name in ipairs(specials) do node.reads[name] = self.mentions[name] > before[i] end
  return node
end

local function mentioned(self) return { self.mentions.caller, self.mentions.kwargs, self.mentions.varargs } end

statements["macro"] = function(self, pos, what)
  local name = self:plain_name()
  local before = mentioned(self)
  local params, defaults = signature(self)
  if what ~= "macro" then name = "test_" .. name end
  return macro_node(self, { tag = "macro", pos = pos, name = name, params = params, defaults = defaults }, what, before)
end
statements["test"], statements["data_test"] = statements["macro"], statements["macro"]

statements["materialization"] = function(self, pos)
  local name = self:plain_name()
  local adapter = "default"
  local languages = { tag = "list", pos = pos, items = { { tag = "const", value = "sql", pos = pos } } }
  while self:skip(",") do
    local at = self:pos()
    local option = self:expect_name()
    if option == "default" then
      adapter = "default"
    elseif option == "adapter" then
      self:expect("=")
      if self:kind() ~= "string" then self:unexpected("the adapter's name as a string") end
      adapter = self:text()
      self:advance()
    elseif option == "supported_languages" then
      self:expect("=")
      languages = self:expression()
      if languages.tag ~= "list" then self:fail("supported_languages wants a list of strings", at) end
    else
      self:fail(("unknown option '%s' of a materialization"):format(option), at,
        err.did_you_mean(option, { "default", "adapter", "supported_languages" }))
    end
  end
  return macro_node(self, { tag = "macro", pos = pos, name = ("materialization_%s_%s"):format(name, adapter),
    params = { "supported_languages" }, defaults = { languages } }, "materialization", mentioned(self))
end

statements["docs"] = function(self, pos)
  self:plain_name()
  self:body("docs", pos, { "enddocs" })
end

statements["call"] = function(self, pos)
  local params, defaults = {}, {}
  local before = mentioned(self)
  if self:kind() == "(" then params, defaults = signature(self) end
  local call_pos = self:pos()
  local first = #self.reads + 1
  local call = self:expression()
  local last = #self.reads
  if call.tag ~= "call" then self:fail("a call block wants a call, as in '{% call name() %}'", call_pos) end
  return macro_node(self, { tag = "callblock", pos = pos, call = call, params = params, defaults = defaults,
    first = first, last = last }, "call", before)
end

statements["filter"] = function(self, pos)
  local filter = self:filter(nil, true)
  local body = self:body("filter", pos, { "endfilter" })
  return { tag = "filterblock", pos = pos, filter = filter, body = body }
end

statements["with"] = function(self, pos)
  local targets, values = {}, {}
  while self:kind() ~= "%}" do
    if #targets > 0 then self:expect(",") end
    targets[#targets + 1] = self:target()
    self:expect("=")
    values[#values + 1] = self:expression()
  end
  local body = self:body("with", pos, { "endwith" })
  return { tag = "with", pos = pos, targets = targets, values = values, body = body }
end

statements["do"] = function(self)
  local expr, first, last = reading(self)
  return { tag = "do", pos = expr.pos, expr = expr, first = first, last = last }
end

statements["print"] = function(self, pos)
  local list = {}
  while self:kind() ~= "%}" do
    if #list > 0 then self:expect(",") end
    local first, calls = #self.reads + 1, self.calls
    local expr = self:expression()
    list[#list + 1] = { tag = "print", pos = expr.pos, expr = expr, first = first, last = #self.reads,
      calls = self.calls > calls }
  end
  return { tag = "group", pos = pos, body = list }
end

local function in_loop(self)
  for i = #self.open, 1, -1 do
    local name = self.open[i].name
    if name == "for" then return true end
    if name == "macro" or name == "call" or name == "test" or name == "materialization" or name == "block" then
      break
    end
  end
  return false
end

local function loop_control(self, pos, name)
  if not in_loop(self) then self:fail(("'%s' outside of a loop"):format(name), pos) end
  return { tag = name, pos = pos }
end
statements["break"], statements["continue"] = loop_control, loop_control

statements["autoescape"] = function(self, pos)
  local first = #self.reads + 1
  local expr = self:expression()
  local last = #self.reads
  local body = self:body("autoescape", pos, { "endautoescape" })
  return { tag = "autoescape", pos = pos, expr = expr, body = body, first = first, last = last }
end

statements["block"] = function(self, pos)
  local name = self:expect_name()
  if self.named_blocks[name] then
    self:fail(("block '%s' is defined twice"):format(name), pos, nil, "TemplateAssertionError")
  end
  self.named_blocks[name] = true
  local scoped, required = self:skip_name("scoped"), self:skip_name("required")
  if self:kind() == "-" then self:fail("a block's name has no '-', use '_'") end
  local body = self:body("block", pos, { "endblock" })
  if self:kind() == "name" then self:expect_name(name) end
  if required then
    for _, child in ipairs(body) do
      if child.tag ~= "text" or child.value:find("%S") then
        self:fail("a required block holds only comments and spaces", child.pos)
      end
    end
  end
  self.has_blocks = true
  return { tag = "block", pos = pos, name = name, body = body, scoped = scoped }
end

-- There is no loader: these parse, and fail when they are reached.
statements["extends"] = function(self, pos)
  for _, open in ipairs(self.open) do
    if open.name ~= "if" then self:fail("'extends' inside of another tag", pos, nil, "TemplateAssertionError") end
  end
  return { tag = "loader", what = "extends", pos = pos, exprs = { self:expression() } }
end

local function import_context(self)
  if (self:at_name("with") or self:at_name("without")) and self:at_name("context", 1) then
    self:advance()
    self:advance()
  end
end

statements["include"] = function(self, pos)
  local expr = self:expression()
  if self:at_name("ignore") and self:at_name("missing", 1) then
    self:advance()
    self:advance()
  end
  import_context(self)
  return { tag = "loader", what = "include", pos = pos, exprs = { expr } }
end

statements["import"] = function(self, pos)
  local expr = self:expression()
  self:expect_name("as")
  local name = self:plain_name()
  import_context(self)
  return { tag = "loader", what = "import", pos = pos, exprs = { expr }, stores = { name } }
end

statements["from"] = function(self, pos)
  local expr = self:expression()
  self:expect_name("import")
  local names = {}
  while true do
    if #names > 0 then self:expect(",") end
    if self:kind() ~= "name" then break end
    if (self:at_name("with") or self:at_name("without")) and self:at_name("context", 1) then break end
    local name = self:plain_name()
    if name:sub(1, 1) == "_" then
      self:fail("names that begin with '_' cannot be imported", nil, nil, "TemplateAssertionError")
    end
    if self:skip_name("as") then name = self:plain_name() end
    names[#names + 1] = name
    if self:kind() ~= "," then break end
  end
  if #names == 0 then self:unexpected("a name to import") end
  import_context(self)
  return { tag = "loader", what = "from", pos = pos, exprs = { expr }, stores = names }
end

--- Line ends become "\n" and one newline at the end is dropped.
local function normalise(source)
  if source:find("\r", 1, true) then source = source:gsub("\r\n?", "\n") end
  if source:sub(-1) == "\n" then source = source:sub(1, -2) end
  return source
end

--- Parses a template: `{body, reads, file, source, first, has_blocks}`; `reads` has the names that are read, in the
--- order of the text, and nodes say which part of it is theirs (`first`, `last`). Raises 201.
---@param source string
---@param opts {file: string|nil, line: integer|nil}
function M.parse(source, opts)
  local lex = lexer.scan(normalise(source), opts.file or "<template>", opts.line)
  local self = setmetatable({ lex = lex, tokens = lex.tokens, i = 2, open = {}, named_blocks = {}, depth = 0,
    blocks_depth = 0, reads = {}, mentions = { caller = 0, kwargs = 0, varargs = 0, loop = 0 },
    loop_uses = {}, calls = 0 }, Parser)
  local body = self:statements(nil)
  return { body = body, reads = self.reads, file = lex.file, source = lex.source, first = lex.first,
    has_blocks = self.has_blocks }
end

--- Parses one expression, as between '{{' and '}}'.
function M.expression(source, opts)
  local tree = M.parse("{{" .. source .. " }}", opts)
  if #tree.body ~= 1 or tree.body[1].tag ~= "print" then
    fault.syntax(tree, 1, "expected one expression")
  end
  return tree.body[1].expr, tree
end

return M
