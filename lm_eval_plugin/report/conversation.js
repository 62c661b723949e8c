// One conversation: what was said, the question with its options marked, and the rest folded.

async function show(number, message) {
  const dialogue = await dialogueOf(number);
  if (shownByAddress()?.number !== number) return; // left again meanwhile
  byId("transcript-heading").textContent = `Conversation ${(number + 1).toLocaleString("en")} of ${index.columns.turns.length.toLocaleString("en")}`;
  byId("dialogue").replaceChildren(...parts(dialogue, number));
  for (const [id, step] of [["earlier", -1], ["later", 1]]) {
    const other = neighbour(number, step);
    byId(id).hidden = other === undefined;
    byId(id).href = `#transcript-${other}`;
  }
  view(true);
  if (message !== undefined && choose(message)) return;
  window.scrollTo(0, 0);
  byId("transcript-heading").focus({ preventScroll: true });
}

function neighbour(number, step) {
  const place = found.indexOf(number);
  return place < 0 ? undefined : found[place + step];
}

// Marks a message, counted from 1, and brings it into view.
function choose(message) {
  const turns = [...document.querySelectorAll(".turn")];
  const chosen = turns[message - 1];
  if (!chosen) return false;
  for (const turn of turns) turn.classList.toggle("chosen", turn === chosen);
  chosen.scrollIntoView({ block: "nearest" });
  chosen.querySelector(".anchor").focus({ preventScroll: true });
  return true;
}

function parts(dialogue, number) {
  const turns = dialogue.messages.map((message, place) => turn(message, place, dialogue, number));
  const side = element("aside", "asked-about", element("h3", "", "Question"), longText("stem", dialogue.question), options(dialogue));
  side.tabIndex = 0; // a long question scrolls in its place
  side.ariaLabel = "Question and options";
  const said = element("div", "", element("h3", "unseen", "Messages"), element("ol", "turns", ...turns), element("p", "ended", ending(dialogue)));
  return [summary(dialogue, number), element("div", "conversation", said, side), details(dialogue, number)];
}

function summary(dialogue, number) {
  const column = index.columns;
  const names = index.names;
  const made = element(
    "p",
    "meta",
    verdict("static", column.static[number]),
    verdict("interactive", column.outcome[number]),
    element("span", "", `answer ${dialogue.answer ?? "none"}, right ${dialogue.gold.join(" or ")}`),
    element("span", "", plural(column.turns[number], "turn")),
    element("span", "", words(names.subject[column.subject[number]]).slice(0, 80)),
  );
  if (names.model.length > 1) made.append(element("span", "", names.model[column.model[number]].slice(0, 80)));
  return made;
}

function ending(dialogue) {
  return `Ended: ${words(dialogue.stop_reason)}, answer ${dialogue.answer ?? "none"}, right answer ${dialogue.gold.join(" or ")}.`;
}

function options(dialogue) {
  return element(
    "ol",
    "options",
    ...dialogue.choices.map((choice, place) => {
      const letter = String.fromCharCode(65 + place);
      const right = dialogue.gold.includes(letter);
      const accepted = letter === dialogue.answer;
      const marks = [right ? "right" : "", accepted ? "accepted" : ""].filter(Boolean).join(", ");
      const text = element("span", "text", choice.slice(0, LONGEST));
      const classes = [right ? "gold" : "", accepted && !right ? "taken" : ""].filter(Boolean).join(" ");
      return element("li", classes, element("span", "letter", letter), text, element("span", "marks", marks));
    }),
  );
}

// Messages

function turn(message, place, dialogue, number) {
  const user = message.role === "user";
  const accepted = user && place === dialogue.messages.length - 1 && dialogue.answer !== null;
  const anchor = element("a", "anchor", `${place + 1}`);
  anchor.href = `#transcript-${number}-${place + 1}`;
  anchor.ariaLabel = `Message ${place + 1}: link to it`;
  const heading = element("h4", "", user ? "User" : "Assistant", anchor, element("span", "cost", cost(message)));
  const bubble = element("div", "bubble", heading);
  if (message.reasoning) bubble.append(element("details", "", element("summary", "", "Thought before"), longText("text reasoning", message.reasoning)));
  bubble.append(longText("text", message.content));
  const made = element("li", `turn ${user ? "user" : "assistant"}${accepted ? " accepted" : ""}`, bubble);
  const beside = user ? (accepted ? mark(`accepted ${dialogue.answer}`, [dialogue.answer], dialogue) : null) : reading(message, place, dialogue);
  if (beside) made.append(beside);
  return made;
}

