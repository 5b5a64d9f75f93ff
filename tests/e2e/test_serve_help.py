"""`dex-lua help api`: its examples work, line by line as one script."""
import re
import subprocess

from serving import TIMEOUT, serve  # noqa: F401

FILES = {
    "models/orders.sql": "select 1 as id",
    "models/totals.sql": "select count(*) as n from {{ ref('orders') }}",
    "operations/maintenance/count.sql": """
        {{ config(parameters=[{'name': 'above', 'type': 'integer'}]) }} select {{ args.above }} as n
        """,
    "flows/nightly.yml": """
        name: nightly
        schedule: {every: day, at: "02:00"}
        nodes: [{name: all, transformation: orders+}]
        """,
}


def test_examples(serve):
    served = serve(FILES, prepare="run")
    text = served.project.run("help api").ok().stdout
    script = re.search(r"^```sh\n(.*?)^```", text, re.S | re.M).group(1)
    script = script.replace("http://127.0.0.1:8642", f"http://127.0.0.1:{served.port}")
    assert script.count("curl ") == 15
    done = subprocess.run(["bash", "-e", "-u", "-o", "pipefail", "-c", script], cwd=served.project.dir, text=True,
                          capture_output=True, timeout=TIMEOUT, env={"PATH": served.project.env["PATH"]})
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ('"project":"shop"', '"kind":"command"', "event: task", '"id":"model.shop.totals"', '"rows":[[1]]',
                  '"action":"run flow"'):
        assert words in done.stdout, words + " is not in\n" + done.stdout


def test_what_it_says_of_tokens(project):
    p = project(FILES)
    lines = re.findall(r"^    dex-lua (serve token .*)$", p.run("help api").ok().stdout, re.M)
    assert len(lines) == 3
    for line in lines:
        p.run(line).ok()
