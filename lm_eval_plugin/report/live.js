// A page of a run that goes on asks its server, which is on this machine, for what is new. Of a page in a file nothing happens here.

const LOOK = 2000; // milliseconds between two looks
const REDRAW = 15000; // milliseconds between two drawings of the overview, at least
const SHARE = 20; // how much longer than a drawing takes is waited, so that the run keeps the processor

const live = document.querySelector('meta[name="live"]') !== null;
const added = []; // dialogues that came after the page
let redrawn = Date.now();
let wait = REDRAW;
let isOld = false; // whether the overview lacks something that the list has

async function look() {
  try {
    const response = await fetch(`new?after=${index.columns.turns.length}`, { cache: "no-store" });
    if (!response.ok) throw new Error(String(response.status));
    const news = await response.json();
    news.entries.forEach((entry, place) => add(entry, news.dialogues[place]));
    if (news.entries.length) await refresh();
    if (isOld && (news.ended || Date.now() - redrawn > wait)) await redraw();
    say(news.state);
    if (news.ended && !isOld && !news.entries.length) return;
  } catch {
    say("The server does not answer; what is shown is what it last said.");
  }
  setTimeout(look, LOOK);
}

function say(text) {
  byId("state").textContent = visible(text);
}

function add(entry, dialogue) {
  const column = index.columns;
  const events = entry.events.map((name) => placeOf("event", name));
  const row = { ...entry, model: 0, subject: placeOf("subject", entry.subject), stop: placeOf("stop", entry.stop), events };
  for (const [name, value] of Object.entries(row)) column[name].push(value);
  added.push(dialogue);
}

// The place of a name in the index, which a filter offers from now on.
function placeOf(kind, name) {
  const known = index.names[kind].indexOf(name);
  if (known >= 0) return known;
  index.names[kind].push(name);
  const place = index.names[kind].length - 1;
  byId(kind).append(new Option(visible(words(name)).slice(0, 80), place));
  byId(kind).parentElement.hidden = index.names[kind].length === 1 && kind === "subject";
  return place;
}

async function refresh() {
  isOld = true;
  const before = page;
  await filter();
  if (before) {
    page = before;
    list();
  }
}

async function redraw() {
  const started = Date.now();
  const parts = await (await fetch("overview", { cache: "no-store" })).json();
  const open = [...document.querySelectorAll("#overview details")].map((each) => each.open);
  for (const [id, markup] of [["head-facts", parts.head], ["overview", parts.overview]]) {
    // The server has escaped what the run holds, and the page's policy runs no script but this one.
    byId(id).replaceChildren(...new DOMParser().parseFromString(markup, "text/html").body.childNodes);
  }
  document.querySelectorAll("#overview details").forEach((each, place) => {
    if (open[place] !== undefined) each.open = open[place];
  });
  redrawn = Date.now();
  wait = Math.max(REDRAW, SHARE * (redrawn - started));
  isOld = false;
}
