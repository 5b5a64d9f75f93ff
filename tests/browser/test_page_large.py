"""The live page over large projects: how soon it can be used, and how it moves."""
import pytest
from large import layered, measure
from window import Keys


@pytest.mark.parametrize("count", [2000, 10000])
def test_a_large_lineage(serve, window, capsys, count):
    served = serve(layered(count))
    served.get("/api/lineage").ok()  # the project is read; what follows is the page's own time
    one = window(served)
    ready, own, moved = measure(one)  # said, never judged: `make bench` has the figures
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
