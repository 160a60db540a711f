#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the form of the C files in src/, tests/, fuzz/ and bench/.

A line has at most 110 columns, a function 60 lines, a file 600; in src/ a name
of a struct, union, enum or typedef is defined once, and a function that other
files call begins with the noun of its file, and no comment opens with a clause
as its subject (Who ..., What ...); core/ asserts no less than it did; and
clang-format finds nothing to change. Violations that remain are listed in
tests/form-exceptions.txt, which only shrinks: an improvement fails, too, until
the list has the new number.

form.py BUILD_FOLDER                    compares (the folder shows that no function was overlooked)
form.py --write-exceptions [--allow-new]  rewrites the list; new or worse entries need --allow-new
form.py --self-test                     checks that bad form is found
"""
import contextlib
import io
import math
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "form-exceptions.txt"
FOLDERS = ("src", "tests", "fuzz", "bench")
COLUMNS_MAX, FUNCTION_LINES_MAX, FILE_LINES_MAX = 110, 60, 600
CLANG_FORMAT_VERSION = "14"  # other versions format differently
# A comment begins with its verb, or with the noun of the thing: "A client that ...", not "Who ...".
CLAUSE_AS_SUBJECT = re.compile(r"[/*\s]*(?:who|whoever|those|what|nobody|somebody)\b", re.I)

# The meaning of an exception's number, and the fix if it is too large.
KINDS = {
    "width": f"lines wider than {COLUMNS_MAX} columns",
    "function": f"lines of a function; at most {FUNCTION_LINES_MAX}: make two of it",
    "file": f"lines of a file; at most {FILE_LINES_MAX}: make two of it",
    "type": "files that define this name; one name once",
    "name": "functions that other files call and that do not begin with the noun of their file",
    "comment": "comments that open with Who, Whoever, Those, What, Nobody or Somebody; name the subject",
    "asserts": "asserts in a hundred functions, at least",
}


# ---- reading C ----

def blank(match):
    return re.sub(r"[^\n]", " ", match.group(0))


LEXEME = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'""", re.S)  # a comment, or a quoted text


def comments_of(text):
    return [lexeme for lexeme in LEXEME.findall(text) if lexeme.startswith("/")]


def code_of(text):
    """Returns the text with comments and quoted texts blanked, and all line numbers kept."""
    def lighten(match):
        word = match.group(0)
        return blank(match) if word.startswith("/") else word[0] + re.sub(r"[^\n]", "_", word[1:-1]) + word[-1]
    return LEXEME.sub(lighten, text)


def without_directives(code):
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", blank, code, flags=re.M)


