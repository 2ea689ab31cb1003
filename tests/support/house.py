"""Measures of the source tree: what includes what, how large classes, functions, files and lines are.

Read from the text, which clang-format has put in one shape: a function's body ends with a brace at the start of a line,
a member's name ends with an underscore. Pure but for reading the files that git knows.
"""

import ast
import collections
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("broker", "worker", "collector", "monitor")
FLOORS = {  # of common/: what each may include, besides itself
    "words": (),
    "tables": ("words",),
    "wire": ("words", "tables"),
    "look": ("words", "tables", "wire"),
    "process": ("words", "tables", "wire", "look"),
    "amqp": ("words", "tables", "wire", "look", "process"),
}
WIDEST = 100  # columns, of .md files and of comments; tables and what stands as code are excepted
LONGEST_FILE, LONGEST_TEST = 400, 600  # lines

_INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)
_CLASS = re.compile(r"^( *)(?:class|struct) (\w+)[^;{]*\{$", re.MULTILINE)
_MEMBER = re.compile(r"^[^()/]*?\b(\w+_)\s*(?:=[^;]*|\{[^;]*\})?;")
_FUNCTION = re.compile(r"^(?!class|struct|enum|namespace|union|using|template|extern|#|//|\}|\s).*\{$")


def files(*endings):
    """All that git knows, with one of these endings, as paths from the root."""
    known = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           check=True, capture_output=True, text=True).stdout
    return [pathlib.Path(name) for name in known.split("\0") if name.endswith(endings) and (ROOT / name).is_file()]


def text_of(path):
    return (ROOT / path).read_text(encoding="utf-8")


def sources(*folders):
    return [path for path in files(".h", ".cpp") if not folders or path.parts[0] in folders]


def includes(path):
    return _INCLUDE.findall(text_of(path))


def floor_of(path):
    """Of a file of common/; None where it stands on none."""
    parts = pathlib.Path(path).parts
    return parts[1] if len(parts) > 2 and parts[0] == "common" else None


def arrows():
    """{(from, to): number of includes} between the folders that hold sources."""
    def room(path):
        return str(pathlib.Path(path).parent)
    found = collections.Counter()
    for path in sources("common", *PROGRAMS):
        for name in includes(path):
            if (ROOT / name).is_file() and room(name) != room(path):
                found[room(path), room(name)] += 1
    return found


def members():
    """[(count, class, file)] of all classes, the largest first; members of nested classes are theirs."""
    found = []
    for path in sources("common", *PROGRAMS):
        text = text_of(path)
        for match in _CLASS.finditer(text):
            indent = match[1] + "    "
            body = text[match.end():].partition(f"\n{match[1]}}}")[0]
            own = [line for line in body.split("\n") if line.startswith(indent) and not line.startswith(indent + " ")]
            found.append((sum(bool(_MEMBER.match(line.strip())) for line in own), match[2], path))
    return sorted(found, key=lambda entry: -entry[0])


def functions():
    """[(lines, what, file)], the longest first."""
    found = []
    for path in sources("common", *PROGRAMS, "tests", "bench"):
        lines = text_of(path).split("\n")
        begin = None
        for number, line in enumerate(lines):
            if _FUNCTION.match(line):
                begin = number
            elif line == "}" and begin is not None:
                found.append((number - begin + 1, lines[begin].strip(), path))
                begin = None
    for path in files(".py"):
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                found.append((node.end_lineno - node.lineno + 1, node.name, path))
    return sorted(found, key=lambda entry: -entry[0])


def long_files():
    """[(lines, file)] of those over their limit, the longest first."""
    found = []
    for path in files(".h", ".cpp", ".py"):
        lines = text_of(path).count("\n")
        if lines > (LONGEST_TEST if path.parts[0] == "tests" else LONGEST_FILE):
            found.append((lines, path))
    return sorted(found, key=lambda entry: -entry[0])


def wide_lines():
    """[(file, number)] of prose over WIDEST columns; drawings, which are indented by four, are excepted."""
    found = []
    for path in files(".md"):
        in_block = False
        for number, line in enumerate(text_of(path).split("\n"), 1):
            in_block ^= line.lstrip().startswith("```")
            is_code = in_block or line.startswith("    ")
            if len(line) > WIDEST and not is_code and not line.lstrip().startswith("|") and " " in line[:WIDEST]:
                found.append((path, number))
    for path in files(".h", ".cpp"):
        for number, line in enumerate(text_of(path).split("\n"), 1):
            is_drawing = re.match(r"\s*///? {4,}\S", line)
            if len(line) > WIDEST and re.search(r"(?<![:\"'/])//", line) and "NOLINT" not in line and not is_drawing:
                found.append((path, number))
    return found


def report():
    """All of it, as text."""
    lines = ["members of the largest classes:"]
    lines += [f"{count:6} {name} ({path})" for count, name, path in members()[:10]]
    lines += ["", "the longest functions (lines):"]
    lines += [f"{count:6} {name[:70]} ({path})" for count, name, path in functions()[:15]]
    lines += ["", f"files over {LONGEST_FILE} lines, tests over {LONGEST_TEST}: {len(long_files())}"]
    lines += [f"{count:6} {path}" for count, path in long_files()]
    wide = collections.Counter(path for path, _ in wide_lines())
    lines += ["", f"prose over {WIDEST} columns: {sum(wide.values())} lines"]
    lines += [f"{count:6} {path}" for path, count in wide.most_common(15)]
    lines += ["", "includes from one room to another:"]
    lines += [f"{count:6} {here} -> {there}" for (here, there), count in sorted(arrows().items())]
    return "\n".join(lines)
