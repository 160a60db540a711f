# SPDX-License-Identifier: Apache-2.0
"""The tables of mail authentication: reads their files into cases, has them judged, and compares.

A kind of row is one line in KINDS: how it is recognised, how its row for the
judge (tests/trust/kinds.h) is made, and how a verdict is compared.
"""
import json
import subprocess
from collections import namedtuple

import tables_arc
import tables_authres
import tables_dkim
import tables_dmarc
import tables_lookup
import tables_spf

# name: as in judge.c. belongs(case, table): True if this row of a JSON table is of that kind. row(case, table): the
# inputs for the judge, without kind and zone. differences(expect, verdict, case): a list of sentences.
Kind = namedtuple("Kind", "name belongs row differences")
KINDS = [Kind(*kind) for kind in (*tables_arc.KINDS, *tables_authres.KINDS, *tables_dkim.KINDS, *tables_dmarc.KINDS, *tables_lookup.KINDS, *tables_spf.KINDS)]
# For YAML suites: belongs(document) and cases(document) -> (name, kind's name, row, expect).
YAML_SUITES = [*tables_spf.YAML_SUITES, *tables_arc.YAML_SUITES]


class Case:
    def __init__(self, where, kind, row, expect, case=None):
        self.where, self.kind, self.expect, self.case = where, kind, expect, case or {}
        self.row = {"kind": kind.name, **row}

    def differences(self, verdict):
        if "unknown_kind" in verdict:
            return [f"the judge knows no rows of {self.kind.name}"]
        return self.kind.differences(self.expect, verdict, self.case)


def kind_named(name):
    return next(kind for kind in KINDS if kind.name == name)


def kind_of(case, table):
    for kind in KINDS:
        if kind.belongs(case, table):
            return kind
    raise ValueError(f"a row of no known kind: {json.dumps(case)[:200]}")


def json_cases(file):
    table = json.loads(file.read_text())
    table["file"], table["folder"] = file.name, file.parent
    for number, case in enumerate(table["cases"], 1):
        kind = kind_of(case, table)
        row = kind.row(case, table)
        row.setdefault("zone", case.get("zone", table.get("zone_of_all", {})))
        where = f"{file.name} {number}: {case.get('name') or case.get('ref') or case.get('file') or ''}"
        yield Case(where, kind, row, case.get("expect"), case)


def yaml_cases(file):
    import yaml  # only where such a file is read
    for document in yaml.load_all(file.read_text(), Loader=PairsLoader(yaml)):
        document = dict(document)
        suite = next((suite for suite in YAML_SUITES if suite[0](document)), None)
        if suite is None:
            raise ValueError(f"a scenario of no known form: {document.get('description')}")
        for name, kind, row, expect in suite[1](document):
            yield Case(f"{file.name}: {document.get('description', '').strip()}: {name}", kind_named(kind), row, expect)


def PairsLoader(yaml):
    """A loader that keeps maps as lists of pairs: names occur twice in some suites."""
    class Loader(yaml.SafeLoader):
        pass

    def pairs(loader, node):
        return Pairs((loader.construct_object(key, deep=True), loader.construct_object(value, deep=True))
                     for key, value in node.value)
    Loader.add_constructor("tag:yaml.org,2002:map", pairs)
    return Loader


class Pairs(list):
    """A map with all its entries; get() has the last of a key."""
    def get(self, key, otherwise=None):
        return dict(self).get(key, otherwise)

    def items(self):
        return list(self)

    def __contains__(self, key):
        return any(key == name for name, _ in self)


def cases_of(file):
    cases = list(json_cases(file) if file.suffix == ".json" else yaml_cases(file))
    if not cases:
        raise ValueError("has no rows")
    return cases


def files_below(folder):
    """Returns all tables: files of rows, without the files that belong to others."""
    found = []
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".json" and '"cases"' in file.read_text():
            found.append(file)
        elif file.suffix == ".yml" and file.read_text().lstrip("# \n").find("description:") >= 0 and \
                "\ntests:" in file.read_text():
            found.append(file)
    return found


def judge(program, cases, seed=0):
    """Returns the verdicts of src/core, in the order of the cases."""
    rows = "".join(json.dumps(case.row) + "\n" for case in cases)
    command = [str(program), *(["--shuffle", str(seed)] if seed else [])]
    done = subprocess.run(command, input=rows.encode(), stdout=subprocess.PIPE, check=True)
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    if len(verdicts) != len(cases):
        raise ValueError(f"{len(verdicts)} verdicts for {len(cases)} rows")
    return verdicts
