"""The documentation's page in a browser, opened from disk."""
import re

FILES = {
    "seeds/raw.csv": "id,name\n1,a\n",
    "models/a.sql": "{{ config(materialized='table', post_hook='analyze {{ this }}') }} select id, name from {{ ref('raw') }}",
    "models/b.sql": "select id from {{ ref('a') }}",
    "models/m.yml": "models: [{name: a, description: All <b>of</b> them, columns: [{name: id, data_tests: [unique]}]}]",
}


def text(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_home_and_node(project, browser):
    p = project(FILES)
    p.run("build").ok()
    p.run("docs", "generate").ok()
    page = p.path("target", "index.html")
    home = browser.dom(page)
    assert home.count("<rect") == 3 and home.count("<path") == 2
    assert "2 models" in text(home) and "1 seed" in text(home)
    node = browser.dom(page, "#/model.shop.a")
    main = re.search(r"<main.*?</main>", node, re.S).group(0)
    shown = text(main)
    for part in ("&lt;b&gt;of", "analyze {{ this }}", "unique_a_id", "integer", "select id, name from", "Read by: b"):
        assert part in shown, f"{part} in {shown}"
    assert "<b>of</b>" not in main
    assert '<a href="#/model.shop.a" class="self">' in main


def test_five_thousand_nodes(project, browser, capsys):
    files = {f"models/m{i}.sql": f"select n from {{{{ ref('m{i // 2}') }}}}" for i in range(1, 5000)}
    p = project({**files, "models/m0.sql": "select 1 as n"})
    p.run("docs", "generate", "--no-compile", "--empty-catalog", timeout=300).ok()
    page = p.path("target", "index.html")
    assert "Draw the lineage of all 5000 nodes" in browser.dom(page)
    node = browser.dom(page, "#/model.shop.m100")
    assert node.count("<rect") == 9  # itself, two above, two and four below
    # A reader who types finds at once what is asked for, among all of them.
    typing = """<script>
      addEventListener("load", () => {
        const loaded = performance.now(), search = document.getElementById("search");
        search.value = "m4321";
        search.dispatchEvent(new Event("input"));
        const found = performance.now();
        document.body.dataset.times = [loaded, found - loaded].map(Math.round).join(" ");
      });
      </script></body>"""
    with open(page, encoding="utf-8") as file:
        html = file.read()
    with open(page, "w", encoding="utf-8") as file:
        file.write(html.replace("</body>", typing))
    dom = browser.dom(page)
    loaded, found = map(int, re.search(r'data-times="(\d+) (\d+)"', dom).groups())
    with capsys.disabled():
        print(f"5,000 nodes: {len(html) / 1e6:.1f} MB, loaded in {loaded} ms, searched in {found} ms")
    nav = re.search(r"<nav.*?</nav>", dom, re.S).group(0)
    assert re.findall(r'href="#/model\.shop\.(m\d+)"', nav) == ["m4321"]
    assert loaded < 4000 and found < 1000