function cost(message) {
  return [
    message.tokens === null ? "" : plural(message.tokens, "token"),
    message.seconds === null ? "" : `${message.seconds} s`,
    message.batch >= 1.5 ? `in a batch of ${Math.round(message.batch)}` : "",
  ].filter(Boolean).join(", ");
}

// What the measures recovered, misled and followed take a reply to support.
function reading(message, place, dialogue) {
  const before = dialogue.messages.slice(0, place).filter((other) => other.role !== "user").length;
  const read = dialogue.reads?.find((other) => other.message === place);
  const letters = read ? read.letters : dialogue.readings?.[before];
  if (letters === undefined) return null;
  if (letters === null) return element("span", "reading", `could not be read by ${read.by}`);
  if (letters === "") return element("span", "reading", "supports no option");
  return mark(`supports ${[...letters].join(" and ")}`, [...letters], dialogue);
}

function mark(text, letters, dialogue) {
  const right = letters.every((letter) => dialogue.gold.includes(letter));
  const wrong = !letters.some((letter) => dialogue.gold.includes(letter));
  return element("span", `reading ${right ? "right" : wrong ? "wrong" : ""}`, `${text}${right ? " ✓" : wrong ? " ✗" : ""}`);
}

// What is folded

function details(dialogue, number) {
  const column = index.columns;
  const names = index.names;
  const events = Object.entries(dialogue.events ?? {}).map(([event, count]) => `${words(event)} × ${count}`);
  const watched = dialogue.events === undefined ? "not watched" : events.join(", ") || "none";
  const line = [words(dialogue.stop_reason), `events: ${watched}`, dialogue.simulator, dialogue.question_id].map((text) => text.slice(0, 80)).join(" · ");
  const made = element(
    "details",
    "about",
    element("summary", "", `Details: ${line}`),
    pairs([
      ["Answer before the conversation", ownAnswer(dialogue.belief)],
      ["Answer apart from it", ownAnswer(dialogue.alone)],
      ["Answer accepted", dialogue.answer ?? "none"],
      ["Right answer", dialogue.gold.join(", ")],
      ["Static answer", column.static[number]],
      ["Interactive answer", column.outcome[number]],
      ["Stop reason", words(dialogue.stop_reason)],
      ["User turns", column.turns[number]],
      ["Events", watched],
      ["Readings of the replies", dialogue.readings ? "" : "not logged with this run"],
      ["Context trimmed", dialogue.context_trimmed ? "yes" : ""],
      ["Persona", dialogue.persona ?? ""],
      ["Model", names.model[column.model[number]]],
      ["Simulated user", dialogue.simulator],
      ["Subject", words(names.subject[column.subject[number]])],
      ["Question", dialogue.question_id],
      ["Repeat", dialogue.repeat + 1],
      ["Seed", dialogue.seed],
    ]),
  );
  if (dialogue.verdicts) made.append(element("h3", "", "Judge"), pairs(Object.entries(dialogue.verdicts).map(([about, given]) => [about, given ? `${given.score} of 5: ${given.reason}` : "no verdict that can be read"])));
  if (dialogue.static.length) made.append(element("h3", "", "Without a conversation"), staticTable(dialogue));
  return made;
}

// What the user answered without help.
function ownAnswer(answer) {
  if (!answer) return "";
  const share = answer.confidence === null ? "" : ` (${(100 * answer.confidence).toFixed(0)} % of the letters' likelihood)`;
  return answer.letter ? `${answer.letter}${share}` : answer.text ? `none of the letters: ${answer.text}` : "none of the letters";
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
