"use strict";

// Shows the conversations. Whatever a run holds is put in as text (textContent), never as markup.

const PAGE = 50; // conversations in the list at one time
const LONGEST = 20000; // characters of a message that are shown at once
const WAIT = 250; // milliseconds after a key before a search begins

const byId = (id) => document.getElementById(id);
const form = byId("filters");
const opened = new Map(); // number of a block -> promise of its dialogues
let index;
let found = []; // numbers of the dialogues that the filters leave
let page = 0;
let search = 0; // counts the searches, so that a newer one ends an older
let listPosition = 0;
let lastShown = null;

// Unpacking

async function unpack(id) {
  const packed = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function block(number) {
  if (!opened.has(number)) opened.set(number, unpack(`block-${number}`));
  return opened.get(number);
}

async function dialogueOf(number) {
  return (await block(Math.floor(number / index.size)))[number % index.size];
}

// Making elements

// Control characters and marks of direction as symbols: they would be invisible or reorder what stands beside them.
function visible(text) {
  return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, (sign) =>
    sign < " " ? String.fromCharCode(0x2400 + sign.charCodeAt(0)) : "\ufffd",
  );
}

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

function longText(className, text) {
  const shown = element("div", className, text.slice(0, LONGEST));
  shown.dir = "auto";
  if (text.length <= LONGEST) return shown;
  const more = element("button", "more", `Show all ${text.length.toLocaleString("en")} characters`);
  more.type = "button";
  more.addEventListener("click", () => {
    shown.textContent = visible(text);
    more.remove();
  });
  return element("div", "", shown, more);
}

function pairs(entries) {
  const list = element("dl", "facts");
  for (const [term, value] of entries) {
    if (value !== null && value !== "") list.append(element("div", "", element("dt", "", term), element("dd", "", value)));
  }
  return list;
}

const words = (name) => name.replaceAll("_", " ");
const plural = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;

function verdict(label, outcome) {
  const sign = { right: "✓", wrong: "✗", unknown: "–" }[outcome];
  return element("span", outcome, `${label} ${sign} ${outcome}`);
}

// The list

function matches(number, wanted) {
  const column = index.columns;
  const turns = column.turns[number];
  const events = column.events[number];
  return (
    (wanted.model === "" || column.model[number] === Number(wanted.model)) &&
    (wanted.subject === "" || column.subject[number] === Number(wanted.subject)) &&
    (wanted.static === "" || column.static[number] === wanted.static) &&
    (wanted.outcome === "" || column.outcome[number] === wanted.outcome) &&
    (wanted.stop === "" || column.stop[number] === Number(wanted.stop)) &&
    (wanted.least === "" || turns >= Number(wanted.least)) &&
    (wanted.most === "" || turns <= Number(wanted.most)) &&
    (wanted.event === "" ||
      (wanted.event === "none" && events.length === 0) ||
      (wanted.event === "some" && events.length > 0) ||
      events.some((event) => String(event) === wanted.event))
  );
}

function holds(dialogue, text) {
  const said = dialogue.messages.map((message) => message.content);
  return [dialogue.question_id, dialogue.question, ...dialogue.choices, ...said].some((part) =>
    part.toLowerCase().includes(text),
  );
}

async function filter() {
  const mine = ++search;
  const wanted = Object.fromEntries(new FormData(form));
  const text = wanted.search.trim().toLowerCase();
  let left = index.columns.turns.map((_, number) => number).filter((number) => matches(number, wanted));
  if (text) {
    byId("count").textContent = "Searching …";
    const holding = [];
    for (const number of left) {
      if (holds(await dialogueOf(number), text)) holding.push(number);
      if (mine !== search) return;
    }
    left = holding;
  }
  found = left;
  page = 0;
  const all = index.columns.turns.length;
  byId("count").textContent = found.length === all ? plural(all, "conversation") : `${found.length.toLocaleString("en")} of ${plural(all, "conversation")}`;
  list();
}

function list() {
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  byId("results").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(row));
  byId("pages").hidden = pages === 1;
  byId("page").textContent = `Page ${page + 1} of ${pages}`;
  byId("previous").disabled = page === 0;
  byId("next").disabled = page === pages - 1;
}

function row(number) {
  const column = index.columns;
  const names = index.names;
  const events = column.events[number].map((event) => words(names.event[event]));
  const meta = element(
    "span",
    "meta",
    verdict("static", column.static[number]),
    verdict("interactive", column.outcome[number]),
    element("span", "", plural(column.turns[number], "turn")),
    element("span", "", words(names.stop[column.stop[number]])),
    element("span", "", words(names.subject[column.subject[number]]).slice(0, 80)),
  );
  if (names.model.length > 1) meta.append(element("span", "", names.model[column.model[number]].slice(0, 80)));
  if (events.length) meta.append(element("span", "", `events: ${events.join(", ")}`));
  const link = element("a", "", element("span", "asked", column.question[number]), meta);
  link.href = `#transcript-${number}`;
  return element("li", "", link);
}

function turnTo(next) {
  page = next;
  list();
  byId("transcripts-heading").focus();
}

// One conversation

async function show(number) {
  const dialogue = await dialogueOf(number);
  if (location.hash !== `#transcript-${number}`) return; // left again meanwhile
  byId("transcript-heading").textContent = `Conversation ${number + 1} of ${index.columns.turns.length.toLocaleString("en")}`;
  byId("dialogue").replaceChildren(...parts(dialogue, number));
  for (const [id, step] of [["earlier", -1], ["later", 1]]) {
    const place = found.indexOf(number);
    const other = place < 0 ? undefined : found[place + step];
    byId(id).hidden = other === undefined;
    byId(id).href = `#transcript-${other}`;
  }
  view(true);
  window.scrollTo(0, 0);
  byId("transcript-heading").focus({ preventScroll: true });
}

