"use strict";
// Sorts and filters the table of targets, and opens everything for printing. The page is complete without it.
(() => {
  const table = document.getElementById("targets-table");
  const body = table.tBodies[0];
  const headings = Array.from(table.tHead.rows[0].cells);
  const names = headings.map((heading) => heading.textContent);
  const valueOf = (cell) => cell.dataset.value || (cell.firstElementChild || cell).textContent;
  const rows = Array.from(body.rows, (row) => ({
    row,
    cells: Array.from(row.cells, valueOf),
    text: row.textContent.toLowerCase(),
  }));
  const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const sorted = Array.from(rows).sort((one, other) => order.compare(one.cells[column], other.cells[column]));
      body.append(...(descending ? sorted.reverse() : sorted).map((each) => each.row));
    });
  });

  const form = document.getElementById("filter");
  const text = document.getElementById("filter-text");
  const status = document.getElementById("filter-status");
  const count = document.getElementById("filter-count");
  const totals = Array.from(document.querySelectorAll(".total"));
  const selects = Array.from(form.querySelectorAll("select"), (select) => ({
    select,
    column: names.indexOf(select.dataset.column || "Status"),
  }));
  const filter = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = selects.filter((each) => each.select.value !== "");
    let shown = 0;
    rows.forEach((each) => {
      each.row.hidden = !(
        words.every((word) => each.text.includes(word)) &&
        chosen.every(({ select, column }) => each.cells[column] === select.value)
      );
      shown += each.row.hidden ? 0 : 1;
    });
    count.value = `${shown} of ${rows.length}`;
    totals.forEach((total) => {
      if (total.dataset.status === status.value) total.setAttribute("aria-current", "true");
      else total.removeAttribute("aria-current");
    });
  };
  const reset = () => {
    form.reset();
    filter();
  };
  text.addEventListener("input", filter);
  selects.forEach(({ select }) => select.addEventListener("change", filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  totals.forEach((total) => {
    total.addEventListener("click", () => {
      form.reset();
      status.value = total.dataset.status;
      filter();
    });
  });
  form.hidden = false;
  filter();

  // A link leads to its row also where the filter hides it.
  const show = () => {
    const row = document.getElementById(location.hash.slice(1));
    if (row && row.hidden) {
      reset();
      row.scrollIntoView();
    }
  };
  addEventListener("hashchange", show);

  // The headings of the table stay below the filter, however many lines that has.
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--toolbar", `${form.offsetHeight}px`);
  }).observe(form);

  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
  });
})();