def parameters_of(head):
    """Returns the head up to the end of the function's name; skips attributes and macros with arguments before it."""
    head = re.sub(r"__attribute__\s*\(\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\)", blank, head)
    depth, ends = 0, None
    for at in range(len(head) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(head[at], 0)
        if depth == 0 and head[at] == "(":
            ends = at
            break
    return head[:ends].rstrip() if ends is not None else ""


def functions_of(text):
    """Returns (name, is static, first line, last line) of each function in a text; only a function's braces are
    alone at the left, as clang-format puts them."""
    lines = without_directives(code_of(text)).split("\n")
    found = []
    for at, line in enumerate(lines):
        if line.rstrip() != "{" and not re.match(r"\w.*\)\s*\{.*\}\s*$", line):
            continue
        last = at if line.rstrip() != "{" else next((n for n in range(at, len(lines)) if lines[n].startswith("}")), at)
        first = at
        while first > 0 and lines[first - 1].strip() and not re.search(r"[;}]\s*$", lines[first - 1]):
            first -= 1
        head = "\n".join(lines[first:at + 1]).split("{")[0]
        name = re.search(r"(\w+)$", parameters_of(head))
        if name and "=" not in head:
            found.append((name.group(1), re.match(r"\s*static\b", head) is not None, first + 1, last + 1))
    return found


def types_of(text):
    """Returns the names of structs, unions, enums and typedefs that a text defines."""
    code = without_directives(code_of(text))
    found = re.findall(r"\b(?:struct|union|enum)\s+(?:__attribute__\s*\(\([^;{]*?\)\)\s*)?(\w+)\s*\{", code)
    for body in re.findall(r"\btypedef\b((?:[^;{}]|\{[^{}]*\})*);", code):
        body = re.sub(r"\{[^{}]*\}", " ", body)
        name = re.search(r"\(\s*\*\s*(\w+)", body) or re.search(r"(\w+)\s*\((?!\s*\*)", body) or re.search(r"(\w+)\s*(?:\[[^]]*\])*\s*$", body)
        if name:
            found.append(name.group(1))
    return found


def wide_lines(text):
    """Returns the numbers of lines that are too wide; one long word cannot be broken and is allowed."""
    return [number for number, line in enumerate(text.split("\n"), 1)
            if len(line) > COLUMNS_MAX and re.search(r"\S\s+\S", line.strip("\\/* \t"))]


def is_generated(text):
    return re.search(r"\bgenerated (?:by|from)\b", text[:600], re.I) is not None


def nouns_of(path):
    """Returns the allowed first words of a file's functions: its name, the words at either end of it, its folder's
    name; of a plural the singular, too."""
    words = path.stem.split("_")
    nouns = {"_".join(words[:n]) for n in range(1, len(words) + 1)}
    nouns |= {"_".join(words[n:]) for n in range(len(words))}
    nouns.add(path.parent.name)
    nouns |= {re.sub(r"ies$", "y", noun) for noun in nouns} | {re.sub(r"(?<=s)es$|(?<=[^s])s$", "", noun) for noun in nouns}
    return nouns


def begins_with_noun(name, path):
    """True if the name begins with a noun of its file, or with its plural."""
    return name == "main" or any(re.match(rf"{noun}(s|es)?(_|$)", name) for noun in nouns_of(path))


# ---- measuring the tree ----

def sources(root):
    return [file for folder in FOLDERS for file in sorted((root / folder).rglob("*.[ch]")) if "node_modules" not in file.parts]


def measure(root):
    """Returns the violations, (kind, file, name) -> number, as in the list; and the functions of src/."""
    found, defined, external = {}, defaultdict(set), set()
    functions_in_core = asserts_in_core = 0
    for file in sources(root):
        path, text = file.relative_to(root), file.read_text()
        functions = functions_of(text)
        where = str(path)
        if wide := wide_lines(text):
            found["width", where, "-"] = len(wide)
        if (lines := text.count("\n")) > FILE_LINES_MAX and not is_generated(text):
            found["file", where, "-"] = lines
        for name, _, first, last in functions:
            if last - first + 1 > FUNCTION_LINES_MAX:
                found["function", where, name] = last - first + 1
        if path.parts[0] != "src":
            continue
        if clauses := sum(CLAUSE_AS_SUBJECT.match(comment) is not None for comment in comments_of(text)):
            found["comment", where, "-"] = clauses
        for name in types_of(text):
            defined[name].add(where)
        external |= {name for name, static, _, _ in functions if not static}
        for name in [name for name, static, _, _ in functions if not static and not begins_with_noun(name, path)]:
            found["name", where, name] = 1
        if path.parts[:2] == ("src", "core"):
            functions_in_core += len(functions)
            asserts_in_core += len(re.findall(r"(?<!\w)assert\(", without_directives(code_of(text))))
    for name, files in defined.items():
        if len(files) > 1:
            found["type", "src", name] = len(files)
    if functions_in_core:
        found["asserts", "src/core", "-"] = math.floor(100 * asserts_in_core / functions_in_core)
    places = {name: ", ".join(sorted(files)) for name, files in defined.items()}
    return found, external, places


def overlooked(build, external):
    """Reports functions in the libraries of a build folder that were not found in the sources."""
    libraries = sorted((build / "src").rglob("*.a"))
    if not libraries:
        return [f"{build}: has no libraries; build it first (tools/build {build})"]
    output = subprocess.run(["nm", "--defined-only", "--extern-only", *libraries], capture_output=True, text=True).stdout
    known = set(re.findall(r"^[0-9a-f]+ T (\w+)$", output, re.M))
    return [f"tests/form.py: does not see the function {name}; its head or its braces have an unusual form"
            for name in sorted(known - external) if not name.startswith(("__", "_init", "_fini"))]


def clang_format(root):
    try:
        version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return ["clang-format is missing; install it: apt-get install clang-format"]
    if f"version {CLANG_FORMAT_VERSION}." not in version:
        print(f"form.py: {version.strip()} formats in another way than {CLANG_FORMAT_VERSION}; the form is not compared")
        return []
    files = [str(file.relative_to(root)) for file in sources(root)]
    output = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *files], cwd=root,
                            capture_output=True, text=True).stderr
    wrong = re.findall(r"^(\S+?):(\d+):\d+: error: ", output, re.M)
    return [f"{file}:{line}: is not as clang-format has it; say: clang-format -i {file}" for file, line in wrong]


