"""The live page while things run: what is started in it, and what it shows of what others start."""
from serving import Served
from shop import FILES
from window import Keys

STATUS = ".view-head .badge"


def test_an_operation_from_its_form_to_its_result(serve, window):
    served = serve(FILES)
    served.project.run("build", "--exclude", "tag:broken").ok()
    one = window(served).open("/operations/report%2Fcustomers")
    one.press("Run", ".form-panel")
    one.sees("kind is required", where=".fault")
    assert one.js("return document.activeElement.name") == "kind"
    one.choose("kind", "some")
    one.write("least", "6")
    one.write("password", "hunter2hunter2")
    one.press("Run", ".form-panel")
    one.sees("success", where=".this-run .badge")
    one.sees("5 rows", "some", where=".this-run")
    one.shot("operation-ended")
    one.sees("success", where="table .badge")  # and it is among its runs, without a reload
    one.follow("Open the run")
    one.sees("report/customers", where="h1")
    assert "hunter2" not in one.text("body") and "kind" in one.text(".pairs")
    assert "hunter2" not in served.get("/api/runs?limit=5").body.decode()
    one.follow("Run it again …")
    one.sees("customers", where="h1")
    assert one.field("least").get_attribute("value") == "6"
    assert one.field("password").get_attribute("value") == ""


def test_an_operation_that_asks(serve, window, axe):
    one = window(serve(FILES)).open("/operations/maintenance%2Fempty")
    one.press("Run", ".form-panel")
    one.sees("Empty the table of orders?", where="dialog")
    one.shot("confirm")
    assert not one.violations(axe)
    one.press("Cancel", "dialog")
    one.until("!document.querySelector('dialog[open]')")
    assert not one.js("return document.querySelector('.this-run')")
    one.press("Run", ".form-panel")
    one.find("dialog button.primary").click()
    one.sees("success", where=".this-run .badge")
    one.sees("emptied", where=".this-run")


def test_the_servers_complaint_stands_at_its_field(serve, window):
    files = {**FILES, "operations/day.sql": "{{ config(parameters=[{'name': 'day', 'type': 'timestamp', 'required': true}]) }} "
                                            "select '{{ args.day }}' as day"}
    one = window(serve(files)).open("/operations/day")
    one.js("const f = document.querySelector('[name=day]'); f.type = 'text'; f.value = 'yesterday'")
    one.press("Run", ".form-panel")
    one.sees("day", where=".fault:not([hidden])")
    assert one.js("return document.querySelector('[name=day]').getAttribute('aria-invalid')") == "true"


def test_a_flow_is_started_watched_and_cancelled_by_two_viewers(serve, window):
    served = serve(FILES)
    one, two = window(served).open("/flows/long"), window(served).open("/")
    two.sees("Nothing runs at the moment.")
    one.press("Start")
    one.find("dialog button.primary", "Start").click()
    one.sees("running", where=STATUS)
    one.until("[...document.querySelectorAll('.task-row')].some(r => r.innerText.includes('sleep') && r.querySelector('.s-running'))")
    one.shot("flow-running")
    two.sees("long", where=".run-card")
    # The first page is drawn anew when something else happens; who is on a button stays on it.
    two.js("document.querySelector('.run-card button').focus()")
    served.project.run("seed").ok()
    two.sees("seed", where="table")
    assert two.js("return document.activeElement.textContent") == "Cancel"
    two.keys(Keys.ENTER)
    one.sees("cancelled", where=STATUS)
    one.until("[...document.querySelectorAll('.task-row')].some(r => r.innerText.includes('after') && !r.querySelector('.s-waiting'))")
    two.sees("Nothing runs at the moment.")
    two.sees("cancelled", where="table .badge")
    served.project.db.wait_for_nobody()


def test_cancel_is_asked_for(serve, window):
    served = serve(FILES)
    one = window(served).open("/flows/long")
    one.press("Start")
    one.find("dialog button.primary", "Start").click()
    one.sees("running", where=STATUS)
    one.press("Cancel", ".view-head")
    one.sees("What committed stays", where="dialog")
    one.press("Cancel the run", "dialog")
    one.sees("cancelled", where=STATUS)


def test_rerun_from_failure(serve, window):
    served = serve(FILES)
    served.project.run("flow", "run", "fragile").fails()
    one = window(served).open("/runs")
    one.follow("fragile")
    one.sees("failed", where=STATUS)
    failed = one.path
    served.project.write({"mended": ""})
    one.press("Re-run from failure")
    one.until(f"location.pathname !== {failed!r}")
    one.sees("success", where=STATUS)
    one.sees("re-run of")
    # What went well has not run again.
    run = served.get("/api" + one.path).ok()
    started = {task["name"]: task["started_at"] for task in run["tasks"]}
    assert started["look"] and not (started["first"] and started["first"] > run["started_at"])


def test_a_failed_task_is_marked_as_done(serve, window):
    served = serve(FILES)
    served.project.run("flow", "run", "fragile").fails()
    one = window(served).open("/runs")
    one.follow("fragile")
    one.find(".task-row button", None)
    one.js("[...document.querySelectorAll('.task-row button')].find(b => b.textContent.includes('look')).click()")
    one.press("Mark as done")
    one.until("[...document.querySelectorAll('.task-row')].some(r => r.innerText.includes('look') && r.querySelector('.s-success'))")


