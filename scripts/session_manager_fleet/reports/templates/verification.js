"use strict";
// Opens units of the heat map, searches and filters their accounts, and shows the details of a cell.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const table = document.getElementById("heat");
  const STEP = 100;
  const [ACCOUNT, REGION, HOME, GENERATED] = data.placeholders;
  const resultOf = (cell) => data.results[Array.isArray(cell) ? cell[0] : cell];
  const historyOf = (cell) => (Array.isArray(cell) ? cell[1] : "");
  const classOf = (word) => word.replace(" ", "_");
  const fill = (target, cell, lines) => {
    const ids = Array.isArray(cell) ? cell.slice(3) : [];
    return lines.map((line) =>
      line.split(GENERATED).reduce((before, after) => before + (ids.shift() || GENERATED) + after)
        .replaceAll(ACCOUNT, target[0]).replaceAll(REGION, target[3]).replaceAll(HOME, target[4]));
  };
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    return made;
  };

  const units = Array.from(table.tBodies, (body, number) => ({ body, number, open: false, shown: STEP, targets: [] }));
  const searched = data.targets.map((target) => {
    units[target[2]].targets.push(target);
    return `${target[0]} ${target[1]} ${data.units[target[2]]} ${target[3]} ${target[5]}`.toLowerCase();
  });
  const texts = new Map(data.targets.map((target, number) => [target, searched[number]]));
  const messages = data.results.map((result) => result.slice(2).join(" ").toLowerCase());

  const form = document.getElementById("filter");
  const fields = Object.fromEntries(["text", "verdict", "check", "region", "history"]
    .map((name) => [name, document.getElementById(`filter-${name}`)]));
  const count = document.getElementById("filter-count");
  const totals = Array.from(document.querySelectorAll(".total"));
  let wanted = {};
  const read = () => {
    wanted = {
      words: fields.text.value.toLowerCase().split(/\s+/).filter(Boolean),
      verdict: fields.verdict.value,
      check: fields.check.value === "" ? -1 : Number(fields.check.value),
      region: fields.region.value,
      history: fields.history.value,
    };
    wanted.any = wanted.words.length || wanted.verdict || wanted.check >= 0 || wanted.region || wanted.history;
  };
  const WELL = new Set(["ok", "not needed"]);
  const fits = (cell, column) => {
    if (cell === -1 || (wanted.check >= 0 && wanted.check !== column)) return false;
    const word = resultOf(cell)[1];
    return (!wanted.verdict || (wanted.verdict === "wrong" ? !WELL.has(word) : word === wanted.verdict)) &&
      (!wanted.history || historyOf(cell) === wanted.history);
  };
  const passes = (target) => {
    if (wanted.region && target[3] !== wanted.region) return false;
    const cells = target[6];
    const failed = target[5] !== "" && (wanted.verdict === "" || wanted.verdict === "wrong" || wanted.verdict === "not checked");
    if ((wanted.verdict || wanted.check >= 0 || wanted.history) && !cells.some(fits) && !failed) return false;
    const own = texts.get(target);
    return wanted.words.every((word) => own.includes(word) ||
      cells.some((cell) => cell !== -1 && messages[Array.isArray(cell) ? cell[0] : cell].includes(word)));
  };

  const dialog = document.getElementById("detail");
  const show = (target, column) => {
    const cell = target[6][column];
    const result = resultOf(cell);
    const [message, fix, command, ...evidence] = fill(target, cell, result.slice(2));
    const [id, what, why, controls] = data.checks[column];
    document.getElementById("detail-title").textContent = `${id}: ${result[1]}`;
    const body = document.getElementById("detail-body");
    body.replaceChildren(element("p", `${target[0]} ${target[1]}, ${data.units[target[2]]}, ${target[3]}`, "quiet"));
    const add = (title, text, code) => {
      if (!text) return;
      const line = element("p");
      line.append(element("strong", `${title}: `), code ? element("code", text, "command") : text);
      body.append(line);
    };
    add("Found", message);
    if (historyOf(cell)) add("History", cell[2] ? `open since ${cell[2]}` : historyOf(cell));
    fix.split("\n").forEach((line) => add("Fix", line));
    add("Command", command, true);
    add("Checked", what);
    add("Why it matters", why);
    add("Controls", controls.join(", "));
    evidence.forEach((line) => add("Evidence", line, true));
    dialog.showModal();
  };

  const rowOf = (target) => {
    const row = element("tr", "", "account");
    const head = element("th");
    head.scope = "row";
    const name = element("bdi", target[1]);
    head.append(`${target[0]} `, name, element("span", ` ${target[3]}`, "quiet"));
    if (target[5]) head.append(element("span", `no access: ${target[5]}`, "note not_checked"));
    row.append(head);
    target[6].forEach((cell, column) => {
      const place = element("td");
      row.append(place);
      if (cell === -1) return;
      const word = resultOf(cell)[1];
      place.className = `cell ${classOf(word)}`;
      const button = element("button", data.marks[word]);
      button.type = "button";
      button.tabIndex = WELL.has(word) ? -1 : 0;
      button.setAttribute("aria-label", `${data.checks[column][0]} of ${target[1]}: ${word}`);
      button.addEventListener("click", () => show(target, column));
      place.append(button);
    });
    return row;
  };
  const render = (unit) => {
    while (unit.body.rows.length > 1) unit.body.deleteRow(1);
    const found = wanted.any ? unit.targets.filter(passes) : unit.targets;
    unit.body.hidden = wanted.any && found.length === 0;
    const opened = unit.open || (wanted.any && found.length > 0 && unit.unfolds);
    unit.button.setAttribute("aria-expanded", String(opened));
    if (opened) {
      const rows = document.createDocumentFragment();
      found.slice(0, unit.shown).forEach((target) => rows.append(rowOf(target)));
      if (found.length > unit.shown) {
        const row = element("tr", "", "more");
        const head = element("th");
        head.colSpan = data.checks.length + 1;
        const button = element("button", `Show ${Math.min(STEP, found.length - unit.shown)} more of ${found.length - unit.shown}`);
        button.type = "button";
        button.addEventListener("click", () => {
          unit.shown += STEP;
          const position = unit.body.rows.length - 1;
          render(unit);
          const next = unit.body.rows[position];
          const first = next && next.querySelector("button");
          if (first) first.focus();
        });
        head.append(button);
        row.append(head);
        rows.append(row);
      }
      unit.body.append(rows);
    }
    return found.length;
  };
  // Units unfold by themselves as long as few enough rows are shown.
  const renderAll = () => {
    read();
    let budget = 2 * STEP;
    let shown = 0;
    units.forEach((unit) => {
      unit.unfolds = wanted.any && budget > 0;
      unit.shown = STEP;
      const found = render(unit);
      shown += found;
      if (wanted.any) budget -= Math.min(found, STEP);
    });
    count.value = `${shown.toLocaleString("en")} of ${data.targets.length.toLocaleString("en")} targets`;
    totals.forEach((total) => {
      if (total.dataset.verdict === wanted.verdict) total.setAttribute("aria-current", "true");
      else total.removeAttribute("aria-current");
    });
  };

  units.forEach((unit) => {
    const head = unit.body.rows[0].cells[0];
    unit.button = element("button");
    unit.button.type = "button";
    unit.button.append(...head.childNodes);
    head.append(unit.button);
    unit.button.addEventListener("click", () => {
      unit.open = unit.button.getAttribute("aria-expanded") !== "true";
      unit.unfolds = false;
      unit.shown = STEP;
      render(unit);
    });
  });
  if (units.length === 1 && data.targets.length <= STEP) units[0].open = true;

  // Arrow keys move between the cells, as in a spreadsheet.
  table.addEventListener("keydown", (event) => {
    const place = event.target.closest("td, th");
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (!place || !steps) return;
    const rows = Array.from(table.querySelectorAll("tbody:not([hidden]) tr"));
    let row = rows.indexOf(place.parentElement);
    let column = place.cellIndex;
    for (;;) {
      row += steps[0];
      column += steps[1];
      const next = rows[row] && rows[row].cells[column];
      if (!next) return;
      const button = next.querySelector("button");
      if (button) {
        button.focus();
        event.preventDefault();
        return;
      }
    }
  });

  let waiting = 0;
  fields.text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(renderAll, 120);
  });
  ["verdict", "check", "region", "history"].forEach((name) => fields[name].addEventListener("change", renderAll));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(renderAll));
  totals.forEach((total) => {
    total.addEventListener("click", () => {
      form.reset();
      fields.verdict.value = total.dataset.verdict;
      renderAll();
    });
  });
  form.hidden = false;
  renderAll();
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
  });
  // Milliseconds since the page was opened.
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
})();
