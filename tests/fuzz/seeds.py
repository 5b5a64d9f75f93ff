"""seeds.py FOLDER: writes what the fuzzer begins with into a folder: the templates of the corpus, one a file, and the
Lua files of tests/fuzz/seeds. Prints how many there are."""

import json
import pathlib
import sys

here = pathlib.Path(__file__).resolve().parent
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
count = 0
for line in (here.parent / "jinja/cases.jsonl").read_text(encoding="utf-8").splitlines():
    (folder / f"{count:05}").write_bytes(json.loads(line)["template"].encode("utf-8", "surrogatepass"))
    count += 1
for file in sorted((here / "seeds").iterdir()):
    (folder / file.name).write_bytes(file.read_bytes())
    count += 1
print(count)
