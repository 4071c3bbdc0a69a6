// Draws the control-flow graph of one function as SVG: blocks in layers, edges through places kept free for them.
"use strict";

vw.graph = (function () {
  const NS = "http://www.w3.org/2000/svg";
  const MOST_BLOCKS = 300;
  const MOST_LINES = 12;
  const LINE = 15;
  const CHARACTER = 6.65;
  const GAP_X = 28;
  const GAP_Y = 44;
  const PAD = 8;

  const svg = (tag, attributes, text) => {
    const made = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  function nodesOf(func) {
    const items = func.groups.flatMap((group) => ["table", "literals"].includes(group[0]) ? [] : group[4]);
    let at = 0;
    return func.blocks.map(([start, end, successors], number) => {
      const lines = [];
      let label = "";
      while (at < items.length && items[at][0] < end) {
        const item = items[at++];
        if (item[0] === start && item[7]) label = item[7];
        lines.push(`${item[2].padEnd(7)} ${item[3]}`);
      }
      const shown = lines.length > MOST_LINES ? lines.slice(0, MOST_LINES - 1) : lines;
      const more = lines.length - shown.length;
      const head = `${label ? label + ": " : ""}${start.toString(16)}`;
      const longest = Math.max(head.length, ...shown.map((line) => Math.min(line.length, 60)));
      return {
        number, start, head, label, shown, more, successors, cold: start >= func.cold,
        width: longest * CHARACTER + 2 * PAD, height: (shown.length + 1 + (more ? 1 : 0)) * LINE + PAD,
        rank: 0, real: true, up: [], down: [],
      };
    });
  }

  // Layers: each block is below all that lead to it, edges to lower addresses (loops, resumptions) not counted.
  function layersOf(nodes, edges) {
    for (const node of nodes) {
      for (const edge of edges) if (edge.from === node && !edge.back) edge.to.rank = Math.max(edge.to.rank, node.rank + 1);
    }
    const layers = [];
    for (const node of nodes) (layers[node.rank] ||= []).push(node);
    // An edge over several layers gets a place in each of them.
    for (const edge of edges) {
      edge.via = [];
      if (edge.back) continue;
      let before = edge.from;
      for (let rank = edge.from.rank + 1; rank < edge.to.rank; rank++) {
        const place = { real: false, rank, width: 6, height: 0, up: [before], down: [] };
        before.down.push(place);
        layers[rank].push(place);
        edge.via.push(place);
        before = place;
      }
      before.down.push(edge.to);
      edge.to.up.push(before);
    }
    return layers;
  }

  // Fewer crossings: sort each layer by the mean place of its neighbours, down and up, a few times.
  function order(layers) {
    const number = (layer) => layer.forEach((node, index) => { node.place = index; });
    layers.forEach(number);
    const mean = (list, own) => list.length ? list.reduce((sum, node) => sum + node.place, 0) / list.length : own;
    for (let round = 0; round < 4; round++) {
      const down = round % 2 === 0;
      for (const layer of down ? layers : [...layers].reverse()) {
        for (const node of layer) node.weight = mean(down ? node.up : node.down, node.place);
        layer.sort((a, b) => a.weight - b.weight || a.place - b.place);
        number(layer);
      }
    }
  }

  function place(layers) {
    let y = PAD;
    for (const layer of layers) {
      const height = Math.max(...layer.map((node) => node.height));
      let x = 0;
      for (const node of layer) {
        node.x = x;
        node.y = y;
        x += node.width + GAP_X;
      }
      for (const node of layer) if (!node.real) node.height = height;
      y += height + GAP_Y;
    }
    // Pull nodes towards their neighbours, left to right without overlaps.
    const centre = (node) => node.x + node.width / 2;
    for (let round = 0; round < 8; round++) {
      const down = round % 2 === 0;
      for (const layer of down ? layers : [...layers].reverse()) {
        const wanted = layer.map((node) => {
          const list = down ? node.up : node.down;
          return list.length ? list.reduce((sum, other) => sum + centre(other), 0) / list.length - node.width / 2 : node.x;
        });
        let edge = -Infinity;
        layer.forEach((node, index) => {
          node.x = Math.max(wanted[index], edge);
          edge = node.x + node.width + GAP_X;
        });
        let limit = Infinity;
        for (let index = layer.length - 1; index >= 0; index--) {
          const node = layer[index];
          const most = limit - node.width - GAP_X;
          if (node.x > most) node.x = most;
          else if (node.x > wanted[index]) node.x = Math.max(wanted[index], index ? layer[index - 1].x + layer[index - 1].width + GAP_X : -Infinity);
          limit = node.x;
        }
      }
    }
    return y - GAP_Y;
  }

  function draw(func) {
    const box = vw.element("div", "graph");
    if (!func.blocks.length) return box;
    if (func.blocks.length > MOST_BLOCKS) {
      box.append(vw.element("p", "faint", `${func.blocks.length} basic blocks are too many to draw; up to ${MOST_BLOCKS} are drawn.`));
      return box;
    }
    const nodes = nodesOf(func);
    const byStart = new Map(nodes.map((node) => [node.start, node]));
    const edges = [];
    for (const node of nodes) {
      for (const [address, kind] of node.successors) {
        const to = byStart.get(address);
        if (to) edges.push({ from: node, to, kind, back: to.number <= node.number });
      }
    }
    const layers = layersOf(nodes, edges);
    order(layers);
    const height = place(layers);
    const all = layers.flat();
    const left = Math.min(...all.map((node) => node.x));
    for (const node of all) node.x += PAD - left;
    let right = Math.max(...all.map((node) => node.x + node.width));

    const canvas = svg("svg", { role: "img", "aria-label": `control-flow graph of ${func.symbol}` });
    const paths = svg("g");
    canvas.append(paths);
    const head = (x, y, kind) => paths.append(svg("path", { class: `head ${kind}`, d: `M${x - 4} ${y - 7}h8l-4 7z` }));
    const outs = new Map();
    let loops = 0;
    for (const edge of edges) {
      const taken = outs.get(edge.from) || 0;
      outs.set(edge.from, taken + 1);
      const total = edge.from.successors.length;
      const x = edge.from.x + edge.from.width * (taken + 1) / (total + 1);
      const y = edge.from.y + edge.from.height;
      const endX = edge.to.x + edge.to.width / 2;
      const endY = edge.to.y;
      let d;
      if (edge.back) {
        // Around the right side of everything, each on a line of its own.
        const side = right + 14 + 9 * loops++;
        d = `M${x} ${y}v10C${x} ${y + 24} ${side} ${y + 8} ${side} ${y - 16}V${endY}C${side} ${endY - 30} ${endX + 12} ${endY - 34} ${endX + 12} ${endY - 7}`;
        head(endX + 12, endY, edge.kind);
      } else {
        d = `M${x} ${y}`;
        let fromX = x;
        let fromY = y;
        const curve = (toX, toY) => {
          const bend = Math.min(GAP_Y * 0.8, Math.abs(toY - fromY) / 2);
          d += `C${fromX} ${fromY + bend} ${toX} ${toY - bend} ${toX} ${toY}`;
          fromX = toX;
          fromY = toY;
        };
        for (const via of edge.via) {
          curve(via.x + via.width / 2, via.y);
          fromY = via.y + via.height;
          d += `V${fromY}`;
        }
        curve(endX, endY - 7);
        head(endX, endY, edge.kind);
      }
      const path = svg("path", { class: `${edge.kind}${edge.back ? " back" : ""}`, d });
      edge.path = path;
      paths.append(path);
    }
    for (const node of nodes) {
      const group = svg("g", { class: `block${node.cold ? " cold" : ""}`, transform: `translate(${node.x} ${node.y})`, tabindex: 0 });
      group.dataset.start = node.start;
      group.append(svg("rect", { width: node.width, height: node.height, rx: 5 }));
      const text = svg("text", { y: LINE - 2 });
      text.append(svg("tspan", { class: "label", x: PAD }, node.head));
      for (const line of node.shown) {
        text.append(svg("tspan", { x: PAD, dy: LINE }, line.length > 60 ? line.slice(0, 59) + "…" : line));
      }
      if (node.more) text.append(svg("tspan", { class: "more", x: PAD, dy: LINE }, `… ${node.more} more`));
      group.append(text);
      const light = (on) => edges.forEach((edge) => {
        if (edge.from === node || edge.to === node) edge.path.classList.toggle("hot", on);
      });
      group.addEventListener("mouseenter", () => light(true));
      group.addEventListener("mouseleave", () => light(false));
      canvas.append(group);
    }
    right += 14 + 9 * loops + PAD;
    canvas.setAttribute("width", right);
    canvas.setAttribute("height", height + PAD + 26);
    canvas.setAttribute("viewBox", `0 -26 ${right} ${height + PAD + 26}`);
    const legend = vw.element("div", "legend");
    for (const [kind, text] of [["next", "falls through"], ["taken", "branch taken"], ["jump", "jump"], ["table", "jump table"]]) {
      const item = vw.element("span", "");
      const mark = vw.element("i", "");
      mark.style.color = `var(--edge-${kind})`;
      item.append(mark, text);
      legend.append(item);
    }
    box.append(legend, canvas);
    return box;
  }

  return draw;
})();
