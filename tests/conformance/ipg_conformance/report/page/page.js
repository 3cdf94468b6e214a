"use strict";
(() => {
  const root = document.documentElement;
  const all = selector => [...document.querySelectorAll(selector)];
  const byId = id => document.getElementById(id);
  const list = byId("cases");
  const cases = all(".case");
  const boxes = all(".boxes input");
  const texts = new Map(cases.map(item => [item, item.firstElementChild.textContent.toLowerCase()]));
  root.classList.add("scripted");

  const show = () => {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const feature = byId("feature").value;
    const wanted = new Set(boxes.filter(box => box.checked).map(box => box.value));
    for (const item of cases) {
      const fits = wanted.has(item.dataset.name) && (!feature || item.dataset.feature === feature);
      item.hidden = !fits || !words.every(word => texts.get(item).includes(word));
    }
    byId("shown").textContent = `${cases.filter(item => !item.hidden).length} of ${cases.length} cases`;
  };
  const showOnly = (search, verdict) => {
    byId("search").value = search;
    byId("feature").value = "";
    for (const box of boxes) box.checked = !verdict || box.value === verdict;
    show();
    byId("all-cases").scrollIntoView();
  };
  const compare = (one, other) => {
    const numbers = [Number(one), Number(other)];
    return numbers.some(Number.isNaN) ? one.localeCompare(other) : numbers[0] - numbers[1];
  };
  const sortCases = button => {
    const way = button.dataset.way === "1" ? -1 : 1;
    for (const other of all(".sort")) delete other.dataset.way;
    button.dataset.way = way;
    const key = button.dataset.key;
    list.append(...cases.sort((one, other) => way * compare(one.dataset[key], other.dataset[key]) || one.dataset.order - other.dataset.order));
  };
  const sortTable = head => {
    const body = head.closest("table").tBodies[0];
    const place = head.cellIndex;
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const value = row => row.cells[place].dataset.value ?? row.cells[place].textContent;
    body.append(...[...body.rows].sort((one, other) => way * compare(value(one), value(other))));
  };
  const openNamed = () => {
    const item = byId(decodeURIComponent(location.hash.slice(1)));
    if (!item || !item.matches(".case")) return;
    if (item.hidden) showOnly("", "");
    item.open = true;
    item.scrollIntoView();
  };
  const turn = () => {
    const chosen = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = chosen === "dark" ? "light" : "dark";
  };
  const copy = async button => {
    const code = button.previousElementSibling;
    getSelection().selectAllChildren(code);
    await navigator.clipboard?.writeText(code.textContent);
    button.textContent = navigator.clipboard ? "copied" : "selected";
  };

  document.addEventListener("click", event => {
    const hit = selector => event.target.closest(selector);
    if (hit("#theme")) turn();
    else if (hit(".copy")) copy(hit(".copy"));
    else if (hit(".tile")) showOnly("", hit(".tile").dataset.verdict);
    else if (hit("[data-requirement]")) showOnly(hit("[data-requirement]").dataset.requirement, "");
    else if (hit(".sort")) sortCases(hit(".sort"));
    else if (hit(".sortable thead th")) sortTable(hit(".sortable thead th"));
    else if (hit("#open-all")) for (const item of cases) item.open = item.open || !item.hidden;
    else if (hit("#close-all")) for (const item of cases) item.open = false;
  });
  for (const input of [byId("search"), byId("feature"), ...boxes]) input.addEventListener("input", show);
  addEventListener("hashchange", openNamed);
  addEventListener("beforeprint", () => {
    for (const item of cases) item.open = item.open || !["PASS", "NOT-APPLICABLE"].includes(item.dataset.name);
  });
  show();
  openNamed();
})();
