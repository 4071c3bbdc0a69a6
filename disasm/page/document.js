// The HTML listing of a module: a list of functions, and the listing or the graph of one.
"use strict";

(function () {
  const list = document.querySelector(".list");
  const view = document.querySelector(".view");
  const filter = document.querySelector("#filter");
  const find = document.querySelector("#find");
  const count = document.querySelector("#found");
  const sort = document.querySelector("#sort");
  const graphButton = document.querySelector("#graph");
  const bytesButton = document.querySelector("#bytes");
  const sources = [...document.querySelectorAll('script[type="application/json"]')];
  const entries = sources.map((source, order) => ({
    source, order, name: source.dataset.name, size: Number(source.dataset.size), expansion: Number(source.dataset.expansion),
  }));
  let current = null;
  let matches = [];
  let at = -1;

  vw.theme(document.querySelector("#theme"));
  vw.link(view);

  function showList() {
    const wanted = filter.value.toLowerCase();
    const shown = entries.filter((entry) => entry.name.toLowerCase().includes(wanted));
    if (sort.value === "size") shown.sort((a, b) => b.size - a.size || a.order - b.order);
    else if (sort.value === "expansion") shown.sort((a, b) => b.expansion - a.expansion || a.order - b.order);
    else if (sort.value === "name") shown.sort((a, b) => a.name.localeCompare(b.name));
    list.replaceChildren(...shown.map((entry) => {
      const button = vw.element("button", "");
      button.type = "button";
      const size = sort.value === "expansion" ? `${entry.expansion.toFixed(1)}×` : `${entry.size}`;
      button.append(vw.element("span", "name", entry.name), vw.element("span", "size", size));
      button.title = `${entry.name}: ${entry.size} bytes, ${entry.expansion.toFixed(1)} times the wasm`;
      button.setAttribute("aria-current", String(entry === current));
      button.addEventListener("click", () => show(entry));
      return button;
    }));
    document.querySelector("#shown").textContent =
      shown.length === entries.length ? `${entries.length} function${entries.length === 1 ? "" : "s"}` : `${shown.length} of ${entries.length} functions`;
  }

  function show(entry) {
    if (!entry) { view.replaceChildren(vw.element("p", "facts", "This module defines no functions.")); return; }
    current = entry;
    entry.func ||= JSON.parse(entry.source.textContent);
    const graph = graphButton.getAttribute("aria-pressed") === "true";
    view.replaceChildren(vw.facts(entry.func), graph ? vw.graph(entry.func) : vw.rows(entry.func));
    view.scrollTop = 0;
    for (const button of list.children) button.setAttribute("aria-current", "false");
    const place = [...list.children].find((button) => button.firstChild.textContent === entry.name);
    if (place) place.setAttribute("aria-current", "true");
    try { history.replaceState(null, "", "#" + entry.func.index); } catch { /* a page without an address */ }
    search();
  }

  function search() {
    for (const cell of view.querySelectorAll(".cell.found")) cell.classList.remove("found");
    const wanted = find.value.toLowerCase();
    matches = wanted ? [...view.querySelectorAll(".cell")].filter((cell) => cell.textContent.toLowerCase().includes(wanted)) : [];
    for (const cell of matches) cell.classList.add("found");
    at = -1;
    count.textContent = wanted ? `${matches.length} found` : "";
  }

  filter.addEventListener("input", showList);
  sort.addEventListener("change", showList);
  find.addEventListener("input", search);
  find.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !matches.length) return;
    at = (at + (event.shiftKey ? matches.length - 1 : 1)) % matches.length;
    matches[at].scrollIntoView({ block: "center" });
    count.textContent = `${at + 1} of ${matches.length}`;
  });
  graphButton.addEventListener("click", () => {
    graphButton.setAttribute("aria-pressed", String(graphButton.getAttribute("aria-pressed") !== "true"));
    show(current);
  });
  bytesButton.addEventListener("click", () => {
    const on = view.classList.toggle("with-bytes");
    bytesButton.setAttribute("aria-pressed", String(on));
  });
  view.addEventListener("click", (event) => {
    const block = event.target.closest(".block");
    if (!block) return;
    graphButton.setAttribute("aria-pressed", "false");
    show(current);
    const line = view.querySelector(`.line[data-address="${block.dataset.start}"]`);
    if (line) vw.flash(line);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !["INPUT", "SELECT"].includes(document.activeElement.tagName)) {
      event.preventDefault();
      filter.focus();
    }
  });

  showList();
  const asked = location.hash.slice(1);
  show(entries.find((entry) => entry.source.dataset.index === asked) || entries[0]);
})();
