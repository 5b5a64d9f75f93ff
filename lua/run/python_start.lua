--- The Python program that runs a script which Jinja has changed, so that tracebacks show the user's file and its
-- lines. It takes the file, the text to run, and a list with the file's line for each line of the text: below 0 where
-- the line was changed, so that its columns say nothing.

local M = {}

--- The program, for `python -c`.
M.TEXT = [[
import ast, json, os, sys, traceback, types

def main():
    file, text, lines = sys.argv[1:4]
    sys.argv = [file]
    sys.path[0] = os.path.dirname(file)
    with open(text, encoding="utf-8") as f:
        source = f.read()
    with open(lines, encoding="utf-8") as f:
        lines = json.load(f)

    def line_of(n):
        return lines[n - 1] if 0 < n <= len(lines) else n

    try:
        tree = ast.parse(source, file)
    except SyntaxError as e:
        if e.lineno:
            e.lineno = abs(line_of(e.lineno))
            if getattr(e, "end_lineno", None):
                e.end_lineno = max(e.lineno, abs(line_of(e.end_lineno)))
        traceback.print_exception(type(e), e, None)
        return 1
    for node in ast.walk(tree):
        if getattr(node, "lineno", None):
            line, end = line_of(node.lineno), line_of(getattr(node, "end_lineno", None) or node.lineno)
            node.lineno, node.end_lineno = abs(line), max(abs(line), abs(end))
            if line < 0 or end < 0 or node.end_lineno == node.lineno and node.end_col_offset < node.col_offset:
                node.end_lineno = node.lineno
                node.col_offset = node.end_col_offset = 0
    code = compile(tree, file, "exec")
    module = types.ModuleType("__main__")
    module.__file__ = file
    sys.modules["__main__"] = module
    try:
        exec(code, module.__dict__)
    except SystemExit:
        raise
    except BaseException as e:
        back = e.__traceback__.tb_next
        traceback.print_exception(type(e), e, back)
        return 130 if isinstance(e, KeyboardInterrupt) else 1
    return 0

sys.exit(main())
]]

return M
