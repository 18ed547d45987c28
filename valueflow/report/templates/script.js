"use strict";
// Filters and sorts; the page can be read without it.
(() => {
  const trimmed = (text) => text.replace(/\s+/g, " ").trim();
  const cellText = (row, column) => trimmed(row.cells[column].textContent);
  const sortText = (row, column) => row.cells[column].dataset.sort ?? cellText(row, column);
  const figure = (text) => parseFloat(text.replace(/,/g, ""));

  function sortBy(table, column, header) {
    const body = table.tBodies[0];
    const falls = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", falls ? "descending" : "ascending");
    const rows = [...body.rows].map((row) => ({ row, text: sortText(row, column) }));
    const areFigures = header.classList.contains("n");
    const unknown = (entry) => areFigures && Number.isNaN(figure(entry.text));
    rows.sort((one, other) => {
      if (unknown(one) || unknown(other)) return unknown(one) - unknown(other);
      const order = areFigures ? figure(one.text) - figure(other.text) : one.text.localeCompare(other.text);
      return falls ? -order : order;
    });
    body.append(...rows.map((entry) => entry.row));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(table, column, header));
    });
  }

  // The text of an anchor stands in the page once; a window that is opened gets it, with its rating.
  for (const details of document.querySelectorAll("#all details")) {
    details.addEventListener("toggle", () => {
      for (const link of details.querySelectorAll('a[href^="#a"]')) {
        const [, rating, text] = document.getElementById(link.getAttribute("href").slice(1)).cells;
        const shown = document.createElement("bdi");
        shown.textContent = text.textContent;
        link.replaceWith(shown, ` (rated ${rating.textContent})`);
      }
    });
  }

  const form = document.getElementById("filters");
  if (!form) return;
  const all = document.getElementById("all").tBodies[0];
  const said = (row) => [...row.querySelectorAll(".q, .r")].map((text) => text.textContent).join("\n");
  const texts = new Map([...all.rows].map((row) => [row, said(row).toLowerCase()]));
  const count = document.getElementById("count");
  function filter() {
    const chosen = [...form.querySelectorAll("select")].filter((select) => select.value !== "");
    const words = document.getElementById("words").value.toLowerCase();
    let shown = 0;
    for (const row of all.rows) {
      const fits =
        chosen.every((select) => cellText(row, Number(select.dataset.column)) === trimmed(select.value)) &&
        texts.get(row).includes(words);
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${all.rows.length} responses`;
  }
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
})();
