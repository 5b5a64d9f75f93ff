"""Every page of the live page, as it looks: by day, by night and on a telephone, to readers of screens and to keys."""
import re
import uuid

import pytest
from fixtures import Project
from serving import Served
from shop import FILES
from window import Keys


@pytest.fixture(scope="module")
def shop(postgres, tmp_path_factory):
    """A server whose project has been built: one run that went well, one that failed."""
    database = postgres.database()
    project = Project(tmp_path_factory.mktemp("shop"), database, str(uuid.uuid4())).write(FILES)
    project.run("build", "--exclude", "tag:broken").ok()
    project.run("operation", "run", "report/customers", "-a", "kind=all").ok()
    project.run("flow", "run", "nightly").ok()
    project.run("flow", "run", "fragile").fails()
    project.run("run", "--select", "broken").fails()
    served = Served(project)
    yield served
    assert served.stop() == 0
    database.drop()


@pytest.fixture(scope="module")
def pages(shop):
    """Name -> address of each page, and what it must show."""
    runs = shop.get("/api/runs?limit=20").ok()["items"]

    def run(kind, name):
        return "/runs/" + next(r["id"] for r in runs if r["kind"] == kind and r["name"] == name)

    return {
        "home": ("/", ["shop", "3", "models", "nightly", "Last runs", "report/customers"]),
        "lineage": ("/lineage", ["Lineage", "fct_orders", "stg_orders", "raw_orders"]),
        "node": ("/nodes/model.shop.fct_orders", ["What each customer has ordered, <i>so far</i>.", "sum(amount)", "set local work_mem",
                                                  "statistics", "unique", "double precision"]),
        "runs": ("/runs", ["Runs", "nightly", "fragile", "failed", "success"]),
        "run-flow": (run("flow", "nightly"), ["nightly", "success", "fct_orders", "Log"]),
        "run-failed": (run("flow", "fragile"), ["fragile", "failed", "look", "Re-run from failure"]),
        "run-operation": (run("operation", "report/customers"), ["report/customers", "Result", "customer", "5 rows", "Run it again"]),
        "run-command": (run("command", "build"), ["build", "fct_orders", "unique_fct_orders_customer"]),
        "operations": ("/operations", ["customers", "The largest customers.", "maintenance/", "never run"]),
        "operation": ("/operations/report%2Fcustomers", ["customers", "least", "kind", "password", "secret", "Runs so far"]),
        "flows": ("/flows", ["nightly", "fragile", "long", "by hand"]),
        "flow": ("/flows/nightly", ["every day", "load", "build", "report", "tag:nightly", "Start", "Pause schedule"]),
        "history": ("/history", ["Durations over time", "Slowest nodes", "Slowest hooks", "Failures", "division by zero"]),
        "audit": ("/audit", ["Audit"]),
    }


NAMES = ["home", "lineage", "node", "runs", "run-flow", "run-failed", "run-operation", "run-command", "operations", "operation",
         "flows", "flow", "history", "audit"]


@pytest.mark.parametrize("name", NAMES)
def test_every_page(window, shop, pages, axe, name):
    path, texts = pages[name]
    one = window(shop)
    one.colours("light")
    one.open(path)
    one.sees(*texts)
    one.sees("live", where=".connection")
    assert one.path == path and "token" not in one.js("return location.href")
    assert one.js("return document.querySelectorAll('h1').length") == 1
    one.shot(f"{name}-light")
    found = one.violations(axe)
    assert not found, "\n".join(found)
    one.colours("dark")
    one.shot(f"{name}-dark")
    found = one.violations(axe)
    assert not found, "in the dark:\n" + "\n".join(found)
    one.colours("light")
    one.size(360, 740)
    one.open(path)
    one.sees(texts[0])
    assert not one.too_wide(), one.too_wide()
    one.shot(f"{name}-phone")
    found = one.violations(axe)
    assert not found, "on a telephone:\n" + "\n".join(found)


def test_text_of_the_project_is_no_markup(window, shop, pages):
    one = window(shop).open(pages["node"][0])
    one.sees("so far")
    assert not one.js("return document.querySelector('main i i, main b b, .about i, .code b')")
    assert "it''s <b>bold</b>" in one.text(".code")


def test_source_is_told_apart_from_compiled(window, shop):
    one = window(shop).open("/nodes/model.shop.stg_orders")
    one.sees("{{ ref('raw_orders') }}", where=".code")
    assert one.text(".c-remark") == "{# what came in #}"
    assert one.js("return [...document.querySelectorAll('.c-key')].map(e => e.textContent)").count("select") == 1
    one.press("Compiled")
    one.sees('"dev"."raw_orders"', where=".code")


def test_columns_and_rows_come_from_the_database(window, shop):
    one = window(shop).open("/nodes/model.shop.fct_orders")
    one.sees("3 columns, as the database has them", "bigint", "double precision")
    one.press("Show rows")
    one.sees("7 rows", "c3")


def test_a_token_is_needed(window, shop, axe):
    one = window(shop)
    one.open("/runs", token="")
    one.sees("This page needs a token")
    assert one.js("return document.activeElement.id") == "token"
    one.shot("token")
    one.keys("0" * 64, Keys.ENTER)
    one.sees("The server does not know this token")
    assert not one.violations(axe)
    one.keys(shop.token, Keys.ENTER)
    one.sees("Runs", "fragile", where="main")
    assert one.path == "/runs"
    one.driver.refresh()  # the window keeps it
    one.sees("fragile", where="main")


