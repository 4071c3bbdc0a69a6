"""Names that a stranger may give: each breaks something that does not escape it, where names are shown or kept."""

from __future__ import annotations

from functools import cache

from tests.cli.test_hostile_names import CONTROLS, FORGED
from vibewasm.wat import wat2wasm

#: What it is to break → the name.
NAMES = {
    "terminal": f"n{CONTROLS}\n{FORGED} n",
    "script end": "</script><script>alert(1)</script>",
    "comment in a script": "<!--<script>",
    "attribute": "\"><img src=x onerror=alert(1)> 'onmouseover='alert(1)' ",
    "character data": "]]><x/>&lt;b&gt;&amp;",
    "title": "</title></strong></style><svg onload=alert(1)>",
    "JavaScript": '\\"); alert(1);// ${alert(1)}`',
    "JSON": '","injected":"\\u0022',
    "Python": '"""\nimport os\n"""\n#\\',
    "Python's quotes": "'''\\",
    "text format": '" (; ;) ;; \\22 )(',
    "C": "*/ \\\n#error x",
    "shell": "$(id)`id`;id|id&&id",
    "format": "%s%n{0}{x}",
    "path": "../../../x",
    "NUL": "before\0after",
    "separators": "a\u2028b\u2029c\x85d",
    "planes": "\U0001f388\U000e0041\U0010fffd",
    "combining": "a" + "\u0301" * 50,
    "long": "x" * 5000,
    "empty": "",
}

#: What is at the place of a name for comparison.
INNOCENT = "innocent"


def quoted(name: str) -> str:
    """A name as the text format has it, in ASCII."""
    return '"' + "".join(f"\\{byte:02x}" for byte in name.encode()) + '"'


@cache
def module(name: str, body: str = "unreachable", *, imports: bool = True) -> bytes:
    """A module in which everything that can have a name has this one, after a letter where it has to be unique."""

    def own(kind: str) -> str:
        return quoted(kind + name)

    wanted = f"(import {own('m')} {own('i')} (func ${own('i')} (param i32)))" if imports else ""
    called = f"(call ${own('i')} (local.get 0))" if imports else ""
    return wat2wasm(
        f"""(module ${own("m")} (type ${own("t")} (func)) {wanted}
        (func ${own("f")} (export {own("f")}) (param ${own("p")} i32) (local ${own("l")} i64)
            (local.set ${own("l")} (i64.const 1)) (global.set ${own("g")} (local.get ${own("p")})) {called} {body})
        (func ${own("s")} (export {own("s")}) (param i32) (call ${own("f")} (local.get 0)))
        (memory ${own("me")} (export {own("me")}) 1) (table ${own("ta")} (export {own("ta")}) 1 funcref)
        (global ${own("g")} (export {own("g")}) (mut i32) (i32.const 0))
        (tag ${own("e")} (export {own("e")}) (param i32))
        (func ${own("x")} (export {own("x")}) (throw ${own("e")} (i32.const 1)))
        (data ${own("d")} (i32.const 0) {quoted(name)}))""",
        names=True,
    )
