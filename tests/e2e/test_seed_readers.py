"""Whoever reads a seed while it is loaded again sees the rows of before, never none."""
import subprocess


def test_a_reader_that_began_before(project, db):
    p = project({"seeds/raw.csv": "id\n1\n2\n3\n"})
    p.run("seed").ok()
    server = db.server
    reader = subprocess.Popen([server.psql_program, "-XAtq", "-h", server.host, "-p", str(server.port), "-U", "postgres",
                               "-d", db.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(query):
        reader.stdin.write(query + "\n")
        reader.stdin.flush()
        return reader.stdout.readline().strip()

    try:
        assert ask("begin isolation level repeatable read; select 'began' from pg_class limit 1;") == "began"
        p.write({"seeds/raw.csv": "id\n4\n"})
        p.run("seed").ok()
        assert ask("select count(*) from dev.raw;") == "3"
        assert p.db.rows("select id from dev.raw") == ["4"]
    finally:
        reader.stdin.close()
        reader.wait()
        reader.stdout.close()