def test_back_button_and_links(window, shop):
    one = window(shop).open("/")
    one.follow("Flows", "nav")
    one.sees("Flows", where="h1")
    one.follow("nightly")
    one.sees("nightly", where="h1")
    assert one.path == "/flows/nightly" and one.js("return document.title") == "nightly · shop"
    assert one.js("return document.activeElement.id") == "main"  # readers begin with the new page
    one.driver.back()
    one.sees("Flows", where="h1")
    one.driver.back()
    one.sees("Last runs", where="h2")
    one.driver.forward()
    one.sees("Flows", where="h1")


def test_keys(window, shop, axe):
    one = window(shop).open("/")
    one.keys("?")
    one.sees("Search on this page", where="dialog")
    one.shot("keys")
    assert not one.violations(axe)
    one.keys(Keys.ESCAPE)
    one.until("!document.querySelector('dialog[open]')")
    one.keys("g", "o")
    one.sees("Operations", where="h1")
    one.keys("/", "empt")
    one.until("document.querySelectorAll('.rows li').length === 1")
    one.sees("1 operation")
    one.keys("g", "h")  # typed into the field, no key any more
    assert one.path == "/operations"


def test_first_stroke_leads_to_the_content(window, shop):
    one = window(shop).open("/runs")
    one.keys(Keys.TAB)
    assert one.js("return document.activeElement.textContent") == "To the content"
    one.keys(Keys.ENTER)
    assert one.js("return document.activeElement.id") == "main"


def test_lineage(window, shop):
    one = window(shop).open("/lineage")
    one.sees("fct_orders", where=".node-list")
    all_nodes = one.js("return document.querySelectorAll('.node-row').length")
    one.write("Select", "+fct_orders")
    one.keys(Keys.ENTER)
    one.until("document.querySelectorAll('.node-row').length === 3", "three nodes")
    assert all_nodes > 3 and one.path == "/lineage?select=%2Bfct_orders"
    # The picture and the list choose together; arrows go along the edges.
    one.find(".node-row button", "model stg_orders").click()
    one.sees("stg_orders", where=".chosen-card")
    one.js("document.querySelector('canvas').focus()")
    one.keys(Keys.ARROW_RIGHT)
    one.sees("fct_orders", where=".chosen-card")
    one.keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    one.sees("raw_orders", where=".chosen-card")
    one.press("Focus")
    one.until("location.search.includes('focus=')")
    one.keys(Keys.ENTER)
    one.write("Select", "tag:nope")
    one.press("Show")
    one.sees("tag:nope", where=".note")
    one.sees("Nothing is selected.")
    one.write("Select", "nonsense:x")
    one.press("Show")
    one.sees("nonsense", where=".problem")


def test_what_does_not_exist_is_said(window, shop):
    one = window(shop).open("/runs/00000000-0000-0000-0000-000000000000")
    one.sees("there is no run", "To the first page")
    one.open("/nodes/model.shop.fct_order")
    one.sees("there is no node", "fct_orders")
    one.open("/operations/custmers")
    one.sees("custmers")
    assert one.js("return document.querySelector('.problem').getAttribute('role')") == "alert"


def test_a_token_that_may_only_look(window, shop):
    shop.project.run("serve", "token", "add", "guest", "--role", "view").ok()
    token = shop.project.run("serve", "token", "add", "guest2", "--role", "view").ok().stdout.split()[-1]
    one = window(shop).open("/flows/nightly", token=token)
    one.sees("guest2 · view only")
    start = one.js("return [...document.querySelectorAll('button')].find(b => b.textContent === 'Start')")
    assert not start.is_enabled() and "role view" in start.get_attribute("title")
    one.open("/operations/report%2Fcustomers", token=token)
    one.sees("Your token may only look")


def test_times_are_the_viewers(window, shop):
    one = window(shop)
    one.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    one.open("/runs")
    one.sees("fragile")
    shown = one.js("const t = document.querySelector('td time'); return [t.textContent, t.title, t.dateTime]")
    hour, minute, _ = map(int, shown[2][11:19].split(":"))
    minutes = (hour * 60 + minute + 330) % 1440
    assert shown[0].startswith(f"{minutes // 60:02}:{minutes % 60:02}") and shown[1].endswith("UTC")
    one.driver.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})


def test_themes(window, shop):
    one = window(shop)
    one.colours("light")
    one.open("/")
    ground = "return getComputedStyle(document.body).backgroundColor"
    assert one.js(ground) == "rgb(255, 255, 255)"
    one.find("button", "◐").click()
    one.find("button", "☀").click()
    assert one.js(ground) == "rgb(17, 20, 24)"
    one.driver.refresh()
    one.sees("Last runs")
    assert one.js(ground) == "rgb(17, 20, 24)"  # the choice holds


def test_files_of_the_page(shop):
    html = shop.get("/flows/some%2Fwhere", token="")
    assert html.status == 200 and html.headers["Cache-Control"] == "no-store"
    policy = html.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
    paths = re.findall(r'(?:src|href)="(/static/[^"]+)"', html.body.decode())
    assert len(paths) >= 5
    for path in paths:
        file = shop.get(path, token="")
        assert file.status == 200 and "immutable" in file.headers["Cache-Control"], path
        assert file.headers["X-Content-Type-Options"] == "nosniff" and b"http" not in file.body.replace(b"http://www.w3.org/", b""), path
    folder = paths[0].rpartition("/")[0]
    for path in (folder + "/index.html", folder + "/../page.lua", folder + "/%2e%2e/page.lua", folder + "/nothing.js",
                 "/static/0000000000000000/main.js", "/nowhere"):
        assert shop.get(path, token="").status == 404, path
