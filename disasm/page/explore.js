// The explorer: what is typed on the left is compiled by the server this page comes from, and shown on the right.
"use strict";

(function () {
  const editor = document.querySelector("#editor");
  const colours = document.querySelector(".colours");
  const gutter = document.querySelector(".gutter");
  const marks = document.querySelector(".marks");
  const errorBox = document.querySelector("#error");
  const targets = document.querySelector("#targets");
  const status = document.querySelector("#status");
  const examples = document.querySelector("#examples");
  const ROW = 20;
  const TOP = 10;
  const MOST_COLOURED = 40000;

  let lines = {};
  let keysOfLine = new Map();
  let errorLine = null;
  let hotLine = null;
  let asked = 0;
  let shown = 0;
  let running = false;

  // -- the editor

  const TOKENS = /(;;[^\n]*|\(;[\s\S]*?(?:;\)|$))|("(?:[^"\\\n]|\\.)*"?)|(\$[^\s()";]+)|([a-z][a-z0-9_.]*(?:=\S+?(?=[\s()]|$))?)|([+-]?(?:0x)?[0-9][0-9a-fA-F_.xpe+-]*)/g;
  const CLASSES = ["note", "text", "name", "keyword", "number"];

  function paint() {
    const text = editor.value;
    const plain = text.length > MOST_COLOURED;
    editor.classList.toggle("plain", plain);
    colours.classList.toggle("plain-colours", plain);
    if (plain) {
      colours.textContent = text + "\n";
    } else {
      const fragment = document.createDocumentFragment();
      let at = 0;
      for (const match of text.matchAll(TOKENS)) {
        if (match.index > at) fragment.append(text.slice(at, match.index));
        const kind = match.slice(1).findIndex((group) => group !== undefined);
        fragment.append(vw.element("span", CLASSES[kind], match[0]));
        at = match.index + match[0].length;
      }
      fragment.append(text.slice(at) + "\n");
      colours.replaceChildren(fragment);
    }
    const count = text.split("\n").length;
    if (gutter.childElementCount !== count) {
      gutter.replaceChildren(...Array.from({ length: count }, (_, index) => vw.element("div", "", String(index + 1))));
    }
    paintMarks();
  }

  function paintMarks() {
    const made = [];
    const mark = (line, kind) => {
      const box = vw.element("div", `mark ${kind}`);
      box.style.top = `${TOP + (line - 1) * ROW}px`;
      box.dataset.line = line;
      made.push(box);
    };
    if (hotLine !== null) mark(hotLine, "");
    if (errorLine !== null) mark(errorLine, "bad");
    marks.replaceChildren(...made);
    [...gutter.children].forEach((row, index) => row.classList.toggle("bad", index + 1 === errorLine));
  }

  // -- what belongs together

  const light = vw.link(targets, (key) => {
    hotLine = key !== null && key in lines ? lines[key] : null;
    paintMarks();
  });

  function lightLine(line) {
    light(keysOfLine.get(line) || []);
    hotLine = keysOfLine.has(line) ? line : null;
    paintMarks();
  }

  const lineOfCaret = () => editor.value.slice(0, editor.selectionStart).split("\n").length;
  for (const event of ["keyup", "click", "focus"]) editor.addEventListener(event, () => lightLine(lineOfCaret()));
  editor.addEventListener("mousemove", (event) => {
    const row = Math.floor((event.offsetY - TOP) / ROW) + 1;
    lightLine(row);
  });
  editor.addEventListener("mouseleave", () => lightLine(-1));

  // -- compiling

  const settings = () => ({
    syntax: document.querySelector("#syntax").value,
    fuel: document.querySelector("#fuel").checked,
    bounds: document.querySelector("#bounds").checked,
  });

  function changed() {
    asked++;
    compile();
  }

  async function compile() {
    // One request at a time; what was typed meanwhile is asked for when the answer is there.
    if (running) return;
    running = true;
    const number = asked;
    const started = performance.now();
    try {
      const response = await fetch("compile", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ source: editor.value, ...settings() }),
      });
      const answer = await response.json();
      if (answer.refused) show({ targets: [], lines: {}, error: { message: answer.refused, line: null, column: null } });
      else show(answer);
      if (!answer.error && !answer.refused) status.textContent = `compiled in ${Math.round(performance.now() - started)} ms`;
    } catch {
      status.textContent = "the server does not answer";
    }
    shown = number;
    document.body.dataset.shown = shown;
    running = false;
    if (asked !== number) compile();
    else remember();
  }

  // Pixels that a function takes: its heading, a line for each instruction, and what is between them.
  const height = (func) => 90 + func.groups.reduce((sum, group) => sum + 23 + 19 * group[4].length, 0);

  function show(answer) {
    showError(answer.error);
    targets.classList.toggle("stale", Boolean(answer.error));
    if (answer.error) {
      status.textContent = answer.error.line ? `error in line ${answer.error.line}` : "error";
      return;
    }
    lines = answer.lines;
    keysOfLine = new Map();
    for (const [key, line] of Object.entries(lines)) {
      if (!keysOfLine.has(line)) keysOfLine.set(line, []);
      keysOfLine.get(line).push(key);
    }
    const before = new Map([...targets.children].map((column) => [column.id, {
      top: column.scrollTop,
      heights: new Map([...column.querySelectorAll(".function")].map((part) => [part.dataset.like, part.offsetHeight])),
    }]));
    targets.replaceChildren(...answer.targets.map((target) => {
      const column = vw.element("div", "target");
      column.id = target.name;
      const bytes = target.functions.reduce((sum, func) => sum + func.machine_size, 0);
      column.append(vw.element("h2", "", `${target.title} – ${bytes} bytes`));
      for (const func of target.functions) {
        const part = vw.element("section", "function");
        part.dataset.like = `${func.symbol} ${func.groups.length}`;
        // Until it comes into sight it is not laid out, and is as high as it was, or as it will be about.
        part.style.containIntrinsicBlockSize = `auto ${before.get(target.name)?.heights.get(part.dataset.like) ?? height(func)}px`;
        part.append(vw.facts(func), vw.rows(func, { single: true }));
        column.append(part);
      }
      if (!target.functions.length) column.append(vw.element("p", "facts faint", "The module defines no functions."));
      return column;
    }));
    for (const column of targets.children) column.scrollTop = before.get(column.id)?.top ?? 0;
    if (document.activeElement === editor) lightLine(lineOfCaret());
  }

  function showError(error) {
    errorLine = error ? error.line : null;
    errorBox.hidden = !error;
    if (error) {
      errorBox.textContent = error.message;
      const line = error.line || 1;
      errorBox.style.top = `${TOP + line * ROW + 7}px`;
      const text = editor.value.split("\n")[line - 1] || "";
      const indent = error.column ? Math.min(error.column - 1, 60) : text.length - text.trimStart().length;
      errorBox.style.setProperty("--caret", "12px");
      errorBox.style.left = `calc(10px + ${indent}ch)`;
    }
    paintMarks();
  }

  // -- sharing: the text is in the fragment, which no browser sends to a server

  const encode = (text) => {
    let binary = "";
    for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
    return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const decode = (text) => {
    const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
  };

  function remember() {
    history.replaceState(null, "", "#" + encode(editor.value));
  }

  function fromFragment() {
    const match = /^#(.+)$/.exec(location.hash);
    if (!match) return null;
    try { return decode(match[1]); } catch { return null; }
  }

  function put(text) {
    editor.value = text;
    paint();
    changed();
  }

  window.addEventListener("hashchange", () => {
    const text = fromFragment();
    if (text !== null && text !== editor.value) put(text);
  });

  document.querySelector("#share").addEventListener("click", async (event) => {
    remember();
    const button = event.currentTarget;
    try {
      await navigator.clipboard.writeText(location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "It is in the address bar";
    }
    setTimeout(() => { button.textContent = "Copy link"; }, 1500);
  });

  // -- the rest

  editor.addEventListener("input", () => { paint(); changed(); });
  for (const id of ["syntax", "fuel", "bounds"]) document.getElementById(id).addEventListener("change", changed);
  document.querySelector("#show-bytes").addEventListener("change", (event) => {
    targets.classList.toggle("with-bytes", event.target.checked);
  });
  vw.theme(document.querySelector("#theme"));

  fetch("start.json").then((response) => response.json()).then((start) => {
    for (const [title] of start.examples) examples.append(new Option(title, title));
    examples.addEventListener("change", () => {
      const found = start.examples.find(([title]) => title === examples.value);
      if (found) put(found[1]);
      examples.value = "";
    });
    put(fromFragment() ?? start.source ?? start.examples[0][1]);
    editor.focus();
    editor.setSelectionRange(0, 0);
  });
})();
