"""The nightly flow of examples/flights: every kind of node, and a receiver that is told."""
import json
import shutil

import flows
import receiver
from test_flights import flights  # noqa: F401


def told(server):
    return [json.loads(body) for _, _, body in server.got]


def test_a_night(flights):  # noqa: F811
    with receiver.receiving() as server:
        night = flights.run("flow", "run", "nightly", env={"FLIGHTS_WEBHOOK": server.url + "/night"}, timeout=120).ok()
        (message,) = told(server)
    assert (message["flow"], message["status"], message["severity"], message["failed"]) == ("nightly", "success", "info", 0)
    assert message["run_id"] == flows.run_id(night)
    run = flows.history(flights, night)
    assert {t["kind"] for t in run["tasks"] if "/" not in t["name"]} == {"wait", "transformation", "operation", "script", "flow"}
    nodes = {t["name"]: t["status"] for t in run["tasks"] if "/" not in t["name"]}
    assert nodes == {"data": "success", "build": "warn", "complete": "success", "indexes": "success", "storage": "success",
                     "exports": "success", "exports[0]": "success", "exports[1]": "success", "count": "success",
                     "access": "success", "remark": "success", "alarm": "skipped"}
    night.says("count: 88", "remark: the schema reporting takes ")
    assert {flights.exists("target", "exports", name + ".csv") for name in ("strikes_by_airport", "damage_cost_by_species")} == {True}
    languages = [r["adapter_response"]["operation"]["language"] for r in night.results if r["unique_id"].startswith("operation.")
                 and "operation" in r["adapter_response"]]
    assert set(languages) == {"sql", "python", "lua"}
    assert flights.sql("select has_schema_privilege('auditors', 'reporting', 'usage')") == ["t"]


def test_a_night_that_goes_wrong_is_told_and_taken_up(flights):  # noqa: F811
    shutil.copy(flights.path("operations/exports/export_mart.py"), flights.path("export_mart.kept"))
    with open(flights.path("operations/exports/export_mart.py"), "a", encoding="utf-8") as file:
        file.write("raise SystemExit('no room')\n")
    with receiver.receiving() as server:
        env = {"FLIGHTS_WEBHOOK": server.url + "/night"}
        night = flights.run("flow", "run", "nightly", env=env, timeout=120).fails(1)
        night.says("the night of " + flows.run_id(night) + " went wrong", "no room", "flow rerun " + flows.run_id(night))
        shutil.copy(flights.path("export_mart.kept"), flights.path("operations/exports/export_mart.py"))
        again = flights.run("flow", "rerun", flows.run_id(night), env=env, timeout=120).ok()
        first, second = told(server)
    assert (first["status"], first["severity"]) == ("partial", "critical")
    assert {f["node"] for f in first["failures"]} >= {"flow.flights.nightly.exports"}
    assert (second["status"], second["severity"]) == ("success", "info")
    assert flows.history(flights, again)["by"]["build"]["attempt"] == 0  # done the first time
    assert "model" not in again.stdout
