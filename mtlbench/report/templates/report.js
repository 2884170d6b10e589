"use strict";
// Sorting and filtering; without this script the page is complete, only in one order.
for (const table of document.querySelectorAll("table.board")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.title = head.title;
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.value ?? null;
      const byText = (a, b) => a.cells[column].textContent.localeCompare(b.cells[column].textContent);
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        if (column === 0) return ascending ? byText(a, b) : byText(b, a);
        // What has no number goes last, whichever way the rest is sorted.
        if (x === null || y === null) return (x === null) - (y === null);
        return ascending ? x - y : y - x;
      };
      body.append(...original.slice().sort(compare));
    });
  });
}
const boards = document.querySelectorAll("table.board[data-filter]");
if (boards.length) {
  const label = document.createElement("label");
  label.className = "filter";
  label.textContent = "Show only methods that contain ";
  const input = document.createElement("input");
  input.type = "search";
  label.append(input);
  boards[0].closest("section").querySelector(".filter-here").append(label);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const table of document.querySelectorAll("table.board")) {
      for (const row of table.tBodies[0].rows) {
        const name = row.cells[0].textContent.toLowerCase();
        row.hidden = words.length > 0 && !words.some((word) => name.includes(word));
      }
    }
  });
}