# ---- the list ----

def read_list(path):
    exceptions = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        if line and not line.startswith("#"):
            kind, file, name, number = line.split()
            exceptions[kind, file, name] = int(number)
    return exceptions


def is_worse(kind, now, before):
    return now < before if kind == "asserts" else now > before


def is_strict(key):
    """True for functions in src/, which have no exceptions."""
    return key[0] == "function" and key[1].startswith("src/")


def write_list(path, found):
    head = ["# Violations that remain of the rules in tests/form.py: kind, file, name, number. This list only shrinks;",
            "# tests/form.py --write-exceptions rewrites it. The number counts, by kind:",
            *(f"#   {kind:<9} {words}" for kind, words in KINDS.items())]
    rows = [" ".join((*key, str(found[key]))) for key in sorted(found, key=lambda key: (list(KINDS).index(key[0]), key))]
    path.write_text("\n".join(head + rows) + "\n")


def sentence(key, now, places):
    kind, file, name = key
    if kind == "name":
        return f"{file}: {name}() is called by other files and should begin with the noun of its file: " \
               + ", ".join(sorted(noun + "_" for noun in nouns_of(Path(file))))
    if kind == "type":
        return f"{name} is the name of a type in {places.get(name, file)}; one name once"
    return f"{file}{'' if name == '-' else ': ' + name}: {now} {KINDS[kind]}"


def compare(found, exceptions, places):
    problems = []
    for key, now in sorted(found.items()):
        kind, before, row = key[0], None if is_strict(key) else exceptions.get(key), " ".join(key)
        if before is None or is_worse(kind, now, before):
            problems.append(sentence(key, now, places) + (f" (tests/form-exceptions.txt has {before})" if before is not None else ""))
        elif now != before:
            problems.append(f"{row}: is {now} now, better than {before}; write in tests/form-exceptions.txt: {row} {now}")
    for key in sorted(exceptions.keys() - found.keys()):
        problems.append(f"{' '.join(key)}: holds now; delete its line in tests/form-exceptions.txt")
    return problems


def moved(found, exceptions, root):
    """Returns the exceptions under the new names of files that were moved."""
    gone = {key: number for key, number in exceptions.items() if not (root / key[1]).exists()}
    known = {key: number for key, number in exceptions.items() if key not in gone}
    for key, now in found.items():
        if key not in known:
            same = [old for old, number in gone.items() if old[0] == key[0] and old[2] == key[2] and not is_worse(key[0], now, number)
                    and (key[2] != "-" or Path(old[1]).name == Path(key[1]).name or number == now)]
            if same:
                known[key] = gone.pop(same[0])
    return known


def write_exceptions(root, path, allow_new):
    found, _, places = measure(root)
    known = moved(found, read_list(path), root)
    new = [key for key, now in sorted(found.items()) if key not in known or is_worse(key[0], now, known[key])]
    if any(map(is_strict, new)) or (new and not allow_new):
        for key in new:
            print(sentence(key, found[key], places))
        print("nothing was written: the list only shrinks (--allow-new writes these, too, but no function of src/)")
        return 1
    write_list(path, found)
    return 0


# ---- the self-test ----

