"""Operations with one mistake each: all that a person sees of it."""
import pytest

import bad
from bad import Case

PARAMETERS = "{{ config(parameters=[{'name': 'role', 'required': true, 'type': 'text'}, {'name': 'level', 'type': 'integer'}]) }}\nselect 1\n"
CASES = [
    Case("operation_parameter_type", {"operations/o.py": "# config:\n#   parameters:\n#     - {name: day, type: dat}\nprint(1)\n"},
         "operation ls"),
    Case("operation_parameter_default", {"operations/o.yml": "operations:\n  - name: o\n    parameters:\n      - name: n\n        type: integer\n"
                                         "        default: many\n", "operations/o.sql": "select 1\n"}, "operation ls"),
    Case("operation_setting", {"operations/o.lua": "-- config:\n--   retries: often\nreturn function() end\n"}, "operation ls"),
    Case("operation_header", {"operations/o.py": "# config:\n#   tags: [a\nprint(1)\n"}, "operation ls"),
    Case("operation_hooks_key", {"operations/o.py": "# config:\n#   hooks: {after: select 1}\n"}, "operation ls"),
    Case("operation_twice", {"operations/o.py": "print(1)\n", "operations/o.sql": "select 1\n"}, "operation ls"),
    Case("operation_depends_on", {"operations/o.sql": "{{ config(depends_on=['ab']) }} select 1\n"}, "operation ls"),
    Case("operation_ambiguous", {"operations/x/o.sql": "select 1\n", "operations/y/o.py": "print(1)\n"}, "operation run o"),
    Case("operation_argument_missing", {"operations/o.sql": PARAMETERS}, "operation run o"),
    Case("operation_argument_type", {"operations/o.sql": PARAMETERS}, "operation run o -a role=x -a level=high"),
    Case("operation_argument_unknown", {"operations/o.sql": PARAMETERS}, "operation run o -a rolle=x"),
    Case("operation_target", {"operations/o.sql": "{{ config(targets=['prod']) }}\nselect 1\n"}, "operation run o"),
    Case("operation_confirm", {"operations/o.sql": "{{ config(confirm=true) }}\nselect 1\n"}, "operation run o"),
    Case("operation_interpreter", {"operations/o.py": "# config:\n#   python: no-such-python\nprint(1)\n"}, "operation run o", 1),
    Case("operation_python_raises", {"operations/o.py": "# config:\n#   jinja: false\n#   python: /usr/bin/python3\n\n"
                                     "def half(n):\n    raise ValueError('no half of %d' % n)\n\nhalf(3)\n"}, "operation run o", 1),
    Case("operation_python_result", {"operations/o.py": "import os\nopen(os.environ['DEX_RESULT'], 'w').write('{')\n"},
         "operation run o", 1),
    Case("operation_lua_raises", {"operations/o.lua": "return function(op)\n  op:fail('no luck with %s', op.target.name)\nend\n"},
         "operation run o", 1),
    Case("operation_timeout", {"operations/o.sql": "{{ config(timeout=0.2) }}\nselect pg_sleep(60)\n"}, "operation run o", 1),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_mistake(project, case):
    bad.run(project, case)
