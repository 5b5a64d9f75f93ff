"""The table that is printed, a row as soon as it is known."""

import statistics


class Table:
    def __init__(self):
        self.explanations = []
        self.headed = False

    def row(self, what, ours, other=None, aim="", good=None, note=None):
        """`ours` and `other` are lists of seconds; `good` whether the aim is met; `note` says what `other` is."""
        if not self.headed:
            print(f"\n{'':44}{'dex-lua':>10}{'other':>10}{'ratio':>7}  aim")
            self.headed = True
        mine = statistics.median(ours)
        theirs = statistics.median(other) if other else None
        cells = f"{what:44}{seconds(mine):>10}"
        cells += f"{seconds(theirs):>10}{mine / theirs:7.2f}" if theirs else " " * 17
        if good is not None:
            met = good(mine, theirs)
            aim += "" if met else "  MISSED"
        print(f"{cells}  {aim}", flush=True)
        if note:
            self.explanations.append((what, note))

    def notes(self):
        print("\nother is:")
        for what, note in self.explanations:
            print(f"  {what}: {note}")


def seconds(t):
    return f"{t * 1000:.2f} ms" if t < 0.1 else f"{t:.3f} s"
