"use strict";

// Unpacks the conversations and makes elements. Whatever a run holds is put in as text (textContent), never as markup.

const LONGEST = 20000; // characters of a message that are shown at once

const byId = (id) => document.getElementById(id);
const opened = new Map(); // number of a block -> promise of its dialogues
let index;

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
  const packed = index.columns.turns.length - added.length;
  if (number >= packed) return added[number - packed];
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
