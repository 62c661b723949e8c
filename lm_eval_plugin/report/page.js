// Which of the two is shown, what keys do, and where the page starts.

const WAIT = 250; // milliseconds after a key before a search begins

let listPosition = 0;
let lastShown = null;

function view(one) {
  byId("overview").hidden = one;
  byId("transcripts").hidden = one;
  byId("transcript").hidden = !one;
}

// The conversation that the address names, and of it the message, counted from 1; null for the list.
function shownByAddress() {
  const match = /^#transcript-(\d+)(?:-(\d+))?$/.exec(location.hash);
  if (!match || Number(match[1]) >= index.columns.turns.length) return null;
  return { number: Number(match[1]), message: match[2] === undefined ? undefined : Number(match[2]) };
}

function route() {
  const wanted = shownByAddress();
  if (wanted) {
    if (lastShown === wanted.number && wanted.message !== undefined && choose(wanted.message)) return;
    if (lastShown === null) listPosition = window.scrollY;
    lastShown = wanted.number;
    show(wanted.number, wanted.message);
    return;
  }
  if (lastShown === null) return;
  view(false);
  const link = document.querySelector(`.results a[href="#transcript-${lastShown}"]`);
  lastShown = null;
  if (!["", "#transcripts"].includes(location.hash)) {
    byId(location.hash.slice(1))?.scrollIntoView();
    return;
  }
  window.scrollTo(0, listPosition);
  (link ?? byId("transcripts-heading")).focus({ preventScroll: true });
}

// Keys step through conversations and messages while one is shown.
function step(event) {
  if (lastShown === null || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (event.target.closest("input, select, textarea")) return;
  const conversation = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const message = { k: -1, j: 1 }[event.key];
  if (event.key === "Escape") location.hash = "#transcripts";
  else if (conversation && scrollsSideways(event.target)) return;
  else if (conversation && neighbour(lastShown, conversation) !== undefined) location.hash = `#transcript-${neighbour(lastShown, conversation)}`;
  else if (message) stepMessage(message);
  else return;
  event.preventDefault();
}

function scrollsSideways(target) {
  const region = target.closest(".scroll");
  return region !== null && region.scrollWidth > region.clientWidth;
}

function stepMessage(by) {
  const turns = [...document.querySelectorAll(".turn")];
  const place = turns.findIndex((turn) => turn.classList.contains("chosen"));
  const next = place < 0 ? (by > 0 ? 0 : turns.length - 1) : place + by;
  if (turns[next]) history.replaceState(null, "", `#transcript-${lastShown}-${next + 1}`);
  choose(next + 1);
}

function offer(id, names) {
  byId(id).append(...names.map((name, place) => [name, place]).sort().map(([name, place]) => new Option(visible(words(name)).slice(0, 80), place)));
}

function offerFilters() {
  offer("model", index.names.model);
  byId("model").parentElement.hidden = index.names.model.length === 1;
  offer("subject", index.names.subject);
  byId("subject").parentElement.hidden = index.names.subject.length === 1;
  for (const kind of ["stop", "event"]) offer(kind, index.names[kind]);
  if (matchMedia("(max-width: 36rem)").matches) byId("more").open = false;
}

function listen() {
  let waiting;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, event.target.id === "search" ? WAIT : 0);
  });
  byId("previous").addEventListener("click", () => turnTo(page - 1));
  byId("next").addEventListener("click", () => turnTo(page + 1));
  document.addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    form.reset();
    for (const name of ["model", "static", "outcome"]) form.elements[name].value = cell.dataset[name];
    filter();
    byId("transcripts-heading").focus();
  });
  document.addEventListener("keydown", step);
  window.addEventListener("hashchange", route);
  history.scrollRestoration = "manual";
}

async function start() {
  index = await unpack("index");
  offerFilters();
  listen();
  await filter();
  route();
  if (live) look();
}

start();
