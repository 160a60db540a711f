# SPDX-License-Identifier: Apache-2.0
"""Measured figures: rows with a column per server that has a value per run; omitted servers with the reason."""
import json
import statistics
from pathlib import Path

AGREE = 0.15  # runs agree if they differ by less
COMPARED = ("mailboat", "postfix", "mailboat-checking", "mailboat-signing", "postfix-opendkim", "postfix-rspamd")
RUNS_OF = ("accept", "relay", "submission", "checking", "signing")
MEASURED_WITH = {"latency": "accept"}  # figures that another part measures


class Figures:
    def __init__(self):
        self.about = {}  # machine, versions, settings: the start of the page
        self.rows = {}  # (part, case, what) -> {"unit": unit, "values": {column: [value of each run]}}
        self.left_out = {}  # (part, case) -> {column: why}; case "": the whole part

    def add(self, part, case, what, unit, column, value):
        """Adds a value: a number, or words where no number is possible."""
        row = self.rows.setdefault((part, case, what), {"unit": unit, "values": {}})
        row["values"].setdefault(column, []).append(value)

    def leave_out(self, part, case, column, why):
        self.left_out.setdefault((part, case), {})[column] = why

    def why_left_out(self, part, case, column):
        """Returns the reason; None if it is measured."""
        return self.left_out.get((part, ""), {}).get(column) or self.left_out.get((part, case), {}).get(column)

    def middle(self, part, case, what, column):
        """Returns the median of the runs; words unchanged; None without a value."""
        values = self.rows.get((part, case, what), {"values": {}})["values"].get(column, [])
        numbers = [v for v in values if not isinstance(v, str)]
        if numbers:
            return statistics.median(numbers)
        return values[0] if values else None

    def doubtful(self):
        """Returns rates of Mailboat and Postfix of which no two runs agree within AGREE: (part, case, column)."""
        found = []
        for (part, case, what), row in self.rows.items():
            for column in COMPARED if what == "rate" and part in RUNS_OF else ():
                values = sorted(v for v in row["values"].get(column, []) if not isinstance(v, str))
                if values and not any(b <= a * (1 + AGREE) for a, b in zip(values, values[1:])):
                    found.append((part, case, column))
        return found

    def runs(self):
        """Returns the largest and the smallest number of runs of any figure."""
        counts = [len(values) for (part, _, _), row in self.rows.items() if part in RUNS_OF for values in row["values"].values()]
        return (min(counts), max(counts)) if counts else (0, 0)

    def keep(self, earlier, parts):
        """Adds the other parts of an earlier run, whose page this becomes; `parts`: those of this run."""
        def stays(row):
            return MEASURED_WITH.get(row[0], row[0]) not in parts
        mine, its = self.about, earlier.about
        self.rows = {**{row: value for row, value in earlier.rows.items() if stays(row)}, **self.rows}
        self.left_out = {**{row: value for row, value in earlier.left_out.items() if stays(row)}, **self.left_out}
        anew = {"parts": list(parts), **{name: mine[name] for name in ("date", "command", "versions")}}
        older = [run for run in its.get("anew", []) if not set(run["parts"]) <= set(parts)]
        self.about = {**its, "versions": {**mine["versions"], **its["versions"]}, "anew": [*older, anew],
                      "busy_before": max(mine["busy_before"], its["busy_before"]), "quick": mine["quick"] or its["quick"],
                      "cut_short": mine.get("cut_short", False) or its.get("cut_short", False)}

    # ---- as a file ----

    def save(self, path):
        rows = [{"part": part, "case": case, "what": what, **row} for (part, case, what), row in self.rows.items()]
        left_out = [{"part": part, "case": case, "columns": columns} for (part, case), columns in self.left_out.items()]
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps({"about": self.about, "rows": rows, "left_out": left_out}, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, path):
        figures, read = cls(), json.loads(Path(path).read_text())
        figures.about = read["about"]
        figures.rows = {(r["part"], r["case"], r["what"]): {"unit": r["unit"], "values": r["values"]} for r in read["rows"]}
        figures.left_out = {(l["part"], l["case"]): l["columns"] for l in read["left_out"]}
        return figures
