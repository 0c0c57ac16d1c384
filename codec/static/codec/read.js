// The Read page: takes the document apart here, sends its payloads in parts, and shows them decoded in their places.
// One part is under way at a time. Each answer brings the ticket (X-Read) for the next, which ties them together in
// the server's audit.

import { addCopyButton } from "./copy.js";
import { Decoded, findPayloads, partsOf, slices, write } from "./payloads.js";

const ROWS = 300; // shown at once; a button shows more
const MAX_HALVINGS = 60; // of parts that cannot be decoded as a whole
const MAX_WAITS = 5; // for a server that asks for a pause
const OPEN_AT_ONCE = 3;

const form = document.getElementById("read-form");
const result = document.getElementById("result");
const limits = { count: Number(form.dataset.partPayloads), bytes: Number(form.dataset.partBytes) };
const maxBytes = Number(form.dataset.maxBytes);
let stopped = null; // the AbortController of the reading under way

class Refused extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

// Sending -------------------------------------------------------------------------------------------------------------

class Reading {
  constructor(namespace, signal) {
    this.namespace = namespace;
    this.signal = signal;
    this.ticket = null;
  }

  // Returns the payloads decoded, in order. Throws Refused.
  async decode(payloads) {
    const headers = { "Content-Type": "application/json", "X-Namespace": this.namespace, "X-CSRFToken": csrfToken() };
    if (this.ticket) headers["X-Read"] = this.ticket;
    const body = JSON.stringify({ payloads });
    const answer = await fetch(form.dataset.part, { method: "POST", headers, body, signal: this.signal });
    this.ticket = answer.headers.get("X-Read") ?? this.ticket;
    if (!answer.ok) throw await refusal(answer);
    return (await answer.json()).payloads ?? [];
  }

  // Decodes what is in `places` and calls `progress` with how many are done. Returns those that failed, each with why.
  async run(places, progress) {
    const waiting = slices(places, limits);
    const failed = [];
    let [done, halvings, waits] = [0, 0, 0];
    while (waiting.length) {
      const part = waiting.shift();
      try {
        replace(part, await this.decode(part.map(({ holder, key }) => holder[key])));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.retryAfter && waits < MAX_WAITS) {
          waits += 1;
          await pause(error.retryAfter, this.signal);
          waiting.unshift(part);
          continue;
        }
        if (error.status !== 400 && error.status !== 413) throw error;
        if (part.length > 1 && halvings < MAX_HALVINGS) {
          halvings += 1;
          const middle = Math.ceil(part.length / 2);
          waiting.unshift(part.slice(0, middle), part.slice(middle));
          continue;
        }
        failed.push(...part.map((place) => ({ place, why: error.message })));
      }
      done += part.length;
      progress(done);
    }
    return failed;
  }
}

function replace(places, payloads) {
  if (payloads.length !== places.length) throw new Refused(502, "The answer has another number of payloads.");
  places.forEach(({ holder, key }, index) => {
    const opened = holder[key].metadata.encoding !== payloads[index].metadata?.encoding;
    holder[key] = new Decoded(payloads[index], opened);
  });
}

async function refusal(answer) {
  const wait = Number(answer.headers.get("Retry-After") ?? 0);
  if (!answer.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    return new Refused(answer.status, "This page has expired. Reload it and begin again.");
  }
  return new Refused(answer.status, (await answer.json()).detail, wait);
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function csrfToken() {
  return form.elements.csrfmiddlewaretoken.value;
}

// The form ------------------------------------------------------------------------------------------------------------

async function submit(event) {
  event.preventDefault();
  stopped?.abort();
  stopped = new AbortController();
  const { signal } = stopped;
  try {
    const root = [await givenDocument()];
    await readDocument(root, signal);
  } catch (error) {
    if (error.name !== "AbortError") complain(error);
    else complain(new Error("Stopped. Nothing is shown."));
  }
}

async function givenDocument() {
  const file = form.elements.file.files[0];
  const text = form.elements.text.value;
  if (Boolean(file) === Boolean(text.trim())) throw new Error("Paste something or choose a file, one of both.");
  if ((file?.size ?? text.length) > maxBytes) throw new Error(`This is larger than ${megabytes(maxBytes)}.`);
  try {
    return JSON.parse(file ? await file.text() : text);
  } catch {
    throw new Error("This is not JSON. Export the history as JSON, or copy whole objects.");
  }
}

async function readDocument(root, signal) {
  const places = findPayloads(root);
  if (!places.length) throw new Error("No payloads were found in this. A payload has metadata and data.");
  const counts = partsOf(root).map(({ list, index }) => findPayloads([list[index]]).length);
  const bar = showProgress(places.length);
  const reading = new Reading(form.elements.namespace.value, signal);
  try {
    const failed = await reading.run(places, bar);
    showResult(root, counts, places, failed);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) error.signIn = true;
    throw error;
  }
}

// What is shown -------------------------------------------------------------------------------------------------------

