// Source text with its words coloured: SQL with Jinja in it, Lua, Python, YAML. One pass of one pattern over the text:
// what it does not know it leaves as it is, so that no text is ever lost.
import { h } from "./dom.js";

const SQL = `select from where group by having order limit offset join left right full inner outer cross lateral on using as
 with recursive union all distinct except intersect case when then else end and or not null is in exists between like ilike
 create replace table view materialized schema index drop alter add column insert into values update set delete truncate
 grant revoke to role begin commit rollback savepoint primary key foreign references unique check constraint default
 cast over partition rows range preceding following unbounded current row filter within returning conflict do nothing
 analyze vacuum explain true false asc desc nulls first last if temporary temp function returns language declare
 execute window array any some interval date timestamp time zone at only merge matched copy comment`;
const JINJA = `if elif else endif for endfor in set endset macro endmacro call endcall block endblock filter endfilter do
 not and or is none true false null return snapshot endsnapshot materialization endmaterialization test endtest raw endraw
 import include extends with endwith`;
const LUA = `and break do else elseif end false for function goto if in local nil not or repeat return then true until while`;
const PYTHON = `and as assert async await break class continue def del elif else except finally for from global if import in
 is lambda None nonlocal not or pass raise return True False try while with yield match case`;
const set = text => new Set(text.trim().split(/\s+/));

const NUMBER = "\\b\\d[\\d_]*(?:\\.\\d+)?(?:[eE][+-]?\\d+)?\\b", WORD = "[A-Za-z_]\\w*";
const strings = "'(?:[^'\\\\\\n]|\\\\.)*'|\"(?:[^\"\\\\\\n]|\\\\.)*\"";
const rule = (words, fold, ...parts) => ({ words: set(words), fold,
  pattern: new RegExp(parts.map(([name, text]) => `(?<${name}>${text})`).join("|"), "g") });

const RULES = {
  sql: rule(SQL, true, ["remark", "\\{#[\\s\\S]*?(?:#\\}|$)|--[^\\n]*|/\\*[\\s\\S]*?(?:\\*/|$)"],
    ["jinja", "\\{\\{[\\s\\S]*?(?:\\}\\}|$)|\\{%[\\s\\S]*?(?:%\\}|$)"],
    ["string", "'(?:[^']|'')*'|\\$(\\w*)\\$[\\s\\S]*?\\$\\k<tag>\\$".replace("(\\w*)", "(?<tag>\\w*)")],
    ["name", "\"(?:[^\"]|\"\")*\""], ["number", NUMBER], ["word", WORD]),
  jinja: rule(JINJA, false, ["mark", "\\{\\{-?|-?\\}\\}|\\{%-?|-?%\\}"], ["string", strings], ["number", NUMBER],
    ["call", WORD + "(?=\\s*\\()"], ["word", WORD]),
  lua: rule(LUA, false, ["remark", "--\\[(=*)\\[[\\s\\S]*?\\]\\k<eq>\\]|--[^\\n]*".replace("(=*)", "(?<eq>=*)")],
    ["string", strings + "|\\[\\[[\\s\\S]*?\\]\\]"], ["number", NUMBER], ["call", WORD + "(?=\\s*[({\"'])"], ["word", WORD]),
  python: rule(PYTHON, false, ["remark", "#[^\\n]*"], ["jinja", "\\{\\{[\\s\\S]*?\\}\\}|\\{%[\\s\\S]*?%\\}"],
    ["string", "\"\"\"[\\s\\S]*?\"\"\"|'''[\\s\\S]*?'''|" + strings], ["number", NUMBER],
    ["call", WORD + "(?=\\s*\\()"], ["word", WORD]),
  yaml: rule("true false null yes no", false, ["remark", "(?<=^|\\s)#[^\\n]*"], ["jinja", "\\{\\{[\\s\\S]*?\\}\\}"],
    ["name", "[\\w.-]+(?=:(?:\\s|$))"], ["string", strings], ["number", NUMBER], ["word", WORD]),
};

function pieces(text, language, out) {
  const { pattern, words, fold } = RULES[language];
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    if (found.index > from) out.push([null, text.slice(from, found.index)]);
    const groups = found.groups, all = found[0];
    if (groups.jinja !== undefined) {
      out.push(["open", null]);
      pieces(all, "jinja", out);
      out.push(["close", null]);
    } else if (groups.word !== undefined || groups.call !== undefined)
      out.push([words.has(fold ? all.toLowerCase() : all) ? "key" : groups.call !== undefined ? "call" : null, all]);
    else out.push([Object.keys(groups).find(k => groups[k] !== undefined && k !== "tag" && k !== "eq"), all]);
    from = found.index + all.length;
  }
  if (from < text.length) out.push([null, text.slice(from)]);
}

const MOST = 300000; // longer texts are shown plain

// The text with numbered lines. `mark`: a line to point at.
export function code(source, language = "sql", { label = "Source", mark } = {}) {
  const text = source.replace(/\n+$/, "");
  const lines = [h("span", { class: "line" })];
  const inside = [];
  const put = (kind, part) => {
    const line = lines[lines.length - 1];
    const parent = inside.length ? (line.lastChild?.nodeType === 1 && line.lastChild.dataset.open ? line.lastChild
      : line.appendChild(h("span", { class: "c-jinja", "data-open": "1" }))) : line;
    parent.append(kind ? h("span", { class: "c-" + kind }, part) : part);
  };
  const found = [];
  if (text.length <= MOST && RULES[language]) pieces(text, language, found);
  else found.push([null, text]);
  for (const [kind, part] of found) {
    if (kind === "open") inside.push(1);
    else if (kind === "close") {
      inside.pop();
      lines[lines.length - 1].lastChild?.removeAttribute?.("data-open");
    } else part.split("\n").forEach((piece, i) => {
      if (i) lines.push(h("span", { class: "line" }));
      if (piece) put(kind, piece);
    });
  }
  if (mark && lines[mark - 1]) lines[mark - 1].classList.add("marked");
  return h("pre", { class: "code", tabindex: "0", role: "region", "aria-label": label },
    h("code", {}, lines.map((line, i) => i < lines.length - 1 ? [line, "\n"] : line)));
}

export const languageOf = file => /\.lua$/.test(file) ? "lua" : /\.py$/.test(file) ? "python"
  : /\.ya?ml$/.test(file) ? "yaml" : "sql";
