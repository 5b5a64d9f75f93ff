#!/usr/bin/env python3
"""Generated templates through dex-lua and through Jinja2: what they print must be the same, and where one fails the other
must fail. Needs the package jinja2 (Debian: python3-jinja2).

    against_jinja2.py --engine build/release/dex-lua [--count N] [--seed N]

Prints each difference and ends with 'N passed, N failed'. The same seed gives the same templates.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import warnings

import jinja2.compiler
import jinja2.sandbox

STRINGS = ["", "a", "abc", "Hello World", "  pad  ", "ümläut", "a,b,c", "line\nbreak", "UPPER", "x" * 12, "1", "3.5", "-7",
           "it's", "<b>&", "%s", "{0}", "tab\tx", "snake_case_name", "ß", "a\\b", '"q"', "0x1f", "1e3", "None", "\u2028"]
NUMBERS = [0, 1, -1, 2, 3, 7, 10, 100, -5, 255, 1.0, 0.5, -2.5, 3.14159, 1e20, 1e-7, 12345678901234567890, 2**63 - 1, 0.1]
NAMES = {
    "n": 7, "f": 2.5, "s": "some Text", "l": [3, 1, 2], "d": {"b": 1, "a": [1, 2], "c": None}, "e": [], "t": True,
    "rows": [{"id": 2, "name": "x", "tags": ["a"]}, {"id": 1, "name": "Y", "tags": []}, {"id": 3, "name": "x", "tags": ["b"]}],
    "words": ["pear", "Apple", "fig", "apple"], "nested": {"k": {"k": {"k": 1}}}, "z": None, "mixed": [1, "a", None, 2.5, True],
}
FILTERS = {
    "abs": "", "capitalize": "", "length": "", "first": "", "last": "", "list": "", "lower": "", "upper": "", "title": "",
    "trim": "", "string": "", "int": "i?", "float": "", "join": "s?", "replace": "ss", "round": "i?", "sort": "",
    "unique": "", "reverse": "", "sum": "", "min": "", "max": "", "default": "x", "d": "xb?", "wordcount": "", "center": "i",
    "indent": "i?", "truncate": "i?", "batch": "i", "slice": "i", "items": "", "dictsort": "", "format": "x", "tojson": "",
    "escape": "", "e": "", "striptags": "", "urlencode": "", "pprint": "", "count": "", "wordwrap": "i", "filesizeformat": "",
    "xmlattr": "", "forceescape": "", "safe": "", "map": "F", "select": "T?", "reject": "T?", "selectattr": "a", "rejectattr": "a",
    "groupby": "a", "attr": "a", "sortattr": "",
}
TESTS = {"defined": "", "undefined": "", "none": "", "string": "", "number": "", "integer": "", "float": "", "mapping": "",
         "iterable": "", "sequence": "", "odd": "", "even": "", "divisibleby": "i", "boolean": "", "true": "", "false": "",
         "lower": "", "upper": "", "in": "x", "eq": "x", "ne": "x", "lt": "x", "gt": "x", "ge": "x", "le": "x", "callable": "",
         "sameas": "n", "escaped": "", "filter": "", "test": ""}
METHODS = {
    "upper": "", "lower": "", "strip": "s?", "lstrip": "s?", "rstrip": "s?", "split": "s?", "rsplit": "s?", "replace": "ss",
    "startswith": "s", "endswith": "s", "find": "s", "rfind": "s", "index": "s", "count": "s", "title": "", "capitalize": "",
    "swapcase": "", "zfill": "i", "center": "i", "ljust": "i", "rjust": "i", "isdigit": "", "isalpha": "", "isupper": "",
    "islower": "", "isspace": "", "isalnum": "", "splitlines": "", "partition": "s", "rpartition": "s", "join": "l",
    "format": "x", "casefold": "", "isnumeric": "", "istitle": "", "isidentifier": "", "expandtabs": "i?", "removeprefix": "s",
    "removesuffix": "s", "encode": "", "isdecimal": "", "isascii": "", "keys": "", "values": "", "items": "", "get": "sx",
    "copy": "", "append": "x", "pop": "i?", "insert": "ix", "extend": "l", "remove": "x", "sort": "", "reverse": "", "update": "d",
    "setdefault": "sx", "bit_length": "", "is_integer": "", "popitem": "", "clear": "", "as_integer_ratio": "",
}
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]


class Generator:
    def __init__(self, rng):
        self.rng = rng

    def pick(self, options):
        return self.rng.choice(options)

    def string(self):
        text = self.pick(STRINGS)
        quote = self.pick("'\"")
        return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\n", "\\n") + quote

    def atom(self):
        kind = self.rng.randrange(12)
        if kind < 4:
            return self.pick(list(NAMES))
        if kind < 6:
            return self.string()
        if kind < 9:
            value = self.pick(NUMBERS)
            return repr(value) if value >= 0 else "(%r)" % value
        return self.pick(["none", "true", "false", "[]", "{}", "()", "missing", "d.nothing", "''"])

    def arguments(self, spec, depth):
        out = []
        i = 0
        while i < len(spec):
            kind = spec[i]
            optional = spec[i + 1:i + 2] == "?"
            i += 2 if optional else 1
            if optional and self.rng.random() < 0.5:
                break
            if self.rng.random() < 0.08:
                kind = "x"
            out.append({
                "s": self.string, "i": lambda: str(self.rng.randrange(-2, 9)), "n": self.atom,
                "b": lambda: self.pick(["true", "false"]), "l": lambda: self.pick(["words", "['a', 'b']", "l", "s", "[]"]),
                "d": lambda: self.pick(["d", "{'x': 1}", "{}"]), "x": lambda: self.expression(depth + 1),
                "F": lambda: self.pick(["'upper'", "'length'", "'int'", "attribute='id'", "'string'", "attribute='name'"]),
                "T": lambda: self.pick(["'odd'", "'string'", "'none'", "'in', [1, 2, 'a']", "'defined'"]),
                "a": lambda: self.pick(["'id'", "'name'", "'tags'", "'none_such'", "'tags.0'"]),
            }[kind]())
        return out

    # Expressions of a kind, so that most of what is tried has a result and no type error.

    def text(self, depth):
        if depth > 3 or self.rng.random() < 0.3:
            return self.pick([self.string(), self.string(), "s", "rows[0].name", "words[1]"])
        kind = self.rng.randrange(6)
        if kind == 0:
            return "(%s ~ %s)" % (self.text(depth + 1), self.expression(depth + 1))
        if kind == 1:
            name = self.pick(["capitalize", "lower", "upper", "title", "trim", "string", "replace('a', 'b')", "center(12)",
                              "indent(2)", "truncate(5)", "wordwrap(4)", "escape", "striptags", "urlencode", "reverse", "safe",
                              "truncate(7, true)", "truncate(9, false, '..')", "indent(2, true)", "indent(width=3, blank=true)",
                              "replace('e', 'EE', 1)", "default('x', true)", "join('-')", "trim('a')", "forceescape",
                              "format(1, 'b')", "tojson", "pprint", "wordwrap(5, false)", "e|upper", "list|join"])
            return "(%s)|%s" % (self.text(depth + 1), name)
        if kind == 2:
            name = self.pick(["upper()", "lower()", "strip()", "lstrip('a ')", "rstrip()", "replace('a', 'x')", "title()", "swapcase()",
                              "zfill(8)", "center(9, '*')", "ljust(6)", "rjust(7, '.')", "capitalize()", "casefold()", "expandtabs(4)",
                              "removeprefix('a')", "removesuffix('d')", "join(['p', 'q'])", "format(1, 2)", "split(',')[0]",
                              "encode('utf-8').decode()", "translate({97: 'A'})", "replace('', '.')", "partition('l')[1]"])
            return "(%s).%s" % (self.text(depth + 1), name)
        if kind == 3:
            return "(%s)[%s]" % (self.text(depth + 1), self.pick(["0", "-1", "1:", ":2", "::-1", "1:4:2", "-3:", "5"]))
        if kind == 4:
            template = self.pick(["'%s-%s'", "'%5s|%-5s|'", "'%d %s'", "'%r %r'", "'%.2f %s'", "'%05d%s'", "'%x %o'", "'%e %g'", "'%+d %i'"])
            return "(%s %% (%s, %s))" % (template, self.expression(depth + 1), self.expression(depth + 1))
        return "'%s'.format(%s, %s)" % (self.pick(["{} {}", "{1}{0}", "{:>5}{:<3}", "{0:.2f} {1}", "{!r} {}", "{:,} {}", "{:05d}{}",
                                                   "{:^7}|{}", "{:x} {}", "{0:%} {1}", "{:e}{}"]),
                                        self.expression(depth + 1), self.expression(depth + 1))

    def number(self, depth):
        if depth > 3 or self.rng.random() < 0.3:
            value = self.pick(NUMBERS)
            return self.pick([repr(value) if value >= 0 else "(%r)" % value, "n", "f", "l[0]", "d.b"])
        kind = self.rng.randrange(5)
        if kind < 2:
            return "(%s %s %s)" % (self.number(depth + 1), self.pick(["+", "-", "*", "/", "//", "%", "**"]), self.number(depth + 1))
        if kind == 2:
            name = self.pick(["abs", "round", "round(1)", "round(2, 'floor')", "round(0, 'ceil')", "int", "float", "round(-1)",
                              "filesizeformat", "int|string|length", "filesizeformat(true)", "default(3)", "string|int", "tojson"])
            return "(%s)|%s" % (self.number(depth + 1), name)
        if kind == 3:
            return "(%s)|%s" % (self.sequence(depth + 1), self.pick(["length", "sum", "first|int", "max", "min", "count", "last|float"]))
        return "(%s)|%s" % (self.text(depth + 1), self.pick(["length", "int", "float", "wordcount", "int(7)", "int(0, 16)"]))

    def sequence(self, depth):
        if depth > 3 or self.rng.random() < 0.3:
            return self.pick(["l", "e", "rows", "words", "mixed", "[]", "(1, 2)", "range(%d)" % self.rng.randrange(6), "d", "nested",
                              "range(5, 0, -2)"])
        kind = self.rng.randrange(7)
        if kind == 0:
            return "[%s]" % ", ".join(self.expression(depth + 1) for _ in range(self.rng.randrange(5)))
        if kind < 3:
            name = self.pick(["sort", "sort(true)", "sort(attribute='name')", "sort(false, true)", "unique|list", "reverse|list", "list",
                              "batch(2)|list", "batch(3, 'x')|list", "slice(2)|list", "slice(3, 0)|list", "map('string')|list",
                              "map(attribute='id')|list", "select|list", "reject('none')|list", "select('string')|list",
                              "selectattr('tags')|list", "selectattr('id', 'gt', 1)|list", "groupby('name')", "groupby('id')|list",
                              "map('upper')|list", "dictsort", "items|list", "unique(true)|list", "map(attribute='tags.0', default='-')|list",
                              "rejectattr('name', 'eq', 'x')|list", "sort(attribute='name,id')", "select('in', [1, 'a'])|list",
                              "unique(attribute='name')|list", "sum(start=[])", "dictsort(false, 'value')", "map('length')|list",
                              "groupby('name', case_sensitive=true)|map('last')|list", "map('default', 'x')|list", "xmlattr"])
            return "(%s)|%s" % (self.sequence(depth + 1), name)
        if kind == 3:
            return "(%s)[%s]" % (self.sequence(depth + 1), self.pick(["1:", ":2", "::-1", "-2:", "0:9:2"]))
        if kind == 4:
            return "(%s).%s" % (self.text(depth + 1), self.pick(["split()", "split(',')", "splitlines()", "rsplit('a', 1)", "partition(',')",
                                                                 "split('l', 1)", "rpartition(' ')", "splitlines(true)"]))
        if kind == 5:
            return "(d if %s else nested).%s" % (self.expression(depth + 1), self.pick(["keys()", "values()", "items()", "keys()|list", "copy()"]))
        return "(%s %s %s)" % (self.sequence(depth + 1), self.pick(["+", "+", "or", "and", "*"]),
                               self.pick([self.sequence(depth + 1), "2"]))

    def expression(self, depth=0):
        if depth > 3:
            return self.atom()
        choice = self.rng.random()
        if choice < 0.75:
            return self.pick([self.text, self.number, self.sequence])(depth)
        kind = self.rng.randrange(20)
        sub = lambda: self.expression(depth + 1)
        if kind < 3:
            return self.atom()
        if kind < 7:
            return "(%s %s %s)" % (sub(), self.pick(OPERATORS), sub())
        if kind < 11:
            name = self.pick(list(FILTERS))
            args = self.arguments(FILTERS[name], depth)
            name = "sort(attribute='name')" if name == "sortattr" else name
            return "(%s)|%s%s" % (sub(), name, "(%s)" % ", ".join(args) if args else "")
        if kind < 14:
            name = self.pick(list(METHODS))
            return "(%s).%s(%s)" % (sub(), name, ", ".join(self.arguments(METHODS[name], depth)))
        if kind == 14:
            name = self.pick(list(TESTS))
            args = self.arguments(TESTS[name], depth)
            return "(%s is %s%s%s)" % (sub(), self.pick(["", "not "]), name, "(%s)" % args[0] if args else "")
        if kind == 15:
            return "[%s]" % ", ".join(sub() for _ in range(self.rng.randrange(4)))
        if kind == 16:
            return "{%s}" % ", ".join("%s: %s" % (self.string(), sub()) for _ in range(self.rng.randrange(3)))
        if kind == 17:
            return "(%s)[%s]" % (sub(), self.pick(["0", "-1", "1:", ":2", "::-1", "'a'", "'k'", sub()]))
        if kind == 18:
            return "(%s if %s else %s)" % (sub(), sub(), sub())
        return self.pick(["(not %s)", "(-%s)", "(%s,)", "(+%s)"]) % sub()

    def statements(self, depth=0):
        kind = self.rng.randrange(12)
        e = self.expression
        body = lambda: self.statements(depth + 1) if depth < 3 else "x"
        if kind < 4:
            return "{{ %s }}" % e()
        if kind == 4:
            return "{%% if %s %%}%s{%% elif %s %%}%s{%% else %%}%s{%% endif %%}" % (e(), body(), e(), body(), body())
        if kind == 5:
            inside = self.pick(["{{ x }},", "{{ loop.index }}{{ x }}{{ ',' if not loop.last }}", "{{ loop.cycle('a', 'b') }}",
                                "{% if loop.first %}{% continue %}{% endif %}{{ x }}", "{% if x == 2 %}{% break %}{% endif %}-",
                                "{{ loop.previtem }}{{ loop.nextitem is defined }}", "{{ loop.changed(x) }}", body()])
            return "{%% for x in %s%s %%}%s{%% else %%}none{%% endfor %%}" % (
                e(), self.pick(["", "", " if x"]), inside)
        if kind == 6:
            return "{%% set v = %s %%}%s{{ v }}" % (e(), body())
        if kind == 7:
            return "{%% macro m(p, q=%s) %%}%s{{ p }}{{ q }}{%% endmacro %%}{{ m(%s) }}" % (e(), body(), e())
        if kind == 8:
            return "{%% set v %%}%s{%% endset %%}{{ v|upper }}" % body()
        if kind == 9:
            return "{%% for k, x in %s %%}{{ k }}={{ x }};{%% endfor %%}" % self.pick(["d.items()", "d|dictsort", e()])
        if kind == 10:
            return "{%% with v = %s %%}%s{{ v }}{%% endwith %%}" % (e(), body())
        return self.pick([" text ", "\n", "{#- c -#}", "{%- if true -%} a {%- endif +%} b", "{% raw %}{{ x }}{% endraw %}"])

    def template(self):
        return "".join(self.statements() for _ in range(self.rng.randrange(1, 4)))


class NoFolding(jinja2.compiler.CodeGenerator):
    """What is folded while compiling may differ from what is computed later, as in {{ 1[0:1] }}."""

    def _output_child_to_const(self, node, frame, finalize):
        if not isinstance(node, jinja2.nodes.TemplateData):
            raise jinja2.nodes.Impossible()
        return super()._output_child_to_const(node, frame, finalize)


class TooSlow(Exception):
    pass


def too_slow(_signal, _frame):
    raise TooSlow()


def reference(environment, template):
    """The output and None, None and the error; None and None when Python takes too long."""
    signal.setitimer(signal.ITIMER_REAL, 3)
    try:
        return environment.from_string(template).render(json.loads(json.dumps(NAMES))), None
    except TooSlow:
        return None, None
    except Exception as e:  # whatever the template did
        return None, "%s: %s" % (type(e).__name__, e)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def answers(engine, templates):
    requests = "".join(json.dumps({"id": str(i), "template": t, "context": NAMES}) + "\n" for i, t in enumerate(templates))
    done = subprocess.run([engine, "render", "--batch"], input=requests.encode(), stdout=subprocess.PIPE, check=False)
    found = {}
    for line in done.stdout.decode().splitlines():
        answer = json.loads(line)
        found[int(answer["id"])] = answer
    return found, done.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", default="build/release/dex-lua", metavar="CMD")
    parser.add_argument("--count", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--show", type=int, default=20, metavar="N")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_slow)
    environment = jinja2.sandbox.SandboxedEnvironment(
        extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], optimized=False)
    environment.code_generator_class = NoFolding
    generator = Generator(random.Random(args.seed))
    templates = [generator.template() for _ in range(args.count)]
    found, status = answers(args.engine, templates)
    failed = 0
    for i, template in enumerate(templates):
        expected, error = reference(environment, template)
        if expected is None and error is None:
            continue
        answer = found.get(i, {"error": {"message": "no answer"}})
        if expected == answer.get("output") and (error is None) == ("error" not in answer):
            continue
        # how Python shows an object by its place in memory is not followed
        if " at 0x" in (error or expected).lower():
            continue
        failed += 1
        if failed <= args.show:
            print("---", json.dumps(template, ensure_ascii=False))
            print("  jinja2: ", repr(expected) if error is None else error)
            print("  dex-lua:", repr(answer["output"]) if "output" in answer else answer["error"])
    if status != 0:
        failed += 1
        print("dex-lua ended with status", status)
    print("%d passed, %d failed" % (len(templates) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