function element(name, properties = {}, ...children) {
  const { dataset = {}, role, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  if (role) made.setAttribute("role", role);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
}

function complain(error) {
  const notice = element("div", { className: "notice bad", role: "alert" }, element("p", {}, error.message));
  if (error.signIn) {
    notice.append(element("p", {}, element("a", { href: form.dataset.login, textContent: "Sign in" })));
  }
  result.replaceChildren(notice);
}

// Shows a bar and returns the function that moves it.
function showProgress(total) {
  const bar = element("progress", { max: total, value: 0 });
  bar.setAttribute("aria-labelledby", "progress-text");
  const text = element("p", { id: "progress-text" });
  const stop = element("button", { type: "button", className: "action", textContent: "Stop", onclick: () => stopped.abort() });
  const told = element("p", { className: "visually-hidden", role: "status" });
  result.replaceChildren(element("div", { className: "progress card" }, text, bar, stop, told));
  let announced = 0;
  const move = (done) => {
    bar.value = done;
    text.textContent = `Decoding: ${done.toLocaleString()} of ${counted(total)}`;
    if (Date.now() - announced > 3000) { // not each step: a screen reader would never come to an end
      told.textContent = text.textContent;
      announced = Date.now();
    }
  };
  move(0);
  return move;
}

function showResult(root, counts, places, failed) {
  const decoded = places.map(({ holder, key }) => holder[key]).filter((value) => value instanceof Decoded);
  const opened = decoded.filter((value) => value.opened).length;
  const title = element("h2", { id: "result-title", tabIndex: -1 }, `${counted(opened)} decoded`);
  result.replaceChildren(
    title,
    ...remarks(decoded.length - opened, failed),
    tools(root),
    ...rows(partsOf(root), counts),
  );
  title.focus();
}

function remarks(untouched, failed) {
  const made = [];
  if (untouched) made.push(element("p", { className: "muted" }, `${counted(untouched)} left as ${untouched === 1 ? "it was" : "they were"}: not encoded by a codec of this server.`));
  const reasons = new Map();
  for (const { why } of failed) reasons.set(why, (reasons.get(why) ?? 0) + 1);
  for (const [why, number] of reasons) {
    made.push(element("div", { className: "notice bad" }, element("p", {}, `${counted(number)} not decoded, and shown as stored: ${why}`)));
  }
  return made;
}

function tools(root) {
  const bar = element("div", { className: "actions" });
  const save = (label, name, options) => element("button", {
    type: "button", className: "action", textContent: label, onclick: () => download(name, textOf(root[0], options)),
  });
  bar.append(save("Download readable", "readable.json", {}), save("Download for replay", "decoded.json", { asStored: true }));
  const copyAll = element("span", { dataset: { copy: "everything, readable" } });
  addCopyButton(copyAll, () => textOf(root[0], {})).classList.add("action");
  bar.append(copyAll);
  return bar;
}

function textOf(value, options) {
  return write(value, options).map((piece) => piece.text).join("");
}

function download(name, text) {
  const url = URL.createObjectURL(new Blob([text, "\n"], { type: "application/json" }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// A long history makes a long list: rows come in batches, and each is written when it is opened.
function rows(parts, counts) {
  const list = element("ol", { className: "parts" });
  const more = element("button", { type: "button", className: "action" });
  const add = () => {
    const from = list.children.length;
    list.append(...parts.slice(from, from + ROWS).map((part, index) => row(part, counts[from + index], parts.length <= OPEN_AT_ONCE)));
    const left = parts.length - list.children.length;
    more.hidden = left === 0;
    more.textContent = `Show ${Math.min(left, ROWS).toLocaleString()} more of ${left.toLocaleString()}`;
    if (from) list.children[from].querySelector("summary").focus();
  };
  more.onclick = add;
  add();
  return [list, more];
}

function row(part, count, open) {
  const { list, index, title } = part;
  const details = element("details", { open });
  const name = element("span", { className: "name" }, title.name);
  const number = element("span", { className: "number" }, String(title.number));
  const left = findPayloads([list[index]]).length;
  const tags = [];
  if (count > left) tags.push(element("span", { className: "tag good" }, counted(count - left)));
  if (left) tags.push(element("span", { className: "tag bad" }, `${left} not decoded`));
  details.append(element("summary", {}, ...(title.number === "" ? [] : [number]), name, ...tags));
  const fill = () => {
    if (details.children.length === 1 && details.open) details.append(shown(list[index], title.name));
  };
  details.addEventListener("toggle", fill);
  fill();
  return element("li", { className: count ? "" : "without" }, details);
}

function shown(value, name) {
  const code = element("code");
  for (const { text, decoded } of write(value)) {
    code.append(decoded ? element("mark", {}, text) : text);
  }
  const box = element("div", { className: "snippet", dataset: { copy: name } }, element("pre", {}, code));
  addCopyButton(box, () => code.textContent);
  return box;
}

function counted(number) {
  return `${number.toLocaleString()} ${number === 1 ? "payload" : "payloads"}`;
}

function megabytes(bytes) {
  return `${Math.floor(bytes / 1024 / 1024)} MiB`;
}

// A file may be dropped anywhere on the form.
for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.add("dropping");
  });
}
for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("dropping"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) form.elements.file.files = event.dataTransfer.files;
});
form.addEventListener("submit", submit);
form.querySelector("[name=download]").remove(); // the result has its own