def test_a_schedule_is_paused_for_everybody(serve, window):
    served = serve(FILES)
    one, two = window(served).open("/flows/nightly"), window(served).open("/flows")
    two.until("[...document.querySelectorAll('.flow-row')].some(r => r.innerText.includes('nightly') && r.innerText.includes(' · in '))")
    one.press("Pause schedule")
    one.sees("paused", "by owner", where=".view-head")
    two.sees("paused", where=".flow-row")
    one.press("Resume schedule")
    two.until("!document.querySelector('.flow-row .paused')")
    one.follow("Audit", "nav")
    one.sees("pause", "resume", "owner")


def test_a_build_from_a_node(serve, window, axe):
    served = serve(FILES)
    one = window(served).open("/nodes/seed.shop.raw_orders")
    one.press("Build with all behind")
    one.sees("build", where="h1")
    one.sees("partial", where=STATUS)  # broken divides by zero
    one.sees("fct_orders", where=".timeline")
    assert "report/customers" not in one.text(".timeline")  # the operation that reads it was not asked for
    one.js("[...document.querySelectorAll('.task-row button')].find(b => b.textContent.includes('broken')).click()")
    one.sees("division by zero", where=".task-details")
    one.js("[...document.querySelectorAll('.task-row button')].find(b => b.textContent.includes('fct_orders')).click()")
    one.sees("pre_hooks", "post_hooks", "statistics", where=".task-details")
    one.shot("run-details")
    assert not one.violations(axe)
    one.press("Graph")
    one.until("document.querySelector('.graph canvas')?.width > 0")
    one.shot("run-graph")
    assert not one.violations(axe)


def test_what_a_terminal_starts_is_seen(serve, window):
    served = serve(FILES)
    one = window(served).open("/lineage")
    one.sees("fct_orders", where=".node-list")
    served.project.run("build", "--exclude", "tag:broken").ok()
    one.until("[...document.querySelectorAll('.node-row')].some(r => r.innerText.includes('fct_orders') && r.querySelector('.s-success'))")


def test_a_server_that_was_away(window, project):
    p = project(FILES)
    first = Served(p)
    one = window(first).open("/runs")
    one.sees("Nothing has run yet.")
    one.sees("live", where=".connection")
    assert first.stop() == 0
    one.sees("reconnecting", where=".connection")
    one.shot("reconnecting")
    p.run("seed").ok()  # happens while nobody is there to tell
    second = Served(p, port=first.port)
    one.sees("live", where=".connection")
    one.sees("seed", "success", where="table")
    assert second.stop() == 0


def test_a_page_left_and_found_again_holds_no_connection(serve, window):
    served = serve(FILES)
    one = window(served).open("/")
    # The browser keeps them all for its back button, and has six connections to a server.
    for page in ("runs", "flows", "operations", "history", "audit", "lineage", "flows/nightly", "flows/long"):
        one.driver.get(f"http://127.0.0.1:{served.port}/{page}")
        one.settled()
        one.sees("live", where=".connection")
    one.driver.back()
    one.sees("nightly", where="h1")
    one.sees("live", where=".connection")


def test_the_log_follows_filters_and_loses_nothing(serve, window):
    script = 'import sys\nfor i in range(3000):\n    print("line", i, flush=i % 500 == 0)\n'
    served = serve({**FILES, "operations/talk.py": script})
    one = window(served).open("/operations/talk")
    one.press("Run", ".form-panel")
    one.sees("success", where=".this-run .badge")
    one.sees("line 2999", where=".log")
    run = served.get("/api/runs?kind=operation&name=talk").ok()["items"][0]["id"]
    one.open("/runs/" + run)
    one.sees("line 2999", where=".log")  # its end is seen first
    assert one.js("return document.querySelectorAll('.log-line').length") < 100  # and only what is seen is drawn
    one.find("input[aria-label='Filter the log']").send_keys("line 1234")
    one.until("document.querySelectorAll('.log-line').length === 1")


def test_keys_go_through_the_tasks(serve, window):
    served = serve(FILES)
    served.project.run("build", "--exclude", "tag:broken").ok()
    one = window(served).open("/runs")
    one.follow("build")
    one.find(".task-row button").send_keys(Keys.ARROW_DOWN)
    one.until("document.activeElement === document.querySelectorAll('.task-row button')[1]")
    one.keys(Keys.ENTER)
    one.until("document.querySelector('.task-details')")
    assert one.js("return document.activeElement.getAttribute('aria-expanded')") == "true"


def test_a_project_that_cannot_be_loaded(serve, window):
    served = serve(FILES)
    served.project.run("seed").ok()
    served.project.write({"models/bad.yml": "models: [{name: nowhere, columns: 7}]\n", "dbt_project.yml": "name: [\n"})
    one = window(served).open("/")
    one.sees("The project cannot be loaded", "dbt_project.yml", where=".problem")
    one.sees("seed", where="table")  # what ran is there all the same
    one.shot("project-broken")
    one.follow("History", "nav")
    one.sees("raw_orders", where="table")
    one.follow("Flows", "nav")
    one.sees("dbt_project.yml", where=".problem")
