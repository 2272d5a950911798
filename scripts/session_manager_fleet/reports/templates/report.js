"use strict";
// Sorts and filters the table of targets, and opens everything for printing. The page is complete without it.
(() => {
  const table = document.getElementById("targets-table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const headings = Array.from(table.tHead.rows[0].cells);
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
      const value = (row) => row.cells[column].textContent;
      const sorted = Array.from(rows).sort((one, other) => order.compare(value(one), value(other)));
      body.append(...(descending ? sorted.reverse() : sorted));
    });
  });

  const text = document.getElementById("filter-text");
  const status = document.getElementById("filter-status");
  const count = document.getElementById("filter-count");
  const contents = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      const matches = wanted.every((word) => contents[index].includes(word));
      row.hidden = !(matches && (status.value === "" || row.dataset.status === status.value));
      shown += row.hidden ? 0 : 1;
    });
    count.value = `${shown} of ${rows.length}`;
  };
  text.addEventListener("input", filter);
  status.addEventListener("change", filter);
  const form = document.getElementById("filter");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();

  window.addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((details) => { details.open = true; });
  });
})();
