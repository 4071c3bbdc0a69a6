// Draws the listing of one function: wasm on the left, machine code on the right, in rows that belong together.
// A function is what vibewasm/disasm/html.py calls page data.
"use strict";

const vw = {};

vw.element = function (tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

vw.hex = (number) => "0x" + number.toString(16);

// The heading, the sizes and the homes of locals.
vw.facts = function (func) {
  const facts = vw.element("header", "facts");
  facts.append(vw.element("h2", "", func.heading));
  const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
  facts.append(vw.element("p", "",
    `${many(func.wasm_size, "byte")} of wasm at ${vw.hex(func.wasm_start)} → ${many(func.machine_size, "byte")} of ` +
    `${func.title} (${(func.machine_size / func.wasm_size).toFixed(1)}×), frame ${func.frame_size} bytes, ` +
    `${many(func.spills, "spill")}, ${many(func.reloads, "reload")}`));
  if (func.locals.length) {
    const locals = vw.element("p", "locals");
    for (const [name, place] of func.locals) {
      if (locals.childNodes.length) locals.append(", ");
      locals.append(vw.element("b", "", name), " " + place);
    }
    facts.append(locals);
  }
  return facts;
};

vw.machineLine = function (item, rows) {
  const [address, bytes, mnemonic, operands, symbols, traps, target, label] = item;
  const fragment = document.createDocumentFragment();
  if (label) {
    const line = vw.element("span", "line");
    line.dataset.label = label;
    line.append(vw.element("span", "address", ""), vw.element("span", "label", label + ":"));
    fragment.append(line);
  }
  const line = vw.element("span", "line");
  line.dataset.address = address;
  line.append(vw.element("span", "address", address.toString(16)));
  line.append(vw.element("span", "bytes", bytes.replace(/../g, "$& ")));
  line.append(vw.element("span", "mnemonic", mnemonic), " ");
  const place = target === null ? null : /(L\d+)/.exec(operands);
  if (place) {
    const link = vw.element("a", "", place[1]);
    link.dataset.to = place[1];
    line.append(operands.slice(0, place.index), link, operands.slice(place.index + place[1].length));
  } else {
    line.append(operands);
  }
  if (symbols) line.append("  ", vw.element("span", "remark", "; " + symbols));
  if (traps) line.append("  ", vw.element("span", "trap", (symbols ? "trap: " : "; trap: ") + traps));
  fragment.append(line);
  return fragment;
};

// Rows of one function. `options.single` leaves the wasm column to be a heading above the machine code.
vw.rows = function (func, options = {}) {
  const rows = vw.element("div", "rows" + (options.single ? " single" : ""));
  rows.setAttribute("role", "group");
  rows.setAttribute("aria-label", `listing of ${func.symbol}`);
  const notes = { prologue: "prologue", cold: "out of line", table: "jump table", literals: "constants" };
  for (const [kind, offset, depth, wasm, machine] of func.groups) {
    const left = vw.element("div", "cell wasm");
    if (kind === "body") {
      left.append(vw.element("span", "offset", vw.hex(offset) + "  "), "  ".repeat(depth) + wasm);
    } else {
      const what = wasm ? `${notes[kind]}: ${wasm.split("  ;;")[0]}` : notes[kind];
      left.append(vw.element("span", "note", kind === "cold" && !wasm ? "out of line: prologue" : what));
    }
    left.title = left.textContent;
    const right = vw.element("div", "cell machine");
    for (const item of machine) right.append(vw.machineLine(item));
    // Offsets are places in the module, so they tell functions apart; prologues have none.
    const key = offset === null ? `prologue ${func.index}` : String(offset);
    for (const cell of [left, right]) {
      cell.dataset.key = key;
      cell.tabIndex = -1;
    }
    rows.append(left);
    if (!options.single || machine.length) rows.append(right);
  }
  if (rows.firstChild) rows.firstChild.tabIndex = 0;
  return rows;
};

// Hover, focus and keys for everything with a data-key below `root`. `changed(key)` is told what is lit.
// Returns a function that lights several keys, for a caller that knows what belongs together.
vw.link = function (root, changed) {
  let lit = null;
  const show = (keys) => {
    for (const cell of root.querySelectorAll(".cell.hot")) cell.classList.remove("hot");
    for (const key of keys) {
      for (const cell of root.querySelectorAll(`.cell[data-key="${CSS.escape(key)}"]`)) cell.classList.add("hot");
    }
  };
  const light = (key) => {
    if (key === lit) return;
    lit = key;
    show(key === null ? [] : [key]);
    if (changed) changed(key);
  };
  root.addEventListener("mouseover", (event) => {
    const cell = event.target.closest(".cell");
    light(cell ? cell.dataset.key : null);
  });
  root.addEventListener("mouseleave", () => light(null));
  root.addEventListener("focusin", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    for (const other of root.querySelectorAll('.cell[tabindex="0"]')) other.tabIndex = -1;
    cell.tabIndex = 0;
    light(cell.dataset.key);
  });
  root.addEventListener("keydown", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    const side = cell.classList.contains("wasm") ? "wasm" : "machine";
    const step = (from, forwards, wanted) => {
      let next = from;
      do next = forwards ? next.nextElementSibling : next.previousElementSibling;
      while (next && !(next.classList.contains(wanted) && (wanted === "wasm" || next.childNodes.length)));
      return next;
    };
    let next = null;
    if (event.key === "ArrowDown") next = step(cell, true, side);
    else if (event.key === "ArrowUp") next = step(cell, false, side);
    else if (event.key === "ArrowRight" && side === "wasm") next = step(cell, true, "machine");
    else if (event.key === "ArrowLeft" && side === "machine") next = step(cell, false, "wasm");
    else return;
    event.preventDefault();
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  });
  root.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-to]");
    if (!link) return;
    const line = link.closest(".rows").querySelector(`.line[data-label="${CSS.escape(link.dataset.to)}"]`);
    if (line) vw.flash(line);
  });
  return (keys) => { lit = undefined; show(keys); };
};

// Show a line for a moment.
vw.flash = function (line) {
  line.scrollIntoView({ block: "center" });
  line.classList.add("flashed");
  setTimeout(() => line.classList.remove("flashed"), 1200);
};

// The button that changes between light and dark.
vw.theme = function (button) {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
  });
};