def bad_tree(root):
    """Writes a small tree that breaks each rule once."""
    body = "    seal_step();\n"
    (root / "src/core/post").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "src/core/post/seal.c").write_text(
        '#include "seal.h"\n\n#define OPENS if (x) {\n\nstruct wax {\n    int x;\n};\n\n'
        "void seal_long(const char *text,\n               int number)\n{\n" + body * 56 + "}\n\n"
        '/* void in_a_comment(void)\n{\n}\n*/\n'
        'int stamp_put(void) /* not a seal */\n{\n    assert(x);\n    static_assert(sizeof x == 4, "{");\n    return 1;\n}\n\n'
        "static void stamp_away(void) {}\n\n"
        "__attribute__((format(printf, 1, 2))) const char *post_say(const char *format, ...)\n{\n    if (x)\n        say('{', \"}\");\n    return 0;\n}\n")
    (root / "src/core/post/wax.c").write_text("typedef void (*wax)(int x);\nint wax(void)\n{\n    return 0; "
                                              "/* " + "w " * 50 + "*/\n}\n// " + "w" * 200 + "\n"
                                              "// Who melts is lost.\n/*\n * what drips */\n/* Whose, and who */\n\"/* What */\"\n")
    (root / "tests/test_wax.c").write_text("struct wax {\n    int x;\n};\n" + "/* µ */\n" * 598)
    (root / "fuzz").mkdir()
    (root / "fuzz/fuzz_wax.c").write_text("static int longest(void)\n{\n" + body * 58 + "}\n")
    (root / "tests/test_big.c").write_text("/* generated by nobody */\n" * 601)


def self_test():
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        root, path = Path(folder), Path(folder, "list.txt")
        bad_tree(root)
        found, external, places = measure(root)
        wanted = {("function", "fuzz/fuzz_wax.c", "longest"): 61, ("width", "src/core/post/wax.c", "-"): 1,
                  ("file", "tests/test_wax.c", "-"): 601, ("name", "src/core/post/seal.c", "stamp_put"): 1,
                  ("type", "src", "wax"): 2, ("comment", "src/core/post/wax.c", "-"): 2, ("asserts", "src/core", "-"): 20}
        checks = [("what is found", found, wanted),
                  ("external functions", external, {"seal_long", "stamp_put", "post_say", "wax"}),
                  ("without a list all fail", len(compare(found, {}, places)), len(wanted)),
                  ("with its list none does", compare(found, dict(wanted), places), []),
                  ("a list that is too long", len(compare({}, wanted, places)), len(wanted)),
                  ("better is told", len(compare(found, {key: now + (-1 if key[0] == "asserts" else 1) for key, now in wanted.items()}, places)), len(wanted)),
                  ("worse is told", len(compare(found, {key: now + (1 if key[0] == "asserts" else -1) for key, now in wanted.items()}, places)), len(wanted)),
                  ("nothing new is written", (write_exceptions(root, path, False), path.exists()), (1, False)),
                  ("but where it is asked for", (write_exceptions(root, path, True), read_list(path)), (0, wanted)),
                  ("plural and ends of names", [begins_with_noun(name, Path("src/run/data_policies.c"))
                                                for name in ("data_a", "policies_a", "policy_a", "run_a", "datum_a", "poli_a")],
                   [True, True, True, True, False, False])]
        seal = root / "src/core/post/seal.c"
        seal.write_text(seal.read_text().replace(")\n{\n", ")\n{\n    seal_step();\n"))
        checks.append(("a function of src/ has no exception", write_exceptions(root, path, True), 1))
        seal.write_text(seal.read_text().replace(")\n{\n    seal_step();\n", ")\n{\n"))
        (root / "src/core/far").mkdir()
        (root / "src/core/post").rename(root / "src/core/far/post")
        checks.append(("an exception moves with its file", write_exceptions(root, path, False), 0))
        (root / ".clang-format").write_bytes((ROOT / ".clang-format").read_bytes())
        (root / "bench").mkdir()
        (root / "bench/good.c").write_text("int x;\n")
        (root / "bench/bad.c").write_text("int  x;\n")
        unformatted = {line.split(":")[0] for line in clang_format(root)}
        checks.append(("clang-format", ("bench/good.c" in unformatted, "bench/bad.c" in unformatted), (False, True)))
    wrong = [f"{title}: {got} instead of {want}" for title, got, want in checks if got != want]
    print("\n".join(wrong) if wrong else f"{len(checks)} checks of form.py hold")
    return 1 if wrong else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if arguments[:1] == ["--write-exceptions"] and arguments[1:] in ([], ["--allow-new"]):
        return write_exceptions(ROOT, LIST, "--allow-new" in arguments)
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__)
        return 64
    found, external, places = measure(ROOT)
    problems = compare(found, read_list(LIST), places) + overlooked(Path(arguments[0]), external) + clang_format(ROOT)
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
