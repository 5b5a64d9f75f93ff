"""Large projects for the live page, and how fast their lineage is: for a test and for `make bench`."""
import random


def layered(count):
    """Models in layers as projects have them: each reads one to three of the layer before."""
    chance = random.Random(7)
    files, layer, before, made = {}, [], [], 0
    width = max(10, count // 8)
    while made < count:
        layer = [f"m{made + i}" for i in range(min(width, count - made))]
        for name in layer:
            parents = chance.sample(before, min(len(before), chance.choice((1, 1, 2, 3))))
            reads = " union all ".join(f"select n from {{{{ ref('{parent}') }}}}" for parent in parents)
            files[f"models/{name}.sql"] = reads or "select 1 as n"
        made += len(layer)
        before = layer
    return files


# The graph stands on the screen and answers: the time from asking for the page, and that of a frame while it is moved.
FRAMES = """
const done = arguments[arguments.length - 1], canvas = document.querySelector(".graph canvas"), times = [];
let n = 0, last = null;
function step(now) {
  if (last !== null) times.push(now - last);
  last = now;
  if (n++ === 30) return done(times.sort((a, b) => a - b)[Math.floor(times.length / 2)]);
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: n % 2 ? 40 : -40, clientX: 500, clientY: 500, cancelable: true }));
  requestAnimationFrame(step);
}
requestAnimationFrame(step);
"""


def measure(window):
    """Milliseconds: until the lineage can be used, those of them that are the page's own, and those of a frame while it
    is moved."""
    window.open("/runs")
    window.open("/lineage")
    window.until("performance.getEntriesByName('lineage').length")
    ready = window.js("return performance.getEntriesByName('lineage')[0].startTime")
    fetched = window.js("return performance.getEntriesByType('resource').find(r => r.name.includes('/api/lineage')).duration")
    return ready, ready - fetched, window.driver.execute_async_script(FRAMES)
