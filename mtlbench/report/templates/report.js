"use strict";
// Sorting, filtering, columns and pages. Without this script everything is there, one thing after the other.

for (const table of document.querySelectorAll("table.board")) makeSortable(table);
for (const chapter of document.querySelectorAll(".tools")) makeTools(chapter);
const report = document.getElementById("report");
makePrintable(); // before the pages: what it hides again after printing, they look over
if (report) makePages();

function makeSortable(table) {
  const [body] = table.tBodies;
  const original = [...body.rows];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const key = (row) => numberOf(row.cells[column]);
    const numbers = original.some((row) => key(row) !== undefined);
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    if (head.title) button.title = head.title;
    head.append(button);
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const sign = ascending ? 1 : -1;
      const byText = (a, b) => sign * a.cells[column].textContent.localeCompare(b.cells[column].textContent);
      const byNumber = (a, b) => {
        const [x, y] = [key(a), key(b)];
        // What has no number goes last, whichever way the rest is sorted.
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        return sign * (x - y);
      };
      body.append(...original.slice().sort(numbers ? byNumber : byText));
    });
  });
}

// A cell says its number where its text does not.
function numberOf(cell) {
  const said = cell.dataset.value ?? cell.textContent.trim();
  return said === "" || Number.isNaN(Number(said)) ? undefined : Number(said);
}

function makeTools(place) {
  const chapter = place.closest("section");
  const homes = [...chapter.querySelectorAll(".home")];
  const tables = [...chapter.querySelectorAll("table.board")];
  const status = Object.assign(document.createElement("span"), { className: "count" });
  status.setAttribute("role", "status");

  const words = Object.assign(document.createElement("input"), { type: "search", placeholder: "mgda cagrad" });
  words.addEventListener("input", () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = new Set(), all = new Set();
    for (const table of tables) {
      for (const row of table.tBodies[0].rows) {
        const name = row.cells[0].textContent.toLowerCase().replace(/[ ≡⇥]+$/, ""); // without its marks
        row.hidden = wanted.length > 0 && !wanted.some((word) => name.includes(word));
        all.add(name);
        if (!row.hidden) found.add(name);
      }
    }
    status.textContent = wanted.length ? `${found.size} of ${all.size} rows` : "";
  });
  place.append(labelled("Methods that contain", words));

  const choices = ["dataset", "architecture", "track", "setting"].map((key) => {
    const values = [...new Set(homes.map((home) => home.dataset[key]))].sort();
    if (values.length < 2) return null;
    const select = document.createElement("select");
    select.append(new Option("all", " "), ...values.map((value) => new Option(value || "default", value)));
    select.addEventListener("change", narrow);
    place.append(labelled(key[0].toUpperCase() + key.slice(1), select));
    return [key, select];
  }).filter(Boolean);
  function narrow() {
    for (const home of homes) {
      home.hidden = choices.some(([key, select]) => select.value !== " " && home.dataset[key] !== select.value);
    }
  }
  makeColumns(place);
  place.append(status);
}

// The columns that are not the main ones stay hidden until asked for, in every table of the page at once.
function makeColumns(place) {
  const found = new Map();
  for (const head of document.querySelectorAll("th[data-more]")) {
    const title = head.textContent.trim();
    if (!found.has(title)) found.set(title, []);
    found.get(title).push(head);
  }
  if (!found.size) return;
  const show = (heads, on) => {
    for (const head of heads) {
      const column = head.cellIndex;
      for (const row of head.closest("table").rows) row.cells[column].hidden = !on;
    }
  };
  const box = document.createElement("details");
  box.className = "columns";
  const summary = document.createElement("summary");
  summary.textContent = "More columns";
  const list = document.createElement("div");
  const boxes = [...found].map(([title, heads]) => {
    const input = Object.assign(document.createElement("input"), { type: "checkbox" });
    const label = labelled(title, input);
    label.title = heads[0].title;
    input.addEventListener("change", () => show(heads, input.checked));
    show(heads, false);
    list.append(label);
    return input;
  });
  const every = Object.assign(document.createElement("input"), { type: "checkbox" });
  every.addEventListener("change", () => {
    for (const input of boxes) {
      input.checked = every.checked;
      input.dispatchEvent(new Event("change"));
    }
  });
  list.prepend(labelled("all of them", every));
  box.append(summary, list);
  place.append(box);
}

function labelled(text, control) {
  const label = document.createElement("label");
  label.append(text, " ", control);
  return label;
}

function makePages() {
  const title = document.title;
  const pages = [...document.querySelectorAll("section.page")];
  let before = null;
  const lent = [];

  // A leaderboard stands once in the file: the page of its dataset borrows it.
  function giveBack() {
    for (const [home, block] of lent.splice(0)) home.append(block);
  }
  function borrow(page) {
    for (const guest of page.querySelectorAll(".guest")) {
      const home = document.getElementById(guest.dataset.home);
      const block = home.querySelector(".arena");
      lent.push([home, block]);
      guest.append(block);
      guest.firstElementChild.hidden = true;
    }
  }
  function show() {
    const id = decoded(location.hash.slice(1));
    const page = pages.find((one) => one.id === id);
    giveBack();
    for (const one of pages) one.hidden = one !== page;
    report.hidden = Boolean(page);
    document.title = page ? `${page.querySelector("h2").textContent} · ${title}` : title;
    for (const link of document.querySelectorAll("nav a")) {
      const here = link.hash === location.hash || (page && link.hash === page.querySelector(".up a").hash);
      if (here) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    if (page) {
      borrow(page);
      page.scrollIntoView();
      if (before !== null) page.querySelector("h2").focus({ preventScroll: true });
    } else if (id) {
      document.getElementById(id)?.scrollIntoView();
    }
    before = id;
  }
  addEventListener("hashchange", show);
  show();

  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // it leads to the content of the page at hand, not to another one
    document.getElementById("content").focus();
  });

  addEventListener("beforeprint", giveBack);
  addEventListener("afterprint", show);
}

// An address that somebody cut in the middle of an escape is taken as it stands.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// On paper is everything: all pages, rows and columns, everything unfolded.
function makePrintable() {
  let hidden = [], folded = [];
  addEventListener("beforeprint", () => {
    hidden = [...document.querySelectorAll("[hidden]")];
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const one of hidden) one.hidden = false;
    for (const one of folded) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of hidden) one.hidden = true;
    for (const one of folded) one.open = false;
  });
}
