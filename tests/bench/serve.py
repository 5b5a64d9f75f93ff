"""What a server costs that has nothing to do. Called by serve.sh, which explains it."""

import os
import signal
import subprocess
import sys
import tempfile
import time

FLOWS, SECONDS = 200, 10


def write_project(folder):
    os.makedirs(f"{folder}/flows")
    with open(f"{folder}/dbt_project.yml", "w", encoding="utf-8") as file:
        file.write("name: bench\n")
    zones = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC"]
    for i in range(FLOWS):
        with open(f"{folder}/flows/f{i}.yml", "w", encoding="utf-8") as file:
            file.write(f"schedule: {i % 60} 3 29 2 *\ntime_zone: {zones[i % 4]}\ncatchup: latest\n"
                       "nodes:\n  - {name: one, script: [echo, one]}\n  - {name: two, needs: one, script: [echo, two]}\n")


def of_process(pid, key):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int([line.split()[1] for line in file if line.startswith(key + ":")][0])


def measure(binary, folder):
    """Kilobytes, and wake-ups, of a server that idles."""
    with subprocess.Popen([binary, "serve", "--listen", "127.0.0.1:0", "--project-dir", folder], text=True,
                          stdout=subprocess.PIPE) as process:
        if f"{FLOWS} flows, {FLOWS} with a schedule" not in process.stdout.readline():
            raise SystemExit("bench: dex-lua serve failed")
        time.sleep(1)
        before = of_process(process.pid, "voluntary_ctxt_switches")
        time.sleep(SECONDS)
        result = of_process(process.pid, "VmRSS"), of_process(process.pid, "voluntary_ctxt_switches") - before
        process.send_signal(signal.SIGTERM)
    return result


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="dex-bench-") as folder:
        write_project(folder)
        memory, wakes = measure(binary, folder)
    print(f"idle server with {FLOWS} flows: {memory / 1024:.1f} MB, under 30 MB{'' if memory < 30720 else '  MISSED'}; "
          f"{wakes} wake-ups in {SECONDS} s, none{'' if wakes == 0 else '  MISSED'}")


if __name__ == "__main__":
    main()
