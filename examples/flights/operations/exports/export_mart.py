# config:
#   description: Writes a mart as CSV below target/exports
#   parameters:
#     - {name: mart, type: text, default: strikes_by_airport, description: a table of the schema reporting}
#     - {name: rows, type: integer, description: at most so many}
#   timeout: 5m
#   depends_on: [strikes_by_airport]
"""psql finds the server by itself: PGHOST and the others are set, and so is the password file."""
import csv
import json
import os
import subprocess

context = json.load(open(os.environ["DEX_CONTEXT"], encoding="utf-8"))
args = context["args"]
limit = f" limit {args['rows']}" if "rows" in args else ""
query = f"copy (select * from reporting.{args['mart']}{limit}) to stdout (format csv, header)"

folder = os.path.join(context["target_dir"], "exports")
os.makedirs(folder, exist_ok=True)
path = os.path.join(folder, args["mart"] + ".csv")
with open(path, "wb") as out:
    subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", query], stdout=out, check=True)

with open(path, encoding="utf-8", newline="") as file:
    rows = sum(1 for _ in csv.reader(file)) - 1
print(f"{rows} rows of {args['mart']} in {os.path.relpath(path, context['project_dir'])}")
with open(os.environ["DEX_RESULT"], "w", encoding="utf-8") as result:
    json.dump({"rows": rows}, result)
