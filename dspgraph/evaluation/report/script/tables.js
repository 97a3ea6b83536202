const words = new Intl.Collator(undefined, { numeric: true });

// Sort the rows by a column. Rows without a value stay at the end.
function sort(button) {
  const head = button.closest("th");
  const body = head.closest("table").tBodies[0];
  const first = button.dataset.first === "down" ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const direction = head.getAttribute("aria-sort") === first ? other : first;
  for (const one of head.parentElement.children) one.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const numbers = head.classList.contains("number");
  const value = (row) => row.cells[head.cellIndex].dataset.value;
  const rows = [...body.rows].sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (!left || !right) return Number(!left) - Number(!right);
    return sign * (numbers ? Number(left) - Number(right) : words.compare(left, right));
  });
  body.append(...rows);
}
for (const button of document.querySelectorAll("button.sort")) button.addEventListener("click", () => sort(button));
