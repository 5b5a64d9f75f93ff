"""The live page over large projects: how soon it can be used, and how it moves."""
import random

import pytest
from window import Keys


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


@pytest.mark.parametrize("count, soon, frame", [(2000, 1000, 50), (10000, 5000, 250)])
def test_a_large_lineage(window, serve, capsys, count, soon, frame):
    served = serve(layered(count))
    served.get("/api/lineage").ok()  # the project is read; what follows is the page's own time
    one = window(served)
    one.open("/runs")
    one.open("/lineage")
    one.until("performance.getEntriesByName('lineage').length")
    ready = one.js("return performance.getEntriesByName('lineage')[0].startTime")
    fetched = one.js("return performance.getEntriesByType('resource').find(r => r.name.includes('/api/lineage')).duration")
    own = ready - fetched
    moved = one.driver.execute_async_script(FRAMES)
    with capsys.disabled():
        print(f"\n{count} nodes: usable after {ready:.0f} ms, {own:.0f} ms of them the page's; a frame takes {moved:.0f} ms")
    one.shot(f"lineage-{count}")
    assert one.js("return document.querySelectorAll('.node-row').length") < 100
    # Found by its name, shown in the middle, opened by a key.
    one.keys("/", f"m{count - 3}", Keys.ENTER)
    one.sees(f"m{count - 3}", where=".chosen-card")
    one.shot(f"lineage-{count}-near")
    one.js("document.querySelector('.graph canvas').focus()")
    one.keys(Keys.ARROW_LEFT)
    one.until(f"!document.querySelector('.chosen-card').innerText.includes('m{count - 3}')")
    one.js("document.querySelector('.graph canvas').focus()")
    one.keys(Keys.ENTER)
    one.until("location.pathname.startsWith('/nodes/')")
    assert own < soon and moved < frame
