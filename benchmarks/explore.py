"""From a keystroke in ``vibewasm explore`` to the machine code of both targets on the screen, in a real Chromium.

Keys go through the browser's own input; the time is from the key event's timestamp to the first frame that the browser
draws after the page's update. The module has 100 lines.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from .peers import MissingError
from .report import Figure, Report, median
from .session import Session

#: Seconds.
BAR = 0.15

_FUNCTION = """\
  (func $sum{0} (export "sum{0}") (param $from i32) (param $length i32) (result i32)
    (local $total i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $length)))
        (local.set $total (i32.add (local.get $total) (i32.load offset={0} (local.get $from))))
        (local.set $from (i32.add (local.get $from) (i32.const 4)))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br $next)))
    (i32.add (local.get $total) (i32.const 1{0})))
"""
MODULE = "(module (memory 1)\n" + "\n".join(map(_FUNCTION.format, range(9))) + ")"

_PREPARE = """
const editor = document.querySelector("#editor");
editor.value = arguments[0];
editor.dispatchEvent(new Event("input", { bubbles: true }));
const caret = editor.value.indexOf("(i32.const 14)") + "(i32.const 14".length;
editor.focus();
editor.setSelectionRange(caret, caret);
let pressed = 0;
editor.addEventListener("keydown", (event) => { pressed = event.timeStamp; window.took = null; });
new MutationObserver(() => {
  if (!pressed) return;
  const from = pressed;
  pressed = 0;
  // A message posted in an animation frame arrives when that frame has been drawn.
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { window.took = performance.now() - from; };
    channel.port2.postMessage(null);
  });
}).observe(document.body, { attributes: true, attributeFilter: ["data-shown"] });
"""
_SHOWN = "return document.querySelector('#targets').textContent"
_WAIT = """
const done = arguments[0];
const look = () => window.took == null ? setTimeout(look, 5) : done(window.took);
look();
"""


def measure(session: Session) -> Report:
    """The median of keystrokes. ``peers`` changes nothing."""
    from tests.chromium import NoBrowserError, chromium
    from vibewasm.disasm.explorer.server import ExploreServer

    with tempfile.TemporaryDirectory() as folder, ExploreServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with chromium(Path(folder)) as browser:
                browser.get(server.url)
                browser.execute_script(_PREPARE, MODULE)
                end = time.monotonic() + 20
                while "sum8" not in browser.execute_script(_SHOWN):
                    if time.monotonic() > end:
                        raise RuntimeError("the explorer does not show the module")
                    time.sleep(0.05)
                times = []
                for number in range(session.rounds):
                    session.progress.say("keystrokes", number, session.rounds)
                    # A digit of a constant comes and goes.
                    browser.find_element("css selector", "#editor").send_keys("\b" if number % 2 else "7")
                    times.append(browser.execute_async_script(_WAIT) / 1000)
                    if ("i32.const 147" in browser.execute_script(_SHOWN)) != (number % 2 == 0):
                        raise RuntimeError("the explorer does not show what was typed")
        except NoBrowserError as missing:
            raise MissingError(str(missing)) from None
        finally:
            server.shutdown()
    report = Report("explore", ["median", "longest"])
    report.rows = [(f"keystroke, {MODULE.count(chr(10)) + 1} lines", [median(times), max(times)])]
    report.figures = [Figure("seconds from keystroke to assembly", median(times), BAR)]
    return report
