#!/usr/bin/env python3
"""Runs the corpus beside check.py, as check.py does, against known_failures.txt: ids that may fail for now, one a line,
`#` comments. A case that is not listed must pass, and a listed one must fail: the list only gets shorter.

The last line printed is 'N passed, N failed'; listed cases count as neither.
"""

import argparse
import os
import sys

import check

HERE = os.path.dirname(os.path.abspath(__file__))


def known_failures(path):
    if not os.path.exists(path):
        return set()
    with open(path, encoding="utf-8") as f:
        return {line.split("#")[0].strip() for line in f} - {""}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--engine", default="dex-lua", metavar="CMD")
    parser.add_argument("--show", type=int, default=20, metavar="N")
    args = parser.parse_args()
    cases = check.read_cases([os.path.join(HERE, "cases.jsonl")], None)
    known = known_failures(os.path.join(HERE, "known_failures.txt"))
    answers, troubles = check.run_engine(args.engine, cases, 300)
    passed = expected = 0
    failed = []
    for case in cases:
        why = check.judge(case, answers.get(case["id"]))
        if case["id"] in known:
            if why is None:
                failed.append(case["id"])
                print(f"FAIL {case['id']}: passes, and stands in known_failures.txt: take it out")
            else:
                expected += 1
        elif why is None:
            passed += 1
        else:
            failed.append(case["id"])
            if len(failed) <= args.show:
                check.report(case, why)
    for case_id in sorted(known - {case["id"] for case in cases}):
        failed.append(case_id)
        print(f"FAIL {case_id}: no such case, and it stands in known_failures.txt")
    for case_id in failed[args.show:]:
        print("FAIL " + case_id)
    for line in troubles[:20]:
        print(line)
    # The process must end well after the last case, too.
    if troubles and not failed:
        failed.append("engine")
    if expected:
        print(f"{expected} listed in known_failures.txt failed as expected")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
