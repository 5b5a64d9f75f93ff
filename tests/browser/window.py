"""A Chromium that is driven as a person would: one window for each viewer, waiting for what the page shows."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

# Debian's packages are seen by Debian's Python only; another one that has pytest may take these, which are pure Python.
sys.path.append("/usr/lib/python3/dist-packages")
from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import JavascriptException, StaleElementReferenceException, TimeoutException  # noqa: E402
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

BUILD = os.path.join(os.path.dirname(__file__), "..", "..", "build")
SHOTS = os.path.join(BUILD, "screenshots")
AXE = "axe-playwright-python==0.1.8"  # a package that holds axe-core's one file; it is fetched, never committed
WAIT = 60

# Waits without asking again and again: the condition is looked at when the document changes, and once a frame while
# something is only scrolled or drawn.
UNTIL = """
const done = arguments[arguments.length - 1], condition = new Function("return (" + arguments[0] + ")");
const watch = new MutationObserver(check);
let frame = null;
function check() {
  let found = null;
  try { found = condition(); } catch (error) { found = null; }
  if (!found) return;
  watch.disconnect();
  cancelAnimationFrame(frame);
  done(found instanceof Node ? true : found);
}
function next() { frame = requestAnimationFrame(() => { next(); check(); }); }
watch.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
next();
check();
"""


def chromium():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def start(*arguments):
    options = Options()
    options.binary_location = chromium()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1360,900",
                     "--force-device-scale-factor=1", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    driver.set_script_timeout(WAIT)
    driver.set_page_load_timeout(WAIT)
    return driver


def axe_source():
    """axe-core's text, fetched once into build/."""
    folder = os.path.join(BUILD, "axe")
    file = os.path.join(folder, AXE.partition("==")[2] + ".js")
    if not os.path.exists(file):
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as own:  # several processes may fetch it at once
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir",
                            "--disable-pip-version-check", "-d", own, AXE], check=True)
            wheel, text = glob.glob(os.path.join(own, "*.whl"))[0], os.path.join(own, "axe.js")
            with zipfile.ZipFile(wheel) as archive, open(text, "wb") as out:
                out.write(archive.read("axe_playwright_python/axe.min.js"))
            os.rename(text, file)
    with open(file, encoding="utf-8") as source:
        return source.read()


class Window:
    """One viewer. `served` is what it looks at."""

    def __init__(self, driver, handle, served):
        self.driver, self.handle, self.served = driver, handle, served

    # Seeing ---------------------------------------------------------------------------------------------------

    def here(self):
        self.driver.switch_to.window(self.handle)
        return self.driver

    def js(self, script, *arguments):
        return self.here().execute_script(script, *arguments)

    def until(self, condition, what=None):
        """Waits until a JavaScript expression holds, and gives its value."""
        try:
            return self.here().execute_async_script(UNTIL, condition)
        except (TimeoutException, JavascriptException) as error:
            raise AssertionError(f"the page never comes to: {what or condition}\n{type(error).__name__}\n{self.state()}") from None

    def state(self):
        """What a failed test wants to know."""
        logs = "\n".join(entry["message"] for entry in self.driver.get_log("browser"))
        return f"{self.driver.current_url}\n{self.js('return document.body.innerText')[:3000]}\n{logs}"

    def sees(self, *texts, where="body"):
        """Waits until all texts are seen."""
        for text in texts:
            self.until(f"[...document.querySelectorAll({json.dumps(where)})].some(e => e.innerText.includes({json.dumps(text)}))",
                       f"'{text}' in {where}")

    def text(self, selector="main"):
        return self.js("return document.querySelector(arguments[0]).innerText", selector)

    @property
    def path(self):
        return self.js("return location.pathname + location.search")

    # Going ----------------------------------------------------------------------------------------------------

    def open(self, path="/", token=None):
        """Opens an address with the token, as the server prints it."""
        token = self.served.token if token is None else token
        self.here().get("about:blank")
        self.driver.get(f"http://127.0.0.1:{self.served.port}{path}" + (f"#token={token}" if token else ""))
        if token:
            self.settled()
        return self

    def settled(self):
        self.until("document.querySelector('.view h1, .problem h1, .gate h1')", "a page")

    def size(self, width, height):
        self.here().execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def colours(self, scheme):
        self.here().execute_cdp_cmd("Emulation.setEmulatedMedia",
                                    {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    # Doing ----------------------------------------------------------------------------------------------------

    def find(self, selector, text=None):
        """The first element of a selector that is seen and can be used, with that text."""
        wanted = f"e => e.checkVisibility() && !e.disabled && ({json.dumps(text)} === null || e.innerText.trim().replace(/\\s+/g, ' ') === {json.dumps(text)})"
        self.until(f"[...document.querySelectorAll({json.dumps(selector)})].find({wanted})", f"{selector} '{text}'")
        return self.js(f"return [...document.querySelectorAll({json.dumps(selector)})].find({wanted})")

    def press(self, text, where=""):
        """Presses a button."""
        try:
            self.find(f"{where} button", text).click()
        except StaleElementReferenceException:  # it was drawn anew at that moment
            self.find(f"{where} button", text).click()

    def follow(self, text, where="main"):
        self.find(f"{where} a", text).click()

    def field(self, label):
        """The field of that label."""
        script = ("[...document.querySelectorAll('label')].find(l => l.firstChild.textContent.trim() === %s"
                  " || l.textContent.trim() === %s)?.control" % (json.dumps(label), json.dumps(label)))
        self.until(script, f"the field {label}")
        return self.js("return " + script)

    def write(self, label, text):
        field = self.field(label)
        field.clear()
        field.send_keys(text)

    def choose(self, label, option):
        field = self.field(label)
        for found in field.find_elements("tag name", "option"):
            if found.text == option:
                found.click()
                return
        raise AssertionError(f"{label} has no {option}")

    def keys(self, *keys):
        ActionChains(self.here()).send_keys(*keys).perform()

    def click_at(self, element, x, y):
        """Clicks x, y pixels within an element."""
        box = element.rect
        ActionChains(self.here()).move_to_element_with_offset(
            element, x - box["width"] / 2, y - box["height"] / 2).click().perform()

    # Judging --------------------------------------------------------------------------------------------------

    def shot(self, name):
        os.makedirs(SHOTS, exist_ok=True)
        self.here().save_screenshot(os.path.join(SHOTS, name + ".png"))

    def violations(self, source):
        """What axe-core has to say against the page."""
        self.here().execute_script(source)
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, { resultTypes: ['violations'] }).then(r => done(r.violations), e => done([{id: String(e), nodes: []}]))")
        return [f"{one['id']} ({one['impact']}): {one['help']}\n    " + "\n    ".join(
            node["html"][:200] + "\n      " + (node.get("failureSummary") or "").replace("\n", " ")[:300]
            for node in one["nodes"][:3]) for one in found]

    def too_wide(self):
        """What reaches beyond the right edge, if the page has to be moved sideways."""
        return self.js("""
          if (document.documentElement.scrollWidth <= innerWidth) return [];
          return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
            .slice(0, 5).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40));""")

    def complaints(self):
        """Errors in the browser's console since the last time, but not answers of the API that are no success."""
        self.here()
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] == "SEVERE" and "/api/" not in entry["message"]]


__all__ = ["Window", "Keys", "start", "axe_source", "chromium", "SHOTS"]