function parts(dialogue, number) {
  const names = index.names;
  const events = Object.entries(dialogue.events ?? {}).map(([event, count]) => `${words(event)} × ${count}`);
  const shown = [
    longText("stem", dialogue.question),
    options(dialogue),
    pairs([
      ["Answer accepted", dialogue.answer ?? "none"],
      ["Right answer", dialogue.gold.join(", ")],
      ["Static answer", index.columns.static[number]],
      ["Interactive answer", index.columns.outcome[number]],
      ["Stop reason", words(dialogue.stop_reason)],
      ["User turns", index.columns.turns[number]],
      ["Events", dialogue.events === undefined ? "not watched" : events.join(", ") || "none"],
      ["Context trimmed", dialogue.context_trimmed ? "yes" : ""],
      ["Persona", dialogue.persona ?? ""],
      ["Model", names.model[index.columns.model[number]]],
      ["Simulated user", dialogue.simulator],
      ["Subject", words(names.subject[index.columns.subject[number]])],
      ["Question", dialogue.question_id],
      ["Repeat", dialogue.repeat + 1],
      ["Seed", dialogue.seed],
    ]),
    element("h3", "", "Conversation"),
    element("ol", "turns", ...dialogue.messages.map((message, place) => bubble(message, place, dialogue))),
    element("p", "ended", `Ended: ${words(dialogue.stop_reason)}, answer ${dialogue.answer ?? "none"}, right answer ${dialogue.gold.join(" or ")}.`),
  ];
  if (dialogue.verdicts) shown.push(element("h3", "", "Judge"), pairs(Object.entries(dialogue.verdicts).map(([about, given]) => [about, given ? `${given.score} of 5: ${given.reason}` : "no verdict that can be read"])));
  if (dialogue.static.length) shown.push(element("h3", "", "Without a conversation"), staticTable(dialogue));
  return shown;
}

function options(dialogue) {
  return element(
    "ol",
    "options",
    ...dialogue.choices.map((choice, place) => {
      const letter = String.fromCharCode(65 + place);
      const right = dialogue.gold.includes(letter);
      const marks = [right ? "right" : "", letter === dialogue.answer ? "accepted" : ""].filter(Boolean).join(", ");
      const text = element("span", "text", choice.slice(0, LONGEST));
      return element("li", right ? "gold" : "", element("span", "letter", letter), text, element("span", "marks", marks));
    }),
  );
}

function bubble(message, place, dialogue) {
  const last = place === dialogue.messages.length - 1;
  const accepted = last && message.role === "user" && dialogue.answer !== null ? " accepted" : "";
  const cost = [
    message.tokens === null ? "" : plural(message.tokens, "token"),
    message.seconds === null ? "" : `${message.seconds} s`,
    message.batch >= 1.5 ? `in a batch of ${Math.round(message.batch)}` : "",
  ].filter(Boolean);
  const heading = element("h4", "", message.role === "user" ? "User" : "Assistant", element("span", "", cost.join(", ")));
  const made = element("li", `turn ${message.role === "user" ? "user" : "assistant"}${accepted}`, heading);
  if (message.reasoning) made.append(element("details", "", element("summary", "", "Thought before"), longText("text reasoning", message.reasoning)));
  made.append(longText("text", message.content));
  return made;
}

function staticTable(dialogue) {
  const scored = dialogue.static.map((each) => each.log_likelihood).filter((value) => typeof value === "number");
  const best = Math.max(...scored);
  const rows = dialogue.static.map((each) =>
    element(
      "tr",
      "",
      element("th", "", each.asked),
      each.log_likelihood === null
        ? element("td", "", longText("text", each.text))
        : typeof each.log_likelihood === "string"
        ? element("td", "number", each.log_likelihood.replace("-inf", "−∞"))
        : element("td", "number", `${each.log_likelihood.toFixed(3)}${each.log_likelihood === best ? " (likeliest)" : ""}`),
    ),
  );
  for (const row of rows) row.firstChild.scope = "row";
  const heading = element("tr", "", element("th", "", "Asked for"), element("th", "number", "Log-likelihood, or what it said"));
  for (const cell of heading.children) cell.scope = "col";
  return element("table", "static", element("thead", "", heading), element("tbody", "", ...rows));
}

// Between the two

function view(one) {
  byId("overview").hidden = one;
  byId("transcripts").hidden = one;
  byId("transcript").hidden = !one;
}

function route() {
  const number = /^#transcript-(\d+)$/.exec(location.hash)?.[1];
  if (number !== undefined && Number(number) < index.columns.turns.length) {
    if (lastShown === null) listPosition = window.scrollY;
    lastShown = Number(number);
    show(lastShown);
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

function offer(id, names) {
  byId(id).append(...names.map((name, place) => [name, place]).sort().map(([name, place]) => new Option(visible(words(name)).slice(0, 80), place)));
}

async function start() {
  index = await unpack("index");
  offer("model", index.names.model);
  byId("model").parentElement.hidden = index.names.model.length === 1;
  for (const kind of ["subject", "stop", "event"]) offer(kind, index.names[kind]);
  let waiting;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, event.target.id === "search" ? WAIT : 0);
  });
  byId("previous").addEventListener("click", () => turnTo(page - 1));
  byId("next").addEventListener("click", () => turnTo(page + 1));
  for (const cell of document.querySelectorAll(".cell")) {
    cell.addEventListener("click", () => {
      form.reset();
      for (const name of ["model", "static", "outcome"]) form.elements[name].value = cell.dataset[name];
      filter();
      byId("transcripts-heading").focus();
    });
  }
  window.addEventListener("hashchange", route);
  history.scrollRestoration = "manual";
  await filter();
  route();
}

start();
