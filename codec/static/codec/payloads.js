// Payloads in a JSON document: finding them, putting them in parts to send, writing them for people.
// What is a payload is decided as codec/documents.py does it, and the Web UI.

const EXPECTED = { payloads: "payloads", encodedAttributes: "payload", encoded_attributes: "payload" };

// Returns [{ holder, key }] of each payload below `holder`, in the document's order, those decoded left out.
// Not recursive: depth costs no stack.
export function findPayloads(holder) {
  const found = [];
  const waiting = children(holder, "");
  while (waiting.length) {
    const [holder, key, expected] = waiting.pop();
    const value = holder[key];
    if (value instanceof Decoded) continue;
    if (isPayload(value, expected === "payload")) found.push({ holder, key });
    else if (value !== null && typeof value === "object") waiting.push(...children(value, expected));
  }
  return found;
}

function children(value, expected) {
  if (Array.isArray(value)) {
    const inside = expected === "payloads" ? "payload" : "";
    return value.map((_, index) => [value, index, inside]).reverse();
  }
  return Object.keys(value).map((key) => [value, key, Object.hasOwn(EXPECTED, key) ? EXPECTED[key] : ""]).reverse();
}

function isPayload(value, expected) {
  if (!isObject(value) || !isObject(value.metadata)) return false;
  if (!Object.values(value.metadata).every((text) => typeof text === "string")) return false;
  return typeof value.data === "string" || (expected && (value.data ?? null) === null);
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

// Returns the parts of a document that are shown by themselves: its events, its elements, or all of it as one.
export function partsOf(root) {
  const inside = isObject(root[0]) ? root[0].events : root[0];
  const list = Array.isArray(inside) && inside.length ? inside : root;
  return Array.from(list, (part, index) => ({ list, index, title: titleOf(part, index + 1) }));
}

function titleOf(part, number) {
  const kind = isObject(part) ? part.eventType : undefined;
  if (typeof kind !== "string") return { number: "", name: `Part ${number}` };
  const words = kind.replace(/^EVENT_TYPE_/, "").replaceAll("_", " ").toLowerCase();
  return { number: part.eventId ?? number, name: words.charAt(0).toUpperCase() + words.slice(1) };
}

// Returns lists of places to be sent together. Payloads of one key go together: what one key cannot open spoils
// no part but its own.
export function slices(places, { count, bytes }) {
  const groups = new Map();
  for (const place of places) {
    const key = keyOf(place);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(place);
  }
  return [...groups.values()].flatMap((group) => cut(group, count, bytes));
}

function keyOf({ holder, key }) {
  const { encoding, "encryption-key-id": id } = holder[key].metadata;
  return `${encoding} ${id}`;
}

function cut(places, count, bytes) {
  const parts = [];
  let part = [];
  let size = 0;
  for (const place of places) {
    const own = sizeOf(place);
    if (part.length && (part.length >= count || size + own > bytes)) {
      parts.push(part);
      [part, size] = [[], 0];
    }
    part.push(place);
    size += own;
  }
  if (part.length) parts.push(part);
  return parts;
}

function sizeOf({ holder, key }) {
  return (holder[key].data ?? "").length + 200; // the metadata and the JSON around it, roughly
}

// A payload as the server has decoded it, in the place of the one that was found. `opened` is false for one that came
// back as it was: no codec of this server's had encoded it.
export class Decoded {
  constructor(payload, opened) {
    this.payload = payload;
    this.opened = opened;
  }

  // Returns metadata as text and, if data is JSON, the JSON as it stands there: large numbers keep their digits.
  readable() {
    const { metadata = {}, data, ...rest } = this.payload;
    const shown = {};
    if (Object.keys(metadata).length) shown.metadata = mapValues(metadata, textOf);
    if (data !== undefined) shown.data = jsonOf(metadata.encoding, data) ?? data;
    return { ...shown, ...rest };
  }
}

class Raw {
  constructor(json) {
    this.json = json;
  }
}

function jsonOf(encoding, data) {
  if (!encoding || !textOf(encoding).startsWith("json/")) return undefined;
  try {
    const text = utf8(data);
    JSON.parse(text);
    return new Raw(text);
  } catch {
    return undefined;
  }
}

function textOf(base64) {
  try {
    return utf8(base64);
  } catch {
    return base64;
  }
}

function utf8(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

// Returns `value` as indented JSON, in pieces: [{ text, decoded }]. With `asStored`, decoded payloads are written as
// Temporal stores them, in base64, so that the document can be replayed; otherwise for people.
export function write(value, { asStored = false } = {}) {
  const pieces = [];
  let text = "";
  const flush = (decoded) => {
    if (text) pieces.push({ text, decoded });
    text = "";
  };
  const put = (value, indent) => {
    if (value instanceof Decoded) {
      flush(false);
      text = plain(asStored ? value.payload : value.readable(), indent);
      flush(value.opened);
    } else if (value === null || typeof value !== "object" || !Object.keys(value).length) {
      text += JSON.stringify(value);
    } else {
      const list = Array.isArray(value);
      const deeper = `${indent}  `;
      text += list ? "[" : "{";
      Object.keys(value).forEach((key, index) => {
        text += `${index ? "," : ""}\n${deeper}${list ? "" : `${JSON.stringify(key)}: `}`;
        put(value[key], deeper);
      });
      text += `\n${indent}${list ? "]" : "}"}`;
    }
  };
  put(value, "");
  flush(false);
  return pieces;
}

function plain(payload, indent) {
  const lines = Object.entries(payload).map(([name, value]) => {
    const json = value instanceof Raw ? reindent(value.json) : JSON.stringify(value, null, 2);
    return `  ${JSON.stringify(name)}: ${json.replaceAll("\n", "\n  ")}`;
  });
  return `{\n${lines.join(",\n")}\n}`.replaceAll("\n", `\n${indent}`);
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

// Returns JSON text on indented lines, every token as it was.
function reindent(json) {
  let out = "";
  let indent = "\n";
  const tokens = json.match(TOKEN) ?? [];
  tokens.forEach((token, index) => {
    const opens = token === "{" || token === "[";
    const closes = token === "}" || token === "]";
    const empty = closes && (tokens[index - 1] === "{" || tokens[index - 1] === "[");
    if (closes) indent = indent.slice(0, -2);
    if (closes && !empty) out += indent;
    out += token === ":" ? ": " : token;
    if (opens) indent += "  ";
    const next = tokens[index + 1];
    if ((opens && next !== "}" && next !== "]") || token === ",") out += indent;
  });
  return out;
}
