// The list of conversations, and what leaves some of them out.

const PAGE = 50; // conversations in the list at one time

const form = byId("filters");
let found = []; // numbers of the dialogues that the filters leave
let page = 0;
let search = 0; // counts the searches, so that a newer one ends an older

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
  found = live ? left.reverse() : left; // of a run that goes on, what is new stands on top
  page = 0;
  const all = index.columns.turns.length;
  byId("count").textContent = found.length === all ? plural(all, "conversation") : `${found.length.toLocaleString("en")} of ${plural(all, "conversation")}`;
  list();
}

function list() {
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  byId("results").replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map(row));
  byId("results").classList.toggle("named", index.names.subject.length > 1 || index.names.model.length > 1);
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
  );
  if (names.subject.length > 1) meta.append(element("span", "wide-cell", words(names.subject[column.subject[number]]).slice(0, 80)));
  if (names.model.length > 1) meta.append(element("span", "wide-cell", names.model[column.model[number]].slice(0, 80)));
  if (events.length) meta.append(element("span", "events", `events: ${events.join(", ")}`));
  const link = element("a", "", element("span", "asked", column.question[number]), meta);
  link.href = `#transcript-${number}`;
  return element("li", "", link);
}

function turnTo(next) {
  page = next;
  list();
  byId("transcripts-heading").focus();
}
